"""The rules of memory: from the derived moments at equal times to maps, slopes, fixed points and the critical line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import FIRST, SECOND, Calculus, Moment
from wideproof.derive.emit.mean_formula import SHORT, V, closed_mean, price
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.language.notation import s, t
from wideproof.derive.language.program import Program
from wideproof.derive.memory_horizon.scalar_maps import (
    PREACTIVATION,
    CorrelationMap,
    CorrelationSlope,
    CriticalDrive,
    CriticalGain,
    Horizon,
    VarianceMap,
    VarianceSlope,
    is_odd_mean,
    is_redrawn,
    letters,
    preactivation_variances,
    redrawn_moments,
    to_letters,
)
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.rules import Ask, rule


@dataclass(frozen=True)
class OfLetters(Equation):
    """left = right for all values of the letters q, c, X and of the parameters, whatever the activation."""


@dataclass(frozen=True)
class Evaluated(Equation):
    """left = right for the named activations: `nodes` holds the Gaussian means that `right` is the closed form of.

    Where `by` is a letter, right is the derivative by it.
    """

    nodes: sp.Expr = sp.S.Zero
    by: sp.Symbol | None = None


@dataclass(frozen=True)
class Centred(Equation):
    """left = right = 0, because the Gaussian means `nodes` of the named activations vanish at every variance."""

    nodes: sp.Tuple = field(default=sp.Tuple())


@dataclass(frozen=True)
class FixedAt(Equation):
    """right is the only value that the map `nodes` of `letter` keeps, wherever every relation of the domain holds."""

    nodes: sp.Expr = sp.S.Zero
    letter: sp.Symbol = PREACTIVATION
    domain: tuple[sp.Expr, ...] = field(default=())


@rule(
    "equal-times",
    source="emami2021implicit, Lemma C.1, at equal times: one matrix for both runs, redrawn or not",
    rank=620,
    says="read two runs of one network at the same step: every matrix, redrawn or not, is one matrix for both, so",
)
def equal_times(subject: Any, ask: Ask) -> Claim:
    """E[h_t h'_t] of two runs of one network, in the moments one step before."""
    u, v, *_, first, second = subject.args
    right = ask.equation("covariance", Moment(u, v, t, s, first, second)).right
    return Equation(subject, sp.expand(right.subs(s, t)))


@rule(
    "correlation-map",
    source="poole2016exponential, (4); schoenholz2017deep, (4)",
    rank=660,
    says=(
        "let both runs see inputs of size $X$. With variance $q$ and covariance $c$ before the step, the "
        "covariance after it is"
    ),
)
def correlation_map(subject: Any, ask: Ask) -> Claim:
    """Both runs see the same inputs of size X, their variances are q and their covariance is c."""
    program = ask.program
    u = subject.args[0]
    right = ask.equation("equal-times", Moment(u, u, t, t, FIRST, SECOND)).right
    for x in redrawn_moments(right, program):
        product = ask.equation("redrawn", x).right
        mean = next(m for m in product.atoms(Moment) if m.args[1] in program.bodies)
        centred = ask.equation("centred", Moment(sp.S.One, mean.args[1], t, t, FIRST, FIRST))
        right = right.xreplace({x: product.xreplace({mean: centred.right})})
    return OfLetters(subject, to_letters(right, program, f"memory({program.name})"))


@rule(
    "redrawn",
    source="a matrix that is redrawn is independent of all that came before",
    rank=630,
    says="a matrix that is redrawn is independent of all that came before, so",
)
def redrawn(subject: Any, ask: Ask) -> Claim:
    """The mean of a product of a state and of a later feature is the product of their means."""
    program = ask.program
    assert is_redrawn(program, subject)
    u, v, first, second, a, b = subject.args
    return Equation(subject, Moment(sp.S.One, u, first, first, a, a) * Moment(sp.S.One, v, second, second, b, b))


@rule(
    "centred",
    source="induction on the step: odd functions of centred variables have no mean",
    rank=640,
    says="odd functions of centred variables have no mean, and the mean before is zero by induction,",
)
def centred(subject: Any, ask: Ask) -> Claim:
    """The mean of a state is a combination of its mean before and of means of odd functions: it stays zero."""
    _, u, *_ = subject.args
    right = ask.equation("covariance", Moment(sp.S.One, u, t, s, FIRST, SECOND)).right
    nodes = sorted(right.atoms(GaussianMean), key=sp.default_sort_key)
    rest = right.xreplace({node: sp.S.Zero for node in nodes})
    rest = rest.xreplace({m: sp.S.Zero for m in rest.atoms(Moment) if m.args[:2] == (sp.S.One, u)})
    if sp.expand(rest) != 0 or not all(map(is_odd_mean, nodes)):
        raise NotClosed(f"mean of {u.label}", "zero", right, "It is not centred.")
    return Centred(subject, sp.S.Zero, sp.Tuple(*nodes))


@rule(
    "variance-map",
    source="poole2016exponential, (3): a run has correlation one with itself",
    rank=670,
    says="a run has correlation one with itself, so where $c$ is $q$",
)
def variance_map(subject: Any, ask: Ask) -> Claim:
    """The correlation map where both runs are one."""
    program = ask.program
    q, c = letters(program)
    right = ask.equation("correlation-map", CorrelationMap(subject.args[0], *q.values(), *c.values())).right
    return OfLetters(subject, right.xreplace({c[u]: q[u] for u in q}))


@rule(
    "correlation-slope",
    source="price1958useful; schoenholz2017deep, (6)",
    rank=680,
    says="differentiate by the covariance; by Price's theorem each activation is differentiated once,",
)
def correlation_slope(subject: Any, ask: Ask) -> Claim:
    """Differentiate the correlation map by the state's own c: dE[f]/dcov = E[f''] in both variables."""
    program = ask.program
    q, c = letters(program)
    u, *at = subject.args
    generic = CorrelationSlope(u, *q.values(), *c.values())
    if subject != generic:
        moved = dict(zip(generic.args[1:], at, strict=True))
        return OfLetters(subject, ask.equation("correlation-slope", generic).right.xreplace(moved))
    right = ask.equation("correlation-map", CorrelationMap(u, *q.values(), *c.values())).right
    return OfLetters(subject, price(right, c[u]))


@rule(
    "variance-slope",
    source="price1958useful; schoenholz2017deep, (5)",
    rank=690,
    says="differentiate by the variance; by Price's theorem",
)
def variance_slope(subject: Any, ask: Ask) -> Claim:
    """Differentiate the variance map by the state's own q."""
    program = ask.program
    u, *at = subject.args
    return OfLetters(subject, price(ask.equation("variance-map", VarianceMap(u, *at)).right, letters(program)[0][u]))


@rule(
    "memory-horizon",
    source="schoenholz2017deep, (6) and (7): the difference falls by the slope per step",
    rank=710,
    says=(
        "near the fixed point the difference of the runs is multiplied by the slope at every step, so it "
        "falls by e within"
    ),
)
def memory_horizon(subject: Any, ask: Ask) -> Claim:
    """The slowest state decides: -1/log of the largest slope of the chain."""
    program = ask.program
    slopes = [ask.equation("correlation-slope", CorrelationSlope(u, *subject.args)).right for u in letters(program)[0]]
    return OfLetters(subject, -1 / sp.log(sp.Max(*slopes)))


def critical_parts(program: Program) -> tuple[sp.Expr, sp.Expr, sp.Symbol] | None:
    """Variance of the pre-activation at q = 0, its growth per q, and q; None but for one state, one activation."""
    q = letters(program)[0]
    if len(q) != 1:
        return None
    ((u, letter),) = q.items()
    right = to_letters(Calculus(program).expand(Moment(u, u, t, t, FIRST, FIRST)), program, program.name)
    found = preactivation_variances(right)
    if len(found) != 1:
        return None
    variance = sp.expand(found.pop())
    drive, gain = variance.subs(letter, 0), sp.diff(variance, letter)
    outside = right.xreplace({x: sp.S.Zero for x in right.atoms(GaussianMean)})
    simple = isinstance(gain, sp.Symbol) and not drive.has(gain) and outside == 0
    return (drive, gain, letter) if simple else None


@rule(
    "critical-line",
    source="schoenholz2017deep, section 4; poole2016exponential, figure 1",
    rank=700,
    says=(
        "set the slope to one at a fixed point and solve for the variance of the matrix and for what inputs "
        "and biases add,"
    ),
)
def critical_line(subject: Any, ask: Ask) -> Claim:
    """chi = 1 at a fixed point, solved for the variance of the matrix and for the drive at a given a."""
    program = ask.program
    parts = critical_parts(program)
    assert parts is not None
    drive, gain, letter = parts
    u, variance = subject.args
    at_fixed = {letter: (variance - drive) / gain}
    slope = ask.equation("correlation-slope", CorrelationSlope(u, letter, letter)).right
    unit = in_preactivation(slope / gain, at_fixed)
    if isinstance(subject, CriticalGain):
        return OfLetters(subject, 1 / unit)
    kept = in_preactivation(ask.equation("variance-map", VarianceMap(u, letter)).right, at_fixed)
    return OfLetters(subject, variance - kept / unit)


def in_preactivation(expr: sp.Expr, at: dict[sp.Symbol, sp.Expr]) -> sp.Expr:
    """An expression in q as one in the pre-activation variance."""
    moved = expr.xreplace(at)
    simpler = {
        node: GaussianMean(node.args[0], node.args[1], sp.Tuple(*map(sp.simplify, node.args[2])))
        for node in moved.atoms(GaussianMean)
    }
    return sp.simplify(moved.xreplace(simpler)) if not simpler else moved.xreplace(simpler)


@rule(
    "dual-activation",
    source="table of dual activations; price1958useful",
    rank=650,
    says="by the table of dual activations,",
)
def dual_activation(subject: Any, ask: Ask) -> Claim:
    """The closed form of one Gaussian mean of a named activation."""
    found = closed_mean(subject)
    if found is None:
        raise NotClosed("dual-activation", "an activation of the table", subject, "It is evaluated by its series.")
    return Evaluated(subject, found, subject)


BASE = {
    CorrelationMap: "correlation-map",
    VarianceMap: "variance-map",
    CorrelationSlope: "correlation-slope",
    VarianceSlope: "variance-slope",
    Horizon: "memory-horizon",
    CriticalGain: "critical-line",
    CriticalDrive: "critical-line",
}


@rule("closed-form", source="substitution", rank=720, says="put in the closed forms,")
def closed_form(subject: Any, ask: Ask) -> Claim:
    """Put the closed forms of its Gaussian means into a quantity; a variance slope is that of the closed map."""
    program = ask.program
    if isinstance(subject, VarianceSlope):
        return _closed_variance_slope(program, subject, ask)
    nodes = ask.equation(BASE[type(subject)], subject).right
    means = {
        node: ask.equation("dual-activation", node).right
        for node in sorted(nodes.atoms(GaussianMean), key=sp.default_sort_key)
    }
    return Evaluated(subject, nodes.xreplace(means), nodes)


def _closed_variance_slope(program: Program, subject: Any, ask: Ask) -> Claim:
    """The derivative by the pre-activation variance, simplified in that alone, times its growth."""
    u, *at = subject.args
    whole = ask("closed-form", VarianceMap(u, *at))
    assert isinstance(whole, Evaluated)
    letter, nodes = letters(program)[0][u], whole.nodes
    total = sp.diff(nodes.xreplace({node: sp.S.Zero for node in nodes.atoms(GaussianMean)}), letter)
    for node in sorted(nodes.atoms(GaussianMean), key=sp.default_sort_key):
        (variance,) = preactivation_variances(node)
        alone = closed_mean(GaussianMean(node.args[0], node.args[1], sp.Tuple(*(V for _ in node.args[2]))))
        assert alone is not None
        slope = sp.diff(alone, V)
        slope = sp.simplify(slope) if slope.count_ops() < SHORT else slope
        total += nodes.coeff(node) * sp.diff(variance, letter) * slope.subs(V, variance)
    return Evaluated(subject, total, nodes, letter)


@rule(
    "affine-fixed-point",
    source="an affine map of slope below one has one fixed point, and is drawn to it",
    rank=730,
    says="the variance map is affine; where its slope is below one its only fixed point is",
)
def affine_fixed_point(subject: Any, ask: Ask) -> Claim:
    """q = slope q + offset has one solution where the slope is not one; it is a variance where that is below one."""
    program = ask.program
    u = subject.args[0]
    q = letters(program)[0]
    whole = ask("closed-form", VarianceMap(u, *q.values()))
    assert isinstance(whole, Evaluated)
    slope = sp.diff(whole.right, q[u]) if whole.right.is_polynomial(q[u]) else q[u]
    if sp.expand(slope).has(q[u]):
        raise NotClosed(
            f"fixed point of {u.label}",
            "an affine variance map",
            whole.right,
            "wideproof.numeric.memory_horizon.fixed_points finds those of the others, with bounds.",
        )
    slope, offset = sp.expand(slope), whole.right.subs(q[u], 0)
    return FixedAt(subject, sp.simplify(offset / (1 - slope)), whole.nodes, q[u], (sp.Lt(slope, 1),))
