"""The second moments of two runs at equal times as one map, the letters they have, and the groups that feed each other.

The moments are those of every state, and of every pair of states that one of them reads, for instance through one
matrix: E[h g'] then has a letter of its own, and one equation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import sympy as sp

from wideproof.derive.algebra.perron_roots import strong_components
from wideproof.derive.calculus.linear_reads import is_affine, state_reads
from wideproof.derive.calculus.moments import FIRST, SECOND, Calculus, Gram, Moment
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.activations import Phi, RealFunction, Z, definition
from wideproof.derive.language.errors import DeriveError, NotClosed, ParameterError
from wideproof.derive.language.notation import latex_name, parameter, t
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Program, State, Updated, coordinates_of

SIZE = parameter("X")
"""x_t . x_t, the size of the inputs that both runs see."""
PREACTIVATION = parameter("a")
"""The variance of the argument of the activation."""


class _OfRuns(RealFunction):
    """A number about two runs: a state, then letters."""

    head = ""

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        states = [x for x in self.args if isinstance(x, Coordinate)]
        shown = [printer._print(x) for x in self.args if x not in states]
        names = ",".join(latex_name(x.label.rstrip("'")) for x in dict.fromkeys(states))
        body = f"{self.head}_{{{names}}}" if states else self.head
        body += rf"\left({', '.join(shown)}\right)" if shown else ""
        return f"{{{body}}}^{{{exp}}}" if exp else body


class VarianceMap(_OfRuns):
    """E[h_t^2] from the moments q one step before; arguments the state, or a pair, and the letters q."""

    head = r"\mathcal{V}"


class VarianceSlope(_OfRuns):
    """The spectral radius of the derivative of the variance maps of a state and of all that it feeds and reads."""

    head = r"\chi^{\mathcal{V}}"


class CorrelationMap(_OfRuns):
    """E[h_t h'_t] of two runs, from q and c one step before; arguments the state, or a pair, the letters q and c."""

    head = r"\mathcal{C}"


class CorrelationSlope(_OfRuns):
    """The spectral radius of the derivative of the correlation maps of a state and of all that it feeds and reads."""

    head = r"\chi"


class MapDerivative(_OfRuns):
    """The derivative of the moment of one pair by that of another one step before; arguments both pairs, q and c."""

    head = r"\partial\mathcal{C}"


class VarianceDerivative(_OfRuns):
    """The derivative of the variance map of one pair by the letter of another; arguments both pairs and q."""

    head = r"\partial\mathcal{V}"


class DifferenceGrowth(_OfRuns):
    """The growth per step of E[(h_t - h'_t)^2] of two runs of a linear recursion with the same inputs."""

    head = r"\chi"


class FixedPoint(_OfRuns):
    """The moment that the variance map keeps; arguments the state or pair, and the letters of those before it."""

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


class CriticalVariance(_OfRuns):
    """The variance at which the slope of a state and of all that feed it is one; arguments state or pair, variance."""

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = rf"{printer._print(self.args[-1])}^{{\mathrm{{crit}}}}"
        return f"{{{body}}}^{{{exp}}}" if exp else body


Pair: TypeAlias = tuple[Coordinate, Coordinate]
"""Two updated states, or one twice, in the order of their declaration."""


@dataclass(frozen=True)
class Chain:
    """The states in the order of their declaration, the moments in groups, and the letter of a pre-activation variance.

    A group holds the moments that feed each other from step to step; each stands after the groups it reads.
    """

    states: dict[State, Coordinate]
    groups: tuple[tuple[Pair, ...], ...]
    closed: bool = True
    preactivation: sp.Symbol = PREACTIVATION


def declared(program: Program) -> list[Coordinate]:
    """The updated states in the order of their declaration, whatever that of the updates."""
    return [program.updated[state] for state in program.states]


@lru_cache(maxsize=64)
def pairs_of(program: Program) -> tuple[Pair, ...]:
    """The moments at equal times that determine each other: of every state, then of the pairs that are read."""
    found: list[Pair] = [(u, u) for u in declared(program)]
    for u, v in found:
        right = Calculus(program).expand(Moment(u, v, t, t, FIRST, SECOND))
        for x in sorted(right.atoms(Moment), key=sp.default_sort_key):
            pair = pair_of(x, program)
            if pair is not None and pair not in found:
                found.append(pair)
    return tuple(found)


def pair_of(moment: Moment, program: Program) -> Pair | None:
    """The two states of a moment at equal times; None for another moment."""
    order = declared(program)
    if moment.args[2] != moment.args[3] or not all(u in order for u in moment.args[:2]):
        return None
    first, second = sorted(moment.args[:2], key=order.index)
    return first, second


def named(pair: Pair) -> str:
    """The name of a moment: of its state, or of both."""
    return "_".join(dict.fromkeys(u.label.rstrip("'") for u in pair))


def letters(program: Program) -> tuple[dict[Pair, sp.Symbol], dict[Pair, sp.Symbol]]:
    """Pair -> its moment q in one run, and -> its moment c between the two runs."""
    pairs = pairs_of(program)
    ends = {pair: "" if len(pairs) == 1 else f"_{named(pair)}" for pair in pairs}
    return (
        {x: parameter(f"q{end}") if x[0] == x[1] else sp.Symbol(f"q{end}", real=True) for x, end in ends.items()},
        {x: sp.Symbol(f"c{end}", real=True) for x, end in ends.items()},
    )


def of_pair(pair: Pair) -> tuple[Coordinate, ...]:
    """The pair as arguments: one state once."""
    return tuple(dict.fromkeys(pair))


def reads_updated(program: Program, pair: Pair) -> bool:
    """Whether an update of the pair reads a state after its update of the same step."""
    todo, seen = [program.bodies[u] for u in pair], set[Coordinate]()
    while todo:
        for c in set(coordinates_of(todo.pop())) - seen:
            seen.add(c)
            term = program.table[c]
            todo += [term.vector] if isinstance(term, MatVec) else []
    return any(isinstance(program.table[c], Updated) for c in seen)


def pair_in(args: Sequence[sp.Expr]) -> tuple[Pair, tuple[sp.Expr, ...]]:
    """The pair that a list of arguments begins with, and the rest."""
    states = [x for x in args if isinstance(x, Coordinate)]
    return (states[0], states[-1]), tuple(args[len(states) :])


def after(letter: sp.Symbol) -> sp.Symbol:
    """The letter of a moment after the update, where another update of the same step reads it."""
    return sp.Symbol(f"{letter.name}'", **letter.assumptions0)


class Memoryless(NotClosed):
    """No state feeds itself: there is nothing to remember."""


@lru_cache(maxsize=64)
def chain_of(program: Program) -> Chain:
    """The moments of a program in groups; `closed` is False where only the difference of two runs has a slope.

    Errors: NotClosed, naming the reason, where the moments at equal times do not determine each other; Memoryless where
    no state feeds itself; ParameterError for a parameter that has the name of a letter.
    """
    where = f"memory({program.name})"
    refuse_gates(program, where)
    closed = True
    try:
        feeds: dict[Any, set[Any]] = _feeds(program, where)
    except DeriveError as error:
        if not is_affine(program):
            raise NotClosed(where, error.expected, error.got, error.hint) from None
        feeds, closed = _linear_feeds(program, where), False
    refuse_names(program, where)
    groups = strong_components(feeds)
    if not any(set(group) & feeds[pair] for group in groups for pair in group):
        raise Memoryless(
            where,
            "a state that feeds itself from step to step",
            "none",
            "There is no memory over time. The depth of a feed-forward net is the time of an Elman "
            "recursion with tied=False: memory(models.elman(activation=…, tied=False)).",
        )
    free = next(x for x in map(parameter, (PREACTIVATION.name, "a_z", "a_zz")) if x.name not in program.symbols)
    return Chain({state: program.updated[state] for state in program.states}, groups, closed, free)


def refuse_names(program: Program, where: str) -> None:
    """Raise ParameterError where a letter has the name of a parameter, or two moments have one letter."""
    own = [x.name for group in letters(program) for x in group.values()] + [SIZE.name]
    if taken := sorted((set(own) & set(program.symbols)) | {x for x in own if own.count(x) > 1}):
        raise ParameterError(
            where,
            f"names other than {', '.join(sorted(set(own)))}",
            ", ".join(taken),
            "These letters stand for the moments of the two runs; rename the parameter, or the state.",
        )


def _feeds(program: Program, where: str) -> dict[Pair, set[Pair]]:
    """The moments that each moment reads, at the same step or the one before."""
    c, feeds = letters(program)[1], dict[Pair, set[Pair]]()
    for pair in pairs_of(program):
        right = Calculus(program).expand(Moment(*pair, t, t, FIRST, SECOND))
        mapped = to_letters(right, program, where)
        if redrawn_moments(right, program):
            for u in of_pair(pair):
                refuse_means(Calculus(program).expand(Moment(sp.S.One, u, t, t, FIRST, FIRST)), program, where)
        feeds[pair] = {x for x in c if mapped.has(c[x])}
    return feeds


def _linear_feeds(program: Program, where: str) -> dict[Pair, set[Pair]]:
    """The states that each linear state reads, where none is fed back through another one."""
    reads = state_reads(program, program.bodies)
    feeds = {(u, u): {(read.source, read.source) for read in reads if read.target == u} for u in declared(program)}
    if wide := next((group for group in strong_components(feeds) if len(group) > 1), None):
        raise NotClosed(
            where,
            "second moments that close at equal times, or linear states that no other state feeds back",
            f"the states {', '.join(u.label for u, _ in wide)}, which feed each other",
            "A state that carries itself over is correlated with W h of the same step through all earlier ones, so "
            "moments of unequal times enter. Redrawn matrices have a map: "
            "wideproof.derive.language.variants.untied(model).",
        )
    return feeds


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


def to_letters(right: sp.Expr, program: Program, where: str, staged: bool = False) -> sp.Expr:
    """Moments at equal times as the letters q and c, inputs as X; NotClosed for moments of unequal times.

    A moment of a state with what is redrawn one step later is a product of means, and centred states have none. A
    moment of the same step has the same letter as that of the step before, or where `staged` the primed one.
    """
    q, c = letters(program)
    table: dict[sp.Expr, sp.Expr] = {}
    for x in right.atoms(Gram, Moment):
        first, second, a, b = x.args[-4:]
        if isinstance(x, Moment) and is_redrawn(program, x):
            table[x] = sp.S.Zero
        elif isinstance(x, Gram):
            if first != second:
                raise NotClosed(where, "inputs at equal times", x, "Both runs are read at one step.")
            table[x] = SIZE
        elif (pair := pair_of(x, program)) is None:
            raise NotClosed(
                where,
                "second moments that close at equal times",
                x,
                "A state that carries itself over (leaky, residual) is correlated with W h of the same "
                "step through all earlier ones, so unequal times enter: no map of tied matrices is known "
                "to wideproof. The approximation by redrawn ones has one: "
                "wideproof.derive.language.variants.untied(model).",
            )
        else:
            letter = (q if a == b else c)[pair]
            table[x] = after(letter) if staged and first == t else letter
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
