"""The second moments of two runs at equal times as a chain of scalar maps, one per state, and the letters they use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND, Calculus, Gram, Moment
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import Phi, Z, definition
from wideproof.derive.language.errors import DeriveError, NotClosed
from wideproof.derive.language.notation import latex_name, parameter, t
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Program, State, Updated, coordinates_of

SIZE = parameter("X")
"""x_t . x_t, the size of the inputs that both runs see."""
PREACTIVATION = parameter("a")
"""The variance of the argument of the activation."""


class _OfRuns(sp.Function):
    """A number about two runs: a state, then letters."""

    head = ""

    def _eval_is_real(self) -> bool:
        return True

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        state = self.args[0] if isinstance(self.args[0], Coordinate) else None
        shown = [printer._print(x) for x in self.args if x != state]
        body = self.head if state is None else f"{self.head}_{{{latex_name(state.label.rstrip(chr(39)))}}}"
        body += rf"\left({', '.join(shown)}\right)" if shown else ""
        return f"{{{body}}}^{{{exp}}}" if exp else body


class VarianceMap(_OfRuns):
    """E[h_t^2] from the variances q one step before; arguments the state and the letters q."""

    head = r"\mathcal{V}"


class VarianceSlope(_OfRuns):
    """The derivative of the variance map by the state's own q."""

    head = r"\chi^{\mathcal{V}}"


class CorrelationMap(_OfRuns):
    """E[h_t h'_t] of two runs, from variances q and covariances c one step before; arguments state, q, c."""

    head = r"\mathcal{C}"


class CorrelationSlope(_OfRuns):
    """The derivative of the correlation map by the state's own c."""

    head = r"\chi"


class FixedPoint(_OfRuns):
    """The variance that the variance map keeps; arguments the state and the variances of the states it reads."""

    head = "q^{*}"


class Horizon(_OfRuns):
    """Steps in which the difference of two runs falls by e; arguments the letters q and c of all states."""

    head = r"\xi"


class CriticalGain(_OfRuns):
    """The variance of the matrix on the line chi = 1, by the pre-activation variance; arguments the state and that."""

    head = r"\nu^{\mathrm{crit}}"


class CriticalDrive(_OfRuns):
    """What inputs and biases add to the pre-activation variance on the line chi = 1; arguments the state and that."""

    head = r"\beta^{\mathrm{crit}}"


@dataclass(frozen=True)
class Chain:
    """The states in the order of their updates, and the letter of a pre-activation variance."""

    states: dict[State, Coordinate]
    preactivation: sp.Symbol = PREACTIVATION


def states_of(program: Program) -> dict[State, Coordinate]:
    """State -> its updated coordinate, each after those whose updated value it reads."""
    found = {}
    for c, _ in program.updates:
        term = program.table[c]
        assert isinstance(term, Updated)
        found[term.state] = c
    return found


def letters(program: Program) -> tuple[dict[Coordinate, sp.Symbol], dict[Coordinate, sp.Symbol]]:
    """Updated state -> its variance q, and -> its covariance c between the two runs."""
    states = states_of(program)
    ends = {u: "" if len(states) == 1 else f"_{state.name}" for state, u in states.items()}
    return (
        {u: parameter(f"q{end}") for u, end in ends.items()},
        {u: sp.Symbol(f"c{end}", real=True) for u, end in ends.items()},
    )


def chain_of(program: Program) -> Chain:
    """The chain of a program.

    Errors: NotClosed, naming the reason, where the moments at equal times are no chain of scalar maps, and where no
    state feeds itself.
    """
    where = f"memory({program.name})"
    refuse_gates(program, where)
    states, q = states_of(program), letters(program)[0]
    fed = False
    for i, u in enumerate(states.values()):
        try:
            right = Calculus(program).expand(Moment(u, u, t, t, FIRST, SECOND))
        except DeriveError as error:
            raise NotClosed(where, error.expected, error.got, error.hint) from None
        mapped = to_letters(right, program, where)
        if redrawn_moments(right, program):
            refuse_means(Calculus(program).expand(Moment(sp.S.One, u, t, t, FIRST, FIRST)), program, where)
        later = mapped.free_symbols & {q[v] for v in list(states.values())[i + 1 :]}
        if later:
            raise NotClosed(
                where,
                "states that can be ordered so that each reads earlier ones and itself",
                f"{u.label} reading a later one",
                "Coupled states have no scalar map: join them in one state, or study them by state_evolution.",
            )
        fed = fed or mapped.has(letters(program)[1][u])
    if not fed:
        raise NotClosed(
            where,
            "a state that feeds itself from step to step",
            "none",
            "There is no memory over time. The depth of a feed-forward net is the time of an Elman "
            "recursion with tied=False: memory(models.elman(activation=…, tied=False)).",
        )
    return Chain(states)


def refuse_gates(program: Program, where: str) -> None:
    """Raise NotClosed where a product of states or activations enters an update: a gate."""
    for c, body in program.updates:
        for term in sp.Add.make_args(sp.expand(body)):
            factors = [x for x in sp.Mul.make_args(term) if x.has(Coordinate) or x.has(Phi)]
            if len(factors) > 1 or any(x.is_Pow for x in factors):
                raise NotClosed(
                    where,
                    "updates that are sums of activations and states",
                    f"the product {term} in the update of {c.label}",
                    "In a gated recursion (GRU, LSTM) a state is a product "
                    "with all earlier gates, correlated through one matrix: its second moments obey no "
                    "map of finitely many numbers. validate and Kernel follow it step by step.",
                )


def to_letters(right: sp.Expr, program: Program, where: str) -> sp.Expr:
    """Moments at equal times as the letters q and c, inputs as X; NotClosed for moments of unequal times.

    A moment of a state with what is redrawn one step later is a product of means, and centred states have none.
    """
    q, c = letters(program)
    table: dict[sp.Expr, sp.Expr] = {}
    for x in right.atoms(Gram, Moment):
        first, second, a, b = x.args[-4:]
        if isinstance(x, Moment) and is_redrawn(program, x):
            table[x] = sp.S.Zero
        elif isinstance(x, Moment) and (first != second or x.args[0] != x.args[1] or x.args[0] not in q):
            raise NotClosed(
                where,
                "second moments that close at equal times",
                x,
                "A state that carries itself over (leaky, residual) is correlated with W h of the same "
                "step through all earlier ones, so unequal times enter: no map of tied matrices is known "
                "to wideproof. The approximation by redrawn ones has one: "
                "wideproof.derive.language.variants.untied(model).",
            )
        elif first != second:
            raise NotClosed(where, "inputs at equal times", x, "Both runs are read at one step.")
        else:
            table[x] = SIZE if isinstance(x, Gram) else (q if a == b else c)[x.args[0]]
    return right.xreplace(table)


def redrawn_moments(right: sp.Expr, program: Program) -> list[Moment]:
    """The moments between a state and what is redrawn after it, in a fixed order."""
    return sorted((x for x in right.atoms(Moment) if is_redrawn(program, x)), key=sp.default_sort_key)


def is_redrawn(program: Program, moment: Moment) -> bool:
    """Whether one process is a state and the other a later feature of which every parameter is redrawn each step."""
    (u, first), (v, second) = sorted(
        zip(moment.args[:2], moment.args[2:4], strict=True), key=lambda pair: pair[0] in program.bodies
    )
    later = sp.expand(first - second).is_positive
    terms = [program.table[x] for x in coordinates_of(u)]
    return bool(v in program.bodies and u not in program.bodies and u != 1 and later) and not any(
        (term.matrix if isinstance(term, MatVec) else term.parameter).tied
        for term in terms
        if isinstance(term, MatVec | Bias)
    )


def refuse_means(right: sp.Expr, program: Program, where: str) -> None:
    """Raise NotClosed unless every mean in an equation is that of an odd function of a centred variable."""
    for node in right.atoms(GaussianMean):
        if not is_odd_mean(node):
            raise NotClosed(
                where,
                "odd activations without offset, where a state carries itself over",
                node,
                "The mean of the state then obeys a map of its own, coupled to that of the variance; "
                "wideproof follows one number per state. Use tanh or erf, or step by Kernel.",
            )


def is_odd_mean(node: GaussianMean) -> bool:
    """Whether a node is E[phi(z)] of an odd phi and a centred z."""
    functions, means, _ = node.args
    (name, order), *others = functions
    phi = definition(str(name), int(order))
    return not others and means[0] == 0 and sp.simplify(phi + phi.subs(Z, -Z)) == 0


def preactivation_variances(expr: sp.Expr) -> set[sp.Expr]:
    """The variances of all Gaussian variables of an expression."""
    found: set[sp.Expr] = set()
    for node in expr.atoms(GaussianMean):
        count, upper = len(node.args[0]), iter(node.args[2])
        for i in range(count):
            for k in range(i, count):
                entry = next(upper)
                found |= {entry} if i == k else set()
    return found
