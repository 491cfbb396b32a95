"""The rules of memory: from the derived moments at equal times to maps, slopes, fixed points and the critical line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from wideproof.derive.algebra.perron_roots import PerronRoot, perron_root
from wideproof.derive.calculus.linear_reads import state_reads
from wideproof.derive.calculus.moments import FIRST, SECOND, Calculus, Moment
from wideproof.derive.calculus.recursion_rules import ask_body
from wideproof.derive.emit.mean_formula import SHORT, V, closed_mean, price
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.language.notation import s, t
from wideproof.derive.language.program import Coordinate, Program
from wideproof.derive.memory_horizon.two_run_maps import (
    CorrelationMap,
    CorrelationSlope,
    CriticalDrive,
    CriticalGain,
    DifferenceGrowth,
    Horizon,
    MapDerivative,
    Pair,
    VarianceDerivative,
    VarianceMap,
    VarianceSlope,
    after,
    chain_of,
    is_odd_mean,
    is_redrawn,
    letters,
    named,
    of_pair,
    pair_in,
    preactivation_variances,
    reads_updated,
    redrawn_moments,
    to_letters,
)
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.rules import Ask, rule


@dataclass(frozen=True)
class OfLetters(Equation):
    """left = right for all values of the letters q, c, X and of the parameters, whatever the activation."""


@dataclass(frozen=True)
class EvaluatedMap(Equation):
    """left = right for the named activations: `nodes` holds the Gaussian means that `right` is the closed form of.

    Where `by` is a letter, right is the derivative by it.
    """

    nodes: sp.Expr = sp.S.Zero
    by: sp.Symbol | None = None


@dataclass(frozen=True)
class EvaluatedRadius(Equation):
    """right is the spectral radius of the derivative of the maps `nodes` of the letters `own`, in one whole step.

    A primed letter is that of a moment after the update of the same step.
    """

    nodes: sp.Tuple = field(default=sp.Tuple())
    own: sp.Tuple = field(default=sp.Tuple())


@dataclass(frozen=True)
class Centred(Equation):
    """left = right = 0, because the Gaussian means `nodes` of the named activations vanish at every variance."""

    nodes: sp.Tuple = field(default=sp.Tuple())


@dataclass(frozen=True)
class FixedAt(Equation):
    """The maps `nodes` keep only the values `kept` of their letters, where every relation of the domain holds.

    `right` is the value of the letter that the claim is about.
    """

    nodes: sp.Tuple = field(default=sp.Tuple())
    kept: sp.Dict = field(default=sp.Dict())
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
    return OfLetters(subject, _mapped(ask.program, pair_in(subject.args)[0], ask))


def _mapped(program: Program, pair: Pair, ask: Ask, staged: bool = False) -> sp.Expr:
    """A moment between the two runs in the letters of the moments that it reads."""
    right = ask.equation("equal-times", Moment(*pair, t, t, FIRST, SECOND)).right
    for x in redrawn_moments(right, program):
        product = ask.equation("redrawn", x).right
        mean = next(m for m in product.atoms(Moment) if m.args[1] in program.bodies)
        centred = ask.equation("centred", Moment(sp.S.One, mean.args[1], t, t, FIRST, FIRST))
        right = right.xreplace({x: product.xreplace({mean: centred.right})})
    return to_letters(right, program, f"memory({program.name})", staged)


@rule(
    "redrawn",
    source="a matrix that is redrawn is independent of all that came before",
    rank=630,
    says="a matrix that is redrawn is independent of all that came before, so",
)
def redrawn(subject: Any, ask: Ask) -> Claim:
    """The mean of a product of a state and of a later feature is the product of their means."""
    assert is_redrawn(ask.program, subject)
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
    q, c = letters(ask.program)
    pair, _ = pair_in(subject.args)
    right = ask.equation("correlation-map", CorrelationMap(*of_pair(pair), *q.values(), *c.values())).right
    return OfLetters(subject, right.xreplace({c[x]: q[x] for x in q}))


def _group_of(program: Program, pair: Pair) -> tuple[Pair, ...]:
    return next(group for group in chain_of(program).groups if pair in group)


@rule(
    "map-derivative",
    source="price1958useful; the chain rule, where one update reads another of the same step",
    rank=664,
    says=(
        "differentiate the moments after the step by those before it; by Price's theorem each activation is "
        "differentiated once,"
    ),
)
def map_derivative(subject: Any, ask: Ask) -> Claim:
    """Differentiate the moment of one pair by that of another one step before."""
    program = ask.program
    q, c = letters(program)
    (target, source), at = (subject.args[:2], subject.args[2:4]), subject.args[4:]
    generic = (*q.values(), *c.values())
    if at != generic:
        right = ask.equation("map-derivative", MapDerivative(*target, *source, *generic)).right
        return OfLetters(subject, right.xreplace(dict(zip(generic, at, strict=True))))
    if reads_updated(program, target):
        mapped = _mapped(program, target, ask, staged=True)
    else:
        mapped = ask.equation("correlation-map", CorrelationMap(*of_pair(target), *generic)).right
    own = {after(x): x for group in (q, c) for x in group.values()}
    total = price(mapped, c[source])
    for between, letter in c.items():
        if (moved := price(mapped, after(letter))) != 0:
            total += moved * ask.equation("map-derivative", MapDerivative(*between, *source, *generic)).right
    return OfLetters(subject, sp.expand(total.xreplace(own)))


@rule(
    "correlation-slope",
    source="price1958useful; schoenholz2017deep, (6); perron1907theorie; krein1948linear",
    rank=680,
    says=(
        "differentiate by the covariance; by Price's theorem each activation is differentiated once. Of "
        "states that feed each other the slope is the largest eigenvalue of the derivative of all their "
        "moments,"
    ),
)
def correlation_slope(subject: Any, ask: Ask) -> Claim:
    """Differentiate the correlation map: dE[f]/dcov = E[f''] in both variables; of several maps the spectral radius.

    At correlation one the derivative keeps the cone of second moments, so its spectral radius is an eigenvalue.
    """
    program = ask.program
    q, c = letters(program)
    pair, at = pair_in(subject.args)
    generic = (*q.values(), *c.values())
    group = _group_of(program, pair)
    if len(group) > 1:
        rows = [[ask.equation("map-derivative", MapDerivative(*x, *y, *at)).right for y in group] for x in group]
        return OfLetters(subject, spectral_radius(rows, agree=at[: len(q)] == at[len(q) :]))
    if at != generic:
        right = ask.equation("correlation-slope", CorrelationSlope(*of_pair(pair), *generic)).right
        return OfLetters(subject, right.xreplace(dict(zip(generic, at, strict=True))))
    mapped = ask.equation("correlation-map", CorrelationMap(*of_pair(pair), *generic)).right
    return OfLetters(subject, price(mapped, c[pair]))


def spectral_radius(rows: list[list[sp.Expr]], agree: bool = False) -> sp.Expr:
    """The spectral radius in closed form where it is an eigenvalue: entries are not negative, or the runs agree."""
    matrix = sp.ImmutableDenseMatrix(rows)
    known = agree or all(x.is_nonnegative for x in matrix)
    return perron_root(matrix) if known or len(rows) == 1 else PerronRoot(*matrix)


@rule(
    "variance-derivative",
    source="price1958useful; the chain rule, where one update reads another of the same step",
    rank=666,
    says="differentiate the variances after the step by those before it; by Price's theorem",
)
def variance_derivative(subject: Any, ask: Ask) -> Claim:
    """Differentiate the variance map of one pair by the letter of another one step before."""
    program = ask.program
    q = letters(program)[0]
    (target, source), at = (subject.args[:2], subject.args[2:4]), subject.args[4:]
    mapped = _variance_in_steps(program, target, ask)
    total = price(mapped, q[source])
    for between, letter in q.items():
        if (moved := price(mapped, after(letter))) != 0:
            total += moved * ask.equation("variance-derivative", VarianceDerivative(*between, *source, *at)).right
    return OfLetters(subject, sp.expand(total.xreplace({after(x): x for x in q.values()})))


def _variance_in_steps(program: Program, pair: Pair, ask: Ask) -> sp.Expr:
    """The variance map of a pair, moments after the update of the same step in letters of their own."""
    q, c = letters(program)
    if not reads_updated(program, pair):
        return ask.equation("variance-map", VarianceMap(*of_pair(pair), *q.values())).right
    one = {c[x]: q[x] for x in q} | {after(c[x]): after(q[x]) for x in q}
    return _mapped(program, pair, ask, staged=True).xreplace(one)


@rule(
    "variance-slope",
    source="price1958useful; schoenholz2017deep, (5)",
    rank=690,
    says=(
        "differentiate by the variance; by Price's theorem, and of states that feed each other by the "
        "largest eigenvalue,"
    ),
)
def variance_slope(subject: Any, ask: Ask) -> Claim:
    """Differentiate the variance map by the state's own q; of several maps the spectral radius."""
    program = ask.program
    q = letters(program)[0]
    pair, at = pair_in(subject.args)
    group = _group_of(program, pair)
    if len(group) == 1:
        return OfLetters(subject, price(ask.equation("variance-map", VarianceMap(*of_pair(pair), *at)).right, q[pair]))
    rows = [[ask.equation("variance-derivative", VarianceDerivative(*x, *y, *at)).right for y in group] for x in group]
    return OfLetters(subject, spectral_radius(rows))


@rule(
    "difference-growth",
    source="emami2021implicit, Lemma C.1; voiculescu1992free: powers of a W with tied entries are orthogonal",
    rank=668,
    says=(
        "the difference of two runs of a linear recursion obeys the same recursion without inputs. Powers "
        "of a tied matrix are orthogonal, so its square is a sum of squares of binomial terms, whose late "
        "growth is"
    ),
)
def difference_growth(subject: Any, ask: Ask) -> Claim:
    """Two runs of a linear state: d_t = (a + W + V_t) d_{t-1}, W tied of variance s, V_t redrawn of variance r.

    Without V, E[d_t^2] is sum_k C(t, k)^2 a^{2(t-k)} s^k, whose generating function is Q^{-1/2} with
    Q = (1 - (a^2 + s) z)^2 - 4 a^2 s z^2; the fresh V_t d_{t-1} starts it anew, which gives 1/(Q^{1/2} - r z). Its
    singularity next to zero is at z = 1/(a^2 + s + (4 a^2 s + r^2)^{1/2}).
    """
    (u,) = subject.args
    carried, tied, redrawn_ = carried_and_added(ask, u)
    if redrawn_ == 0:
        return OfLetters(subject, (sp.Abs(carried) + sp.sqrt(tied)) ** 2)
    return OfLetters(subject, carried**2 + tied + sp.sqrt(4 * carried**2 * tied + redrawn_**2))


def carried_and_added(ask: Ask, u: Coordinate) -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """What a linear state carries over, and the variance that tied and that redrawn matrices add to it."""
    program = ask.program
    own = [read for read in state_reads(program, {u: ask_body(program, ask, u)}) if read.source == u]
    carried = sp.Add(*(read.factor for read in own if read.matrix is None))
    tied, redrawn_ = (
        sp.Add(*(
            sp.Add(*(read.factor for read in own if read.matrix == x)) ** 2 * x.variance
            for x in dict.fromkeys(read.matrix for read in own if read.matrix is not None)
            if x.tied is kept
        ))
        for kept in (True, False)
    )  # fmt: skip
    return carried, tied, redrawn_


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
    """The slowest group decides: -1/log of the largest slope."""
    chain = chain_of(ask.program)
    slopes = [
        ask.equation("correlation-slope", CorrelationSlope(*of_pair(group[0]), *subject.args)).right
        if chain.closed
        else ask.equation("difference-growth", DifferenceGrowth(group[0][0])).right
        for group in chain.groups
    ]
    return OfLetters(subject, -1 / sp.log(sp.Max(*slopes)))


def critical_parts(program: Program) -> tuple[sp.Expr, sp.Expr, sp.Symbol] | None:
    """Variance of the pre-activation at q = 0, its growth per q, and q; None but for one state, one activation."""
    q = letters(program)[0]
    if len(q) != 1:
        return None
    ((pair, letter),) = q.items()
    right = to_letters(Calculus(program).expand(Moment(*pair, t, t, FIRST, FIRST)), program, program.name)
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
    parts = critical_parts(ask.program)
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
    status="cited",
)
def dual_activation(subject: Any, ask: Ask) -> Claim:
    """The closed form of one Gaussian mean of a named activation."""
    found = closed_mean(subject)
    if found is None:
        raise NotClosed("dual-activation", "an activation of the table", subject, "It is evaluated by its series.")
    return EvaluatedMap(subject, found, subject)


BASE = {
    CorrelationMap: "correlation-map",
    VarianceMap: "variance-map",
    MapDerivative: "map-derivative",
    VarianceDerivative: "variance-derivative",
    DifferenceGrowth: "difference-growth",
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
    return EvaluatedMap(subject, nodes.xreplace(means), nodes)


def _closed_variance_slope(program: Program, subject: Any, ask: Ask) -> Claim:
    """The derivative in closed form, of several maps its spectral radius."""
    pair, at = pair_in(subject.args)
    q, group = letters(program)[0], _group_of(program, pair)
    if len(group) == 1:
        whole = ask("closed-form", VarianceMap(*of_pair(pair), *at))
        assert isinstance(whole, EvaluatedMap)
        return EvaluatedMap(subject, _closed_derivative(whole.nodes, q[pair]), whole.nodes, q[pair])
    maps = [_variance_in_steps(program, x, ask) for x in group]
    before = sp.Matrix([[_closed_derivative(map_, q[y]) for y in group] for map_ in maps])
    same = sp.Matrix([[_closed_derivative(map_, after(q[y])) for y in group] for map_ in maps])
    merged = {after(x): x for x in q.values()}
    solved = (sp.eye(len(group)) - same.xreplace(merged)).LUsolve(before.xreplace(merged))
    right = spectral_radius(solved.applyfunc(sp.expand).tolist())
    return EvaluatedRadius(subject, right, sp.Tuple(*maps), own=sp.Tuple(*(q[x] for x in group)))


def _closed_derivative(nodes: sp.Expr, letter: sp.Symbol) -> sp.Expr:
    """The derivative by the pre-activation variance, simplified in that alone, times its growth."""
    total = sp.diff(nodes.xreplace({node: sp.S.Zero for node in nodes.atoms(GaussianMean)}), letter)
    for node in sorted(nodes.atoms(GaussianMean), key=sp.default_sort_key):
        variance, *others = preactivation_variances(node)
        alone = closed_mean(GaussianMean(node.args[0], node.args[1], sp.Tuple(*(V for _ in node.args[2]))))
        if others or alone is None:
            raise NotClosed("variance-slope", "an activation of the table", node, "It is evaluated by its series.")
        slope = sp.diff(alone, V)
        slope = sp.simplify(slope) if slope.count_ops() < SHORT else slope
        total += nodes.coeff(node) * sp.diff(variance, letter) * slope.subs(V, variance)
    return total


@rule(
    "affine-fixed-point",
    source="an affine map of slope below one has one fixed point, and is drawn to it",
    rank=730,
    says="the variance map is affine; where its slope is below one its only fixed point is",
)
def affine_fixed_point(subject: Any, ask: Ask) -> Claim:
    """q = A q + b has one solution where no eigenvalue of A is one; variances, where all are below one."""
    program = ask.program
    pair, _ = pair_in(subject.args)
    q, group = letters(program)[0], _group_of(program, pair)
    wholes = [ask.equation("closed-form", VarianceMap(*of_pair(x), *q.values())) for x in group]
    own, maps = [q[x] for x in group], [whole.right for whole in wholes]
    if not all(map_.is_polynomial(*own) and sp.Poly(map_, *own).total_degree() <= 1 for map_ in maps):
        raise NotClosed(
            f"fixed point of {named(pair)}",
            "an affine variance map",
            maps[group.index(pair)],
            "wideproof.numeric.memory_horizon.fixed_points finds those of the others, in numbers.",
        )
    matrix = sp.Matrix(maps).jacobian(own).applyfunc(sp.expand)
    offset = sp.Matrix([map_.subs(dict.fromkeys(own, 0)) for map_ in maps])
    found = [sp.simplify(x) for x in (sp.eye(len(own)) - matrix).LUsolve(offset)]
    nodes = [whole.nodes for whole in wholes if isinstance(whole, EvaluatedMap)]
    below = sp.Lt(spectral_radius(matrix.tolist()), 1)
    kept = sp.Dict(dict(zip(own, found, strict=True)))
    return FixedAt(subject, kept[q[pair]], sp.Tuple(*nodes), kept, (below,))
