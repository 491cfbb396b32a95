"""Memory and trainability: maps of variance and correlation of two runs of one recursion, slopes, critical line.

Two runs of one network see different inputs for a while and the same inputs from then on, x_t . x_t = X. Their
second moments at *equal* times obey an autonomous map, read off the derived state evolution; it is the same for tied
and untied matrices, because a matrix redrawn at every step is still one matrix for both runs. Near a fixed point the
difference of the two runs shrinks by the slope of that map per step, so the memory lasts -1/log(slope) steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from wideproof.derive.emit.derivation import Derivation, Reading, as_program, quantity
from wideproof.derive.emit.mean_formula import MeanFormula
from wideproof.derive.language.errors import DeriveError, NotClosed, ParameterError
from wideproof.derive.language.program import Coordinate, Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.memory_horizon.critical_variances import reason, wanted
from wideproof.derive.memory_horizon.memory_rules import BASE, EvaluatedMap, critical_parts
from wideproof.derive.memory_horizon.two_run_maps import (
    Chain,
    CorrelationMap,
    CorrelationSlope,
    CriticalDrive,
    CriticalGain,
    DifferenceGrowth,
    FixedPoint,
    Horizon,
    MapDerivative,
    VarianceMap,
    VarianceSlope,
    chain_of,
    letters,
    named,
    of_pair,
    pairs_of,
)
from wideproof.derive.proof.claims import Equation
from wideproof.derive.proof.proof import Proof, prove


@dataclass(frozen=True, repr=False)
class Memory(Derivation):
    """The memory horizon of a recursion in steps, where both runs agree, and all that it follows from.

    `formula` is -1/log(chi), a horizon where chi < 1, chi the slope of the correlation map at correlation one. Every
    part is a `Derivation` with its own proof, made when it is first asked for; maps are by the name of the state.

    >>> horizon = wp.memory(wp.models.linear_rnn())
    >>> horizon.formula.compile()(q=1.0, nu_W=0.25).round(4)
    np.float64(0.7213)
    """

    chain: Chain

    @cached_property
    def variance_map(self) -> dict[str, Derivation]:
        """E[h_t^2] in the letters q, one step before; a state that is read by `.next` enters with its value after."""
        return self._each("variance_map", VarianceMap, self._q)

    @cached_property
    def variance_slope(self) -> dict[str, Derivation]:
        """The derivative of the variance map, of coupled states its spectral radius: below 1 the fixed point draws."""
        return self._each("variance_slope", VarianceSlope, self._q)

    @cached_property
    def correlation_map(self) -> dict[str, Derivation]:
        """E[h_t h'_t] of the two runs in the letters q and c, one step before."""
        return self._each("correlation_map", CorrelationMap, self._q + self._c)

    @cached_property
    def slope(self) -> dict[str, Derivation]:
        """The derivative of the correlation map at any q and c; of states that feed each other the Perron root."""
        return self._rates("slope", self._q + self._c)

    @cached_property
    def chi(self) -> dict[str, Derivation]:
        """The slope at correlation one, c = q."""
        return self._rates("chi", self._q + self._q)

    @cached_property
    def derivative(self) -> dict[tuple[str, str], Derivation]:
        """How the moment of one name moves with that of another one step before, at any q and c."""
        pairs = [pair for group in self.chain.groups for pair in group] if self.chain.closed else []
        return {
            (named(x), named(y)): _derived(self.program, "derivative", MapDerivative(*x, *y, *self._q, *self._c))
            for x in pairs
            for y in pairs
        }

    @cached_property
    def horizon(self) -> Derivation:
        """-1/log of the largest slope at any q and c: the memory horizon at a fixed point c below q."""
        return _derived(self.program, "horizon", Horizon(*self._q, *self._c))

    @cached_property
    def fixed_point(self) -> dict[str, Derivation]:
        """The fixed point of every affine variance map; numeric.memory_horizon.fixed_points finds the others."""
        found, before = dict[str, Derivation](), tuple[sp.Symbol, ...]()
        q = letters(self.program)[0]
        for group in self.chain.groups if self.chain.closed else ():
            for pair in group:
                try:
                    found[named(pair)] = _fixed_point(self.program, FixedPoint(*of_pair(pair), *before))
                except NotClosed:
                    continue
            before += tuple(q[pair] for pair in group)
        return found

    @cached_property
    def critical(self) -> dict[str, Derivation]:
        """The line chi = 1; empty where it has no formula, and `critical_line` says why.

        Of one state with one activation of one matrix product by the pre-activation variance a: "gain" nu_W and
        "drive" nu_F X + nu_b. Of states whose slope does not depend on their variance, linear or relu and coupled or
        not, by the name of each variance of a matrix its value in the others, where these alone keep the slope below
        one.
        """
        return self._critical[0]

    @property
    def critical_line(self) -> dict[str, Derivation]:
        """The line chi = 1 as in `critical`.  Errors: NotClosed with the reason where it has no formula."""
        found, errors = self._critical
        if not found:
            raise reason(errors, f"critical line of {self.program.name}")
        return found

    @cached_property
    def _critical(self) -> tuple[dict[str, Derivation], list[DeriveError]]:
        found, errors = dict[str, Derivation](), list[DeriveError]()
        parts = critical_parts(self.program) if self.chain.closed else None
        if parts is not None:
            (u,) = self.chain.states.values()
            kinds: dict[str, Any] = {"gain": CriticalGain, "drive": CriticalDrive}
            for name, kind in kinds.items():
                found[name] = _derived(self.program, f"critical_{name}", kind(u, self.chain.preactivation))
            return found, errors
        for name, subject in wanted(self.program):
            try:
                proof = prove(self.program, "critical-variance", subject)
                found[name] = Derivation("critical_variance", proof)
            except NotClosed as error:
                errors.append(error)
        return found, errors

    @property
    def parts(self) -> dict[str, Derivation]:
        """All derivations by name, with that of the state where there are several."""
        found: dict[str, Derivation] = {}
        for name in ("variance_map", "variance_slope", "fixed_point", "correlation_map", "slope", "chi", "critical"):
            group: dict[str, Derivation] = getattr(self, name)
            found |= {name if len(group) == 1 else f"{name} {key}": part for key, part in group.items()}
        return found | {"horizon": self.horizon}

    @property
    def reading(self) -> str:
        """What is proved, and for which reading of the matrices."""
        if not self.chain.closed:
            return (
                "The difference of two runs of one linear network with the same inputs: proved as n grows, with the "
                "matrices as they are declared. The slope is the growth per step at late steps; the variance itself "
                "depends on products of inputs of different steps and has no map."
            )
        alone = any(step.rule == "redrawn" for step in self.proof.steps)
        which = (
            "redrawn matrices only, an approximation of tied ones," if alone else "tied and for untied matrices alike,"
        )
        return (
            f"Two runs of one network read at equal steps, with the same inputs from some step on: proved for "
            f"{which} as n grows at a fixed number of steps. Nothing is claimed about gradients through "
            "transposes, nor about different steps of one run, where tied and untied differ."
        )

    @property
    def _q(self) -> tuple[sp.Symbol, ...]:
        return tuple(letters(self.program)[0].values())

    @property
    def _c(self) -> tuple[sp.Symbol, ...]:
        return tuple(letters(self.program)[1].values())

    def _each(self, name: str, kind: Any, arguments: tuple[sp.Symbol, ...]) -> dict[str, Derivation]:
        """One derivation for each moment; none where the moments have no map of their own."""
        pairs = pairs_of(self.program) if self.chain.closed else ()
        return {named(pair): _derived(self.program, name, kind(*of_pair(pair), *arguments)) for pair in pairs}

    def _rates(self, name: str, arguments: tuple[sp.Symbol, ...]) -> dict[str, Derivation]:
        if self.chain.closed:
            return self._each(name, CorrelationSlope, arguments)
        states = self.chain.states.items()
        return {state.name: _derived(self.program, name, DifferenceGrowth(u)) for state, u in states}


@quantity
def memory(recursion: Recursion | Program) -> Memory:
    """Two runs of a wide network that see the same inputs from now on forget their difference in this many steps.

    The formula is -1/log(chi) in the fixed point q = E[h^2] of the variance map, the variances of the parameters and
    X = x_t . x_t, the size of the common inputs; parts are `variance_map`, `variance_slope`, `correlation_map`,
    `slope`, `chi`, `horizon` (at any correlation), `fixed_point` where the map is affine, and `critical`, the line
    chi = 1. States that feed each other are one system: their slope is the Perron root of its derivative, in closed
    form where that is short, else evaluated with an estimate of its error. Moments between states that one matrix
    joins belong to it.
    A linear state that carries itself over has a slope too, the growth of the difference of two runs, but no map.
    numeric.memory_horizon.fixed_points finds the fixed points with estimated errors and evaluates everything there;
    wideproof.certified_points encloses them.
    Shapes: scalars; arrays broadcast.  Units: steps.
    Errors: NotClosed for gated recursions, and for tied states that carry themselves over through an activation
    (leaky, residual) or while another state feeds them back: these only as `untied`, with an odd activation.
    Source: emami2021implicit, Lemma C.1, at equal times; poole2016exponential; schoenholz2017deep;
    perron1907theorie.

    >>> wp.memory(wp.models.linear_rnn()).formula.expr
    -1/log(nu_W)
    """
    program = as_program(recursion)
    chain = chain_of(program)
    q = tuple(letters(program)[0].values())
    return Memory("memory", _proof(program, Horizon(*q, *q)), chain)


def _derived(program: Program, name: str, subject: sp.Expr) -> Derivation:
    return Derivation(name, _proof(program, subject))


def _proof(program: Program, subject: sp.Expr) -> Proof:
    """The closed form of a quantity where the table of dual activations has one, else its expectations."""
    try:
        proof = prove(program, "closed-form", subject)
    except NotClosed:
        proof = prove(program, BASE[type(subject)], subject)
    if isinstance(proof.goal, Equation) and proof.goal.right.has(sp.zoo):
        raise ParameterError(
            f"memory({program.name})",
            "a slope chi other than 1",
            "variances on the critical line chi = 1",
            "There no exponential rate is left: differences are forgotten more slowly, if at all.",
        )
    return proof


def _fixed_point(program: Program, subject: FixedPoint) -> Derivation:
    return Derivation("fixed_point", prove(program, "affine-fixed-point", subject))


def _reads_means(quantity: str) -> None:
    """The closed form and the means it is of, in the letters of the subject first, then in the symbols it reads."""

    def read(proof: Proof) -> MeanFormula:
        goal = proof.goal
        assert isinstance(goal, Equation)
        sloped = isinstance(goal.left, VarianceSlope)
        nodes = goal.nodes if isinstance(goal, EvaluatedMap) and not sloped else goal.right
        own = [x for x in dict.fromkeys(goal.left.args) if not isinstance(x, Coordinate)]
        read = [x for x in sorted(nodes.free_symbols | goal.right.free_symbols, key=str) if x not in own]
        return MeanFormula(quantity, goal.right, {x.name: x for x in (*own, *read)}, proof.program, nodes=nodes)

    Reading.registry[Program, quantity] = read


def _critical_variance(proof: Proof) -> MeanFormula:
    """The value of the variance in the symbols that it reads."""
    goal = proof.goal
    assert isinstance(goal, Equation)
    read = {x.name: x for x in sorted(goal.right.free_symbols, key=str)}
    return MeanFormula("critical_variance", goal.right, read, proof.program, nodes=goal.right)


Reading.registry[Program, "critical_variance"] = _critical_variance

for _quantity in (
    "memory",
    "horizon",
    "variance_map",
    "variance_slope",
    "correlation_map",
    "slope",
    "chi",
    "fixed_point",
    "derivative",
    "critical_gain",
    "critical_drive",
):
    _reads_means(_quantity)
