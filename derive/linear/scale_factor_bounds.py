"""Bounds on the scale factors: inequality (22) in the forms that are true, and counter-examples to those that are not.

The derived rho_j is sum_k c_k binom(j, k) l^{j-k} with one node l. After division by a power of l the slack of a
bound is a polynomial; written in l = 1/(1 + d), T = j + 1 + m, with all variables non-negative, it has no negative
coefficient. That is the whole proof, and the replay computes it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from math import comb
from typing import Any

import sympy as sp

from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.emit.derivation import Derivation, Reading, quantity, reads
from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.errors import NotClosed, ParameterError, ProofError
from wideproof.derive.language.notation import T, j, m
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.convolution import Rho, scale_factors
from wideproof.derive.proof.claims import Claim, Counterexample, Equation, Inequality
from wideproof.derive.proof.proof import Proof, prove
from wideproof.derive.proof.rules import Ask, rule

FORMS = {"sharp": "bound-sharp", "T-free": "bound-t-free", "paper": "bound-paper", "uniform": "bound-uniform"}
VARIANTS = ("refuted-power", "refuted-power-largest", "refuted-shifted-largest")
SOURCE = "emami2021implicit, (22), corrected; non-negative coefficients"
NO_NEGATIVE = "the slack, written in variables that are not negative, has no negative coefficient; hence"
DECAY = sp.Symbol("d", nonnegative=True)


class LargestRho(sp.Function):
    """The largest of rho_0, ..., rho_{T-1}."""

    nargs = (1,)

    def _latex(self, printer: Any) -> str:
        return rf"\max_{{i<{printer._print(self.args[0])}}} \rho_i"


@dataclass(frozen=True)
class ClosedScaleFactors:
    """rho_j = sum_k weights[k] binom(j, k) node^{j-k}."""

    node: sp.Expr
    weights: tuple[sp.Expr, ...]

    @property
    def order(self) -> int:
        """The power of the lag."""
        return len(self.weights) - 1

    def total(self, count: Callable[[int], sp.Expr], powers: bool = True) -> sp.Expr:
        """sum_k weights[k] count(k) node^{order-k}, or without the powers."""
        node = self.node if powers else sp.S.One
        return sp.Add(*(c * count(k) * node ** (self.order - k) for k, c in enumerate(self.weights)))

    def at(self, point: Mapping[sp.Symbol, sp.Expr]) -> ClosedScaleFactors:
        """The same form with numbers for its symbols."""
        return ClosedScaleFactors(self.node.subs(point), tuple(c.subs(point) for c in self.weights))

    def scale(self, lag: int) -> sp.Expr:
        """rho at one lag; a term whose binomial is zero is left out, whatever its power."""
        return sp.Add(*(c * comb(lag, k) * self.node ** (lag - k) for k, c in enumerate(self.weights) if k <= lag))


def closed_of(rho: sp.Expr, where: str) -> ClosedScaleFactors:
    """Read node and weights off a derived closed form; NotClosed where the nodes differ."""
    weights: dict[int, sp.Expr] = {}
    nodes: set[sp.Expr] = set()
    for term in sp.Add.make_args(sp.expand(rho)):
        factors = list(sp.Mul.make_args(term))
        power = next((x for x in factors if x.has(j)), sp.S.One)
        found = _nodes_of(power)
        if found is None:
            raise NotClosed(where, "powers of one node", term, "Its scale factors are no sum of powers in the lag.")
        nodes |= set(found)
        weight = sp.Mul(*(x for x in factors if x != power))
        weights[len(found) - 1] = weights.get(len(found) - 1, sp.S.Zero) + weight
    if len(nodes) != 1 or not all(c.is_nonnegative for c in weights.values()):
        raise NotClosed(
            where,
            "one node and non-negative weights",
            sorted(nodes, key=str),
            "Bound the divided differences of different nodes by hand.",
        )
    return ClosedScaleFactors(nodes.pop(), tuple(weights.get(k, sp.S.Zero) for k in range(max(weights) + 1)))


def _nodes_of(power: sp.Expr) -> tuple[sp.Expr, ...] | None:
    """The nodes of a divided difference of x^j as SymPy has written it, or None for another function of the lag."""
    if isinstance(power, PowerDD):
        return power.args[1:]
    if isinstance(power, sp.KroneckerDelta):  # that of zeros
        return (sp.S.Zero,) * (int(power.args[0] if power.args[0].is_Integer else power.args[1]) + 1)
    if power == 1:
        return (sp.S.One,)
    return (power.base,) if power.is_Pow and power.exp == j else None


def domain(closed: ClosedScaleFactors, *relations: sp.Expr) -> tuple[sp.Expr, ...]:
    """The relations that are not known to hold.  Errors: ParameterError where the numbers of a model break one."""
    if sp.false in relations:
        raise ParameterError(
            "bounds of scale factors",
            "a factor per lag above 0, and up to 1 but for the sharp form (below 1 for the peak)",
            closed.node,
            "Outside, scale_factors(…) itself is the answer: at 0 few lags are not 0, from 1 on there is no largest.",
        )
    return tuple(relation for relation in relations if relation != sp.true)


def choose(lag: sp.Expr, count: int) -> sp.Expr:
    """binom(lag, count) as a polynomial; zero at lag = 0, ..., count - 1."""
    return sp.expand(sp.prod([lag - i for i in range(count)]) / sp.factorial(count))


def certify(slack: sp.Expr, moved: Mapping[sp.Symbol, sp.Expr], where: str) -> sp.Expr:
    """Return the slack in variables that are non-negative on the domain; ProofError for a negative coefficient."""
    written = sp.together(slack.subs(moved, simultaneous=True))
    for part in sp.fraction(written):
        polynomial = sp.Poly(sp.expand(part), *sorted(part.free_symbols, key=str)) if part.free_symbols else None
        coefficients = polynomial.coeffs() if polynomial is not None else [part]
        if any(c.is_negative for c in coefficients):
            raise ProofError(where, "no negative coefficient", part, "The substitution does not prove this bound.")
    return written


@quantity
def scale_factor_bound(recursion: Recursion | Program, form: str = "sharp") -> Derivation:
    """No scale factor exceeds this bound where 0 < l <= 1, l the derived factor per lag (nu_W), and j < T.

    "sharp" is attained at j = T - 1 and holds for any l; "T-free" has no horizon; "paper" is (22) as it must be
    read; "uniform" is rho_max, free of l, as the step size of Theorem 4.1 needs it.
    Shapes: formula in j, and in T unless T-free.  Units: (output/input)^2.
    Errors: NotLinear, NotDiagonal; NotClosed where the derived scale factors have several nodes.
    Source: emami2021implicit (22), with erratum E3.

    >>> bound = wp.scale_factor_bound(wp.models.linear_rnn()).formula.compile()
    >>> bound(j=1, T=3, nu_W=0.5, nu_F=1.0, nu_C=1.0)
    np.float64(3.0)
    """
    if form not in FORMS:
        raise ParameterError(
            "scale_factor_bound: form",
            ", ".join(map(repr, FORMS)),
            repr(form),
            "The other readings of (22) are false: refuted_bounds(…) prints counter-examples.",
        )
    program = program_with_closed_form(recursion, "scale_factor_bound")
    return Derivation("scale-factor-bound", prove(program, FORMS[form], Rho(j)))


def _read_bound(proof: Proof) -> Formula:
    """The right side, in the lag and the horizon where it has them."""
    assert isinstance(proof.goal, Inequality)
    bound = proof.goal.right
    indices = {x.name: x for x in (j, T) if bound.has(x)}
    return Formula("scale_factor_bound", bound, indices | proof.program.symbols, proof.program)


Reading.registry[Program, "scale-factor-bound"] = _read_bound
for _name in VARIANTS:
    reads(_name, j, T, name="refuted_bound")


def refuted_bounds(recursion: Recursion | Program) -> tuple[Derivation, ...]:
    """Readings of (22) that are false; the goal of each proof is an exact rational counter-example.

    Readings that no counter-example was found against are left out: without a trained transition all may be true.
    Source: erratum E3: a bound by a pure power nu_W^j, or by a power times the largest scale factor, fails.

    >>> [found.quantity for found in wp.refuted_bounds(wp.models.linear_rnn())]
    ['refuted-power', 'refuted-power-largest', 'refuted-shifted-largest']
    """
    program = program_with_closed_form(recursion, "refuted_bounds")
    found = []
    for name in VARIANTS:
        try:
            proof = prove(program, name, Rho(j))
        except NoCounterexample:
            continue
        found.append(Derivation(name, proof))
    return tuple(found)


@dataclass(frozen=True, repr=False)
class Peak(Derivation):
    """The lag of the largest scale factor (`formula`); rho_1 > rho_0 exactly where `rise` is positive."""

    rise: Derivation


@quantity
def scale_factor_peak(recursion: Recursion | Program) -> Peak:
    """The scale factors rise up to this lag and fall after it, for 0 < l < 1 and a positive linear weight.

    So "higher delay, lower weight" is false near l = 1: the peak moves off 0 exactly where `rise` > 0.
    Shapes: formula in the variances.  Units: steps.
    Errors: NotClosed where rho_j is not of the form (c_0 + c_1 j) times powers.  Source: erratum E3.

    >>> float(wp.scale_factor_peak(wp.models.linear_rnn()).formula.compile()(nu_W=0.9, nu_F=1.0, nu_C=1.0))
    8.0
    """
    program = program_with_closed_form(recursion, "scale_factor_peak")
    rise = Derivation("scale-factor-rise", prove(program, "first-rise", Rho(1) - Rho(0)))
    return Peak("scale-factor-peak", prove(program, "peak", Rho(j)), rise)


reads("scale-factor-rise")
reads("scale-factor-peak", part=lambda goal: goal.right.args[0])


def program_with_closed_form(recursion: Recursion | Program, where: str) -> Program:
    """The tangent program of a recursion whose scale factors have a closed form."""
    derived = scale_factors(recursion)
    if derived.formula.expr is None:
        raise NotClosed(
            f"{where}({derived.program.name})",
            "scale factors in closed form",
            "moments that feed each other in a circle",
            "scale_factors(…) evaluates their recurrence.",
        )
    return derived.program


def closed_scale(ask: Ask) -> ClosedScaleFactors:
    """Node and weights of the scale factors, from the step that derives them."""
    where = f"bound of {ask.program.name}"
    closed = closed_of(ask.equation("scale-factors", Rho(j)).right, where)
    if closed.order > 1:
        raise NotClosed(where, "weights affine in the lag", closed.weights, "Look at the values.")
    return closed


def _letters(closed: ClosedScaleFactors) -> ClosedScaleFactors:
    """The same form with free non-negative letters: what holds for them holds for the weights and the node."""
    names = sp.symbols(f"c:{len(closed.weights)}", nonnegative=True)
    return ClosedScaleFactors(1 / (1 + DECAY), names)


def _exceeding(ask: Ask, where: str, count: sp.Expr, powers: tuple[bool, bool] = (True, True)) -> ClosedScaleFactors:
    """The closed form, once its total over binom(count, k) is certified to exceed that over binom(j, k)."""
    closed = closed_scale(ask)
    free = _letters(closed)
    slack = free.total(lambda k: choose(count, k), powers[0]) - free.total(lambda k: choose(j, k), powers[1])
    certify(slack, {T: j + 1 + m}, where)
    return closed


# ---- rules: true bounds ---------------------------------------------------------------------------
@rule("bound-sharp", source=SOURCE, rank=330, says=NO_NEGATIVE)
def bound_sharp(subject: Any, ask: Ask) -> Claim:
    """binom(j, k) <= binom(T-1, k) for j <= T - 1, term by term."""
    closed = _exceeding(ask, "bound-sharp", T - 1)
    right = closed.node ** (j - closed.order) * closed.total(lambda k: choose(T - 1, k))
    return Inequality(subject, right, domain(closed, sp.Gt(closed.node, 0), sp.Le(j + 1, T)))


@rule("bound-t-free", source=SOURCE, rank=340, says=NO_NEGATIVE)
def bound_t_free(subject: Any, ask: Ask) -> Claim:
    """Every weight is at most the largest one, and every power of the node at most the lowest."""
    closed = closed_scale(ask)
    free = _letters(closed)
    for largest in free.weights:
        others = {c: largest / (1 + sp.Dummy(nonnegative=True)) for c in free.weights if c != largest}
        above = largest * sp.Add(*(choose(j, k) for k in range(closed.order + 1)))
        certify(above - free.total(lambda k: choose(j, k)), others, "bound-t-free")
    right = (
        closed.node ** (j - closed.order)
        * sp.Add(*(choose(j, k) for k in range(closed.order + 1)))
        * sp.Max(*closed.weights)
    )
    return Inequality(subject, right, domain(closed, sp.Gt(closed.node, 0), sp.Le(closed.node, 1)))


@rule("bound-paper", source=SOURCE, rank=350, says=NO_NEGATIVE)
def bound_paper(subject: Any, ask: Ask) -> Claim:
    """(22): the lowest power of the node times rho_max."""
    closed = _exceeding(ask, "bound-paper", T, (False, True))
    right = closed.node ** (j - closed.order) * closed.total(lambda k: choose(T, k), powers=False)
    return Inequality(subject, right, domain(closed, sp.Gt(closed.node, 0), sp.Le(closed.node, 1), sp.Le(j + 1, T)))


@rule("bound-uniform", source=SOURCE, rank=360, says=NO_NEGATIVE)
def bound_uniform(subject: Any, ask: Ask) -> Claim:
    """Powers of the node are at most 1 (where binom(j, k) is not 0), so rho_max bounds every scale factor."""
    closed = _exceeding(ask, "bound-uniform", T, (False, False))
    right = closed.total(lambda k: choose(T, k), powers=False)
    return Inequality(subject, right, domain(closed, sp.Le(closed.node, 1), sp.Le(j + 1, T)))


# ---- rules: where rho_j rises ---------------------------------------------------------------------
@rule(
    "rise",
    source="difference of the closed form at two lags",
    rank=300,
    says="the difference of the closed form at two neighbouring lags is",
)
def rise(subject: Any, ask: Ask) -> Claim:
    """rho_{j+1} - rho_j is a power of the node times a function that is affine in the lag and falls."""
    closed = closed_scale(ask)
    domain(closed, sp.Gt(closed.node, 0))
    bracket = _bracket(closed)
    return Equation(subject, closed.node ** (j - closed.order) * bracket)


def _bracket(closed: ClosedScaleFactors) -> sp.Expr:
    """What the growth of binom(j, 1) adds, less what one more factor of the node takes away."""
    slope, level = _affine(closed)
    constant, linear = closed.weights
    written = closed.node * linear - (1 - closed.node) * (linear * j + closed.node * constant)
    if sp.expand(written - slope * j - level) != 0:
        raise ProofError("rise", slope * j + level, written, "The difference of the closed form is another one.")
    return written


def _affine(closed: ClosedScaleFactors) -> tuple[sp.Expr, sp.Expr]:
    """Slope and level in the lag of (rho_{j+1} - rho_j) / node^{j-1}."""
    if closed.order != 1:
        raise NotClosed("scale_factor_peak", "a weight that grows with the lag", closed.weights, "They only fall.")
    after = closed.total(lambda k: choose(j + 1, k)) * closed.node
    bracket = sp.Poly(after - closed.total(lambda k: choose(j, k)), j)
    return bracket.coeff_monomial(j), bracket.coeff_monomial(1)


@rule("first-rise", source="difference of the closed form at two lags", rank=310, says="at lag 0 this is")
def first_rise(subject: Any, ask: Ask) -> Claim:
    """The difference at j = 0."""
    claim = ask.equation("rise", Rho(j + 1) - Rho(j))
    closed = closed_scale(ask)
    constant, linear = closed.weights
    written = linear - (1 - closed.node) * constant
    if sp.expand(written - sp.cancel(claim.right.subs(j, 0))) != 0:
        raise ProofError("first-rise", claim.right.subs(j, 0), written, "The difference at lag 0 is another one.")
    return Equation(subject, written)


@rule(
    "peak",
    source="an affine function that falls changes its sign once",
    rank=320,
    says=(
        "the difference is a positive power times a function that is affine in the lag and falls, so it "
        "changes its sign once, and"
    ),
)
def peak(subject: Any, ask: Ask) -> Claim:
    """rho_{j+1} > rho_j exactly below the zero of the affine factor, so the first lag not below it is the peak."""
    claim = ask.equation("rise", Rho(j + 1) - Rho(j))
    closed = closed_scale(ask)
    assert claim.right == closed.node ** (j - closed.order) * _bracket(closed)
    within = domain(closed, sp.Gt(closed.node, 0), sp.Lt(closed.node, 1), sp.Gt(closed.weights[1], 0))
    certify(-_affine(_letters(closed))[0], {}, "peak")
    x = sp.Symbol("x", positive=True)
    free = ClosedScaleFactors(x, _letters(closed).weights)
    slope, level = _affine(free)
    zero = x / (1 - x) - x * free.weights[0] / free.weights[1]
    if sp.cancel(zero + level / slope) != 0:
        raise ProofError("peak", -level / slope, zero, "The zero of the affine factor is another one.")
    zero = zero.subs({x: closed.node, **dict(zip(free.weights, closed.weights, strict=True))}, simultaneous=True)
    right = Rho(sp.Max(0, sp.ceiling(zero)))
    return Inequality(subject, right, within)


# ---- rules: false bounds --------------------------------------------------------------------------
Believed = Callable[[ClosedScaleFactors, sp.Expr, sp.Expr, sp.Expr], sp.Expr]
"""A believed bound from the closed form, the lag, the horizon and the largest scale factor: symbols or numbers."""


def _refute(subject: Any, ask: Ask, believed: Believed) -> Claim:
    """The first point of a small grid, in a fixed order, at which rho_j exceeds the believed bound."""
    closed = closed_scale(ask)
    domain(closed, sp.Gt(closed.node, 0))
    symbols = list(ask.program.symbols.values())
    corners = list(product((sp.Integer(1), sp.Rational(3, 10), sp.Rational(9, 10)), repeat=len(symbols)))
    forms = [closed.at(dict(zip(symbols, values, strict=True))) for values in corners]
    for horizon, lag in ((sp.Integer(a), b) for a in range(1, 6) for b in range(a)):
        for values, form in zip(corners, forms, strict=True):
            rho = [form.scale(i) for i in range(horizon)]
            if rho[lag] > believed(form, sp.Integer(lag), horizon, max(rho)):
                point = {j: sp.Integer(lag), T: horizon, **dict(zip(symbols, values, strict=True))}
                right = believed(closed, j, T, LargestRho(T))
                return Counterexample(subject, right, tuple(sorted(point.items(), key=str)))
    raise NoCounterexample


class NoCounterexample(Exception):
    """No point of the grid refutes the bound: for this recursion it may be true."""


@rule(
    "refuted-power",
    source="a counter-example; emami2021implicit, (22) with another exponent",
    rank=370,
    says="the bound by a pure power is false:",
)
def refuted_power(subject: Any, ask: Ask) -> Claim:
    """rho_j <= l^j rho_max is false."""

    def believed(form: ClosedScaleFactors, lag: sp.Expr, horizon: sp.Expr, largest: sp.Expr) -> sp.Expr:
        return form.node**lag * form.total(lambda k: choose(horizon, k), powers=False)

    return _refute(subject, ask, believed)


@rule(
    "refuted-power-largest",
    source="a counter-example; emami2021implicit, (22) with another constant",
    rank=380,
    says="the bound by a power times the largest scale factor is false:",
)
def refuted_power_largest(subject: Any, ask: Ask) -> Claim:
    """rho_j <= l^j max_i rho_i is false."""
    return _refute(subject, ask, lambda form, lag, horizon, largest: form.node**lag * largest)


@rule(
    "refuted-shifted-largest",
    source="a counter-example; emami2021implicit, (22) with another constant",
    rank=390,
    says="the bound by a power times the largest scale factor is false:",
)
def refuted_shifted_largest(subject: Any, ask: Ask) -> Claim:
    """rho_j <= l^{j-1} max_i rho_i is false."""
    return _refute(subject, ask, lambda form, lag, horizon, largest: form.node ** (lag - form.order) * largest)
