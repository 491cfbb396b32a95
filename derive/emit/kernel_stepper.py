"""The values of a kernel recursion on two batches of sequences: three families of moments, each when it is needed.

A Gaussian expectation over two sequences needs the variances within each of them, so the moments of (x, x) and
(x', x') are evaluated beside those of (x, x'), by the same equations. Every moment is computed once, after those it
needs; nothing is unrolled symbolically and nothing recurses.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
import sympy as sp

from wideproof.derive.algebra import ball_code
from wideproof.derive.algebra.array_code import emitted, namespace
from wideproof.derive.calculus.moments import FIRST, SECOND, Gram, Moment
from wideproof.derive.calculus.starts import Starts, differ
from wideproof.derive.emit.gap_coordinates import Above, Below, carried, law_gaps, parts, sum_gaps
from wideproof.derive.emit.on_demand import OnDemand
from wideproof.derive.emit.underflow import SMALLEST, Underflow, without_loss
from wideproof.derive.expectation.gaps import Gaps, by_subtraction, gaps_of_mean
from wideproof.derive.expectation.pair_integrals import MANY, Factor, Variables, value
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.expectation.tables.pair_tables import Host
from wideproof.derive.language.errors import NotClosed, ParameterError, TooLarge, TooSmall
from wideproof.derive.language.notation import s, t
from wideproof.derive.language.program import Program
from wideproof.derive.proof.claims import Recurrence

WITHIN_FIRST, WITHIN_SECOND, ACROSS = 0, 1, 2
SIDES = {(FIRST, FIRST): WITHIN_FIRST, (SECOND, SECOND): WITHIN_SECOND, (FIRST, SECOND): ACROSS}
Pair = tuple[sp.Expr, sp.Expr]
Index = tuple[int, int]
BALLS = "balls"
"""The name under which equations are compiled for ball arithmetic instead of for an array module."""
Spread = tuple[float, float]
"""The least and the largest variance of the variables of expectations."""
LONG = 512
"""Steps from which tables pay for any number of pairs, chosen for the variances of all steps: each takes a second."""
WIDEST = 16.0
"""The largest variance for which they are chosen so: over wider ranges there are none, or large ones."""
RECENT = 32
"""Laws of recent expectations are kept, so that a function and its derivative share angle and determinant."""
KEPT = 1024
"""Recently compiled equations are kept: kernels of one recursion at other variances read the same ones."""


class Key(NamedTuple):
    """One moment: whose, of which processes, at which times."""

    side: int
    pair: Pair
    times: Index


class Directions(NamedTuple):
    """Inputs as vectors of length one, or zero, and lengths.  Shapes: (N, T, n_x), (N, T)."""

    directions: Any
    sizes: Any


Look = Callable[[], Any]
"""A look at inputs that are given, which refuses some of them."""


class Inputs(Protocol):
    """Inner products of the inputs, and which of the pairs are one and the same sequence (None: not known)."""

    @property
    def same(self) -> Any:
        """0, 1 or an array of them."""
        ...

    @property
    def wanted(self) -> float:
        """How many pairs and steps are wanted in all: whether tables of expectations pay; many for long series."""
        ...

    @property
    def diagonal(self) -> bool:
        """Whether the two batches are one."""
        ...

    def looks(self) -> list[Look]:
        """The looks at inputs that are still to be made, by whoever takes them: they are not told again."""
        ...

    def directions(self, side: int) -> Directions:
        """The inputs of a side by directions and lengths."""
        ...

    def sequences(self, side: int) -> Any:
        """The inputs of a side.  Shapes: (N, T, n_x)."""
        ...

    def lengths(self, side: int) -> Any:
        """Their lengths.  Shapes: (N, T)."""
        ...

    @property
    def rounding(self) -> float:
        """How far inputs of less precision may be off, as a part of them."""
        ...

    def gaps(self, first: int, second: int) -> Gaps | None:
        """|x_first| |x'_second| less, and plus, their inner product, where they are known better than by that."""
        ...

    def gram(self, side: int, first: int, second: int) -> Any:
        """x_first . x'_second of a side; shapes broadcast over the batch."""
        ...

    def gram_error(self, side: int, first: int, second: int) -> Any:
        """How far rounding may have moved it: of the products that are summed, and of inputs of less precision."""
        ...

    def beside_all(self, first: int) -> Inputs | None:
        """A step of the first sequences beside all steps of the second, as sequences of one step; None: not known."""
        ...


class At(NamedTuple):
    """A time: an index of the equation (0, 1, or None for none) plus a whole number."""

    base: int | None
    offset: int

    def of(self, index: Index) -> int:
        """The time itself."""
        return self.offset + (0 if self.base is None else index[self.base])


class MomentNode(NamedTuple):
    """A Gaussian expectation in an equation: its factors, and the expressions of its means and covariances.

    `law` ends with the gaps of its two variables where they are known; `gapped` says that its own are wanted.
    """

    factors: tuple[Factor, ...]
    law: sp.Tuple
    length: int
    gapped: bool = False


@dataclass
class CompiledEquation:
    """One equation as array code: what it reads, which expectations it takes, and how it joins them.

    `stages` are the laws of expectations and the expectations, each stage after those that its laws contain. `gapped`
    are the places of the moments and of the inner products whose gaps are read; `gaps` are those of the left side.
    """

    moments: list[tuple[int, Pair, tuple[At, At]]]
    grams: list[tuple[int, tuple[At, At]]]
    gapped: tuple[list[int], list[int]]
    stages: list[tuple[Callable[..., Any], list[MomentNode]]]
    joined: Callable[..., Any]
    gaps: Callable[..., Any] | None

    def needs(self, index: Index) -> list[Key]:
        """The moments it reads at an index."""
        return [Key(side, pair, (i.of(index), j.of(index))) for side, pair, (i, j) in self.moments]


def _at(time: sp.Expr) -> At:
    for base, symbol in enumerate((t, s)):
        if time.has(symbol):
            return At(base, int(time - symbol))
    return At(None, int(time))


def placed(labels: tuple[sp.Expr, ...], times: tuple[sp.Expr, ...]) -> tuple[int, tuple[At, At], bool]:
    """Side, times and whether the two sequences are exchanged for it."""
    turned = labels == (SECOND, FIRST)
    first, second = map(_at, times)
    return SIDES[(FIRST, SECOND) if turned else labels], (second, first) if turned else (first, second), turned


@lru_cache(maxsize=KEPT)
def compiled_equation(
    expr: sp.Expr, symbols: tuple[sp.Symbol, ...], backend: str, gapped: bool, whole: bool
) -> CompiledEquation:
    """Compile the right side of an equation, where `gapped` with laws by their gaps, and if `whole` with its own."""
    own = parts(expr) if whole else None
    wanted = [expr, *(sum_gaps(own) if own else ())]
    laws = {mean: law_gaps(mean) for mean in expr.atoms(GaussianMean)} if gapped else {}
    wanted += [x for gaps in laws.values() if gaps for x in gaps]
    names, moments, grams = {}, [], []
    for atom in _sorted(wanted, Moment):
        side, at, turned = placed(atom.args[4:], atom.args[2:4])
        names[atom] = sp.Dummy(real=True)
        moments.append((side, (atom.args[1], atom.args[0]) if turned else atom.args[:2], at))
    for atom in _sorted(wanted, Gram):
        names[atom] = sp.Dummy(real=True)
        grams.append(placed(atom.args[2:], atom.args[:2])[:2])
    with_gaps = [[x for x in _sorted(wanted, kind) if any(e.has(Below(x)) for e in wanted)] for kind in (Moment, Gram)]
    letters = {f(atom): sp.Dummy(nonnegative=True) for kind in with_gaps for atom in kind for f in (Below, Above)}
    places = [
        [_sorted(wanted, kind).index(x) for x in kept] for kind, kept in zip((Moment, Gram), with_gaps, strict=True)
    ]
    arguments = [*symbols, *names.values(), *letters.values()]
    stages = []
    for level in levels(wanted):
        plain, nodes = [], []
        for atom in level:
            law = [x for part in atom.args[1:] for x in part] + list(laws.get(atom) or ())
            factors = tuple((str(name), int(order)) for name, order in atom.args[0])
            nodes.append(MomentNode(factors, sp.Tuple(*law), len(law), any(e.has(Below(atom)) for e in wanted)))
            plain += [x.xreplace(letters).xreplace(names) for x in law]
        stages.append((_code(list(arguments), plain, backend), nodes))
        for atom, node in zip(level, nodes, strict=True):
            own_letters = {f(atom): sp.Dummy(nonnegative=True) for f in (Below, Above)} if node.gapped else {}
            arguments += [name := sp.Dummy(real=True), *own_letters.values()]
            names[atom], letters = name, letters | own_letters
    top, *own_gaps = (x.xreplace(letters).xreplace(names) for x in wanted[: 3 if own else 1])
    means = [names[atom] for level in levels(wanted) for atom in level]
    joined = _code(arguments, sp.collect(sp.expand(top), means), backend)
    found = _code(arguments, own_gaps, backend) if own else None
    return CompiledEquation(moments, grams, (places[0], places[1]), stages, joined, found)


def _sorted(exprs: list[sp.Expr], kind: type[sp.Expr]) -> list[Any]:
    return sorted(set().union(*(x.atoms(kind) for x in exprs)), key=sp.default_sort_key)


def _code(arguments: list[sp.Expr], content: Any, backend: str) -> Callable[..., Any]:
    if backend != BALLS:
        return emitted(arguments, content, backend)
    function = ball_code.emitted(arguments, content)
    return lambda *balls: function(*balls, False)


def levels(exprs: list[sp.Expr]) -> list[list[GaussianMean]]:
    """The expectations of expressions, each list after those that stand in the laws of its members."""
    left = _sorted(exprs, GaussianMean)
    levels: list[list[GaussianMean]] = []
    while left:
        levels.append([x for x in left if not any(inner in x.atoms(GaussianMean) for inner in left if inner != x)])
        left = [x for x in left if x not in levels[-1]]
    return levels


@dataclass
class Equations:
    """The equations of a recurrence as rules, made when they are first needed."""

    recurrence: Recurrence
    program: Program
    symbols: tuple[sp.Symbol, ...]
    backend: str
    rules: dict[Any, CompiledEquation] = field(default_factory=dict)

    @cached_property
    def right(self) -> dict[Pair, sp.Expr]:
        """(u, v) -> E[u_t v_s; x, x'], also with the two sequences exchanged."""
        found = {
            e.left.args[:2]: e.right
            for e in self.recurrence.equations
            if not any(time.is_negative for time in e.left.args[2:4])
        }
        turn = {t: s, s: t, FIRST: SECOND, SECOND: FIRST}
        return {(v, u): right.xreplace(turn) for (u, v), right in found.items()} | found

    def output(self, index: Index) -> CompiledEquation:
        """The rule of the kernel itself."""
        return self._rule(None, ACROSS, self.recurrence.right, index)

    def of(self, key: Key) -> CompiledEquation:
        """The rule of a moment at times that are not negative."""
        return self._rule(key.pair, key.side, self.right[key.pair], key.times)

    @cached_property
    def starts(self) -> Starts:
        """What the recurrence says about the time before the first step."""
        return Starts.of(self.recurrence)

    @cached_property
    def starts_differ(self) -> bool:
        """Whether each sequence has its own draw of a start."""
        return differ(self.recurrence)

    def before(self, key: Key, same: bool) -> CompiledEquation:
        """The rule of a moment with a time before the first step; `same` takes both sequences for one."""
        early = tuple(time < 0 for time in key.times)
        right = self.starts.right(key.pair, key.times, same)
        return self._rule((key.pair, early, same), key.side, right, key.times)

    def is_zero(self, key: Key) -> bool:
        """Whether one of the two states is at rest before the first step, and the moment is there."""
        return any(time < 0 and self.starts.at_rest(u) for u, time in zip(key.pair, key.times, strict=True))

    def rests(self, pairs: Iterable[Pair]) -> bool:
        """Whether all states of some moments are stated to be zero before the first step."""
        return all(self.starts.at_rest(u) for pair in pairs for u in pair)

    @cached_property
    def carried(self) -> frozenset[Pair]:
        """The pairs of processes whose gaps are carried beside their moments; balls hold their angle as it is."""
        return frozenset() if self.backend == BALLS else carried(self.recurrence)

    def _rule(self, pair: Any, side: int, expr: sp.Expr, index: Index) -> CompiledEquation:
        known = (pair, side, index[0] == index[1] if expr.has(sp.KroneckerDelta) else None)
        if known not in self.rules:
            within = {WITHIN_FIRST: {SECOND: FIRST}, WITHIN_SECOND: {FIRST: SECOND}}.get(side, {})
            gapped = side == ACROSS and bool(self.carried)
            whole = gapped and known[2] is not False and pair in self.carried
            right = settled(expr, index).xreplace(within)
            self.rules[known] = compiled_equation(right, self.symbols, self.backend, gapped, whole)
        return self.rules[known]

    @cached_property
    def equal_times(self) -> bool:
        """Whether moments across sequences read each other at one lag of the two times only."""
        return all(
            len({(i.base, i.offset - j.offset) for i, j in [at]}) == 1
            and i.offset == j.offset
            and (i.base, j.base) == (0, 1)
            for pair in [None, *self.across]
            for side, _, at in self._generic(pair).moments
            if side == ACROSS
            for i, j in [at]
        )

    @cached_property
    def across(self) -> list[Pair]:
        """The pairs of processes whose moments across sequences the kernel depends on."""
        found: list[Pair] = []
        todo = [pair for side, pair, _ in self._generic(None).moments if side == ACROSS]
        while todo:
            pair = todo.pop()
            if pair not in found:
                found.append(pair)
                todo += [p for side, p, _ in self._generic(pair).moments if side == ACROSS]
        return found

    @cached_property
    def within(self) -> list[tuple[int, Pair]]:
        """The sides and pairs of processes within sequences that moments across them read."""
        rules = [self._generic(pair) for pair in (None, *self.across)]
        return sorted({(side, pair) for rule in rules for side, pair, _ in rule.moments if side != ACROSS}, key=str)

    @cached_property
    def pairs_within(self) -> list[Pair]:
        """Those pairs of processes, of either side."""
        return [*dict.fromkeys(pair for _, pair in self.within)]

    def _generic(self, pair: Pair | None) -> CompiledEquation:
        return self.output((1, 1)) if pair is None else self.of(Key(ACROSS, pair, (1, 1)))


def settled(expr: sp.Expr, index: Index) -> sp.Expr:
    """An equation with its question whether the two steps are one answered."""
    at = dict(zip((t, s), index, strict=True))
    known = {d: sp.Integer(d.args[0].subs(at) == d.args[1].subs(at)) for d in expr.atoms(sp.KroneckerDelta)}
    return expr.xreplace(known)


class Move(NamedTuple):
    """Which numbers are moved by their error: those within a sequence, those across two that differ, and of which kind.

    Gaussian expectations, of functions or of `slopes`, move by the estimate of their own error, moments and inner
    products of inputs by their rounding.
    """

    within: float
    across: float
    slopes: bool = False


STILL = Move(0.0, 0.0)
MOVES = tuple(Move(*signs, slopes) for signs in ((1.0, 0.0), (0.0, 1.0)) for slopes in (False, True))
"""One group of numbers after the other: an entry's error is the sum of what it does then."""
ROUNDING = float(np.finfo(float).eps)
TURNED = 4.0
"""Units of rounding by which an angle is off after one equation."""


class Stepper(OnDemand[Key]):
    """The moments of one pair of batches, computed on demand, where asked with some numbers moved by their errors.

    `within` are those within the sequences of a side at all equal times, where a loop has worked them out: (N, T + 1),
    from the time before the first step on; `lengths` those of the inputs of a side, (T, N), worked out there too.
    """

    def __init__(
        self,
        equations: Equations,
        inputs: Inputs,
        parameters: Mapping[str, Any],
        sizes: tuple[int, int],
        move: Move = STILL,
    ) -> None:
        super().__init__()
        self.equations, self.inputs, self.move = equations, inputs, move
        self.parameters = [parameters[symbol.name] for symbol in equations.symbols]
        self.within: dict[tuple[int, Pair], Host] = {}
        self.lengths: dict[int, Host] = {}
        self.gaps: dict[Key, Gaps] = {}
        self.laws: dict[Any, Variables] = {}
        self.spread: Spread | None = None
        self.seen: list[float] | None = None
        self.ends = {WITHIN_FIRST: (sizes[0],) * 2, WITHIN_SECOND: (sizes[1],) * 2, ACROSS: sizes}
        if equations.starts_differ and inputs.same is None:
            raise ParameterError(
                "kernel",
                "same, which pairs are one sequence",
                "none",
                "The starts are drawn anew for each sequence: pass same=True or False, or an array.",
            )

    @cached_property
    def numbers(self) -> Host:
        """The parameters as loops read them."""
        return np.array(self.parameters, dtype=np.float64)

    def table(self, sizes: tuple[int, int]) -> list[list[Any]]:
        """The kernel at all times."""
        return [[self.output((i, j)) for j in range(sizes[1])] for i in range(sizes[0])]

    def last(self, sizes: tuple[int, int]) -> Any:
        """The kernel at the last times; of moments at equal lags only two steps are kept."""
        end = (sizes[0] - 1, sizes[1] - 1)
        if self.equations.equal_times:
            if end[0] >= LONG:
                self.measure_within()
            for back in range(min(end), -1, -1):
                index = (end[0] - back, end[1] - back)
                for pair in self.equations.across:
                    self.value(Key(ACROSS, pair, index))
                self._forget(index)
        return self.output(end)

    def measure_within(self) -> None:
        """Work out the moments within sequences at all times, and tell tables between which variances they lie."""
        if self.equations.backend != "numpy":
            return
        self.seen = []
        for side, pair in self.equations.within:
            for time in range(self.ends[side][0]):
                self.value(Key(side, pair, (time, time)))
        within, self.seen = self.seen, None
        if within and max(within) <= WIDEST:
            self.spread = min(within), max(within)

    def _forget(self, index: Index) -> None:
        for key in [k for k in self.values if k.side == ACROSS and k.times[0] < index[0]]:
            del self.values[key]
            self.gaps.pop(key, None)
        self.laws.clear()

    def output(self, index: Index) -> Any:
        """The kernel at one pair of times."""
        rule = self.equations.output(index)
        for key in rule.needs(index):
            self.value(key)
        return self._apply(rule, ACROSS, index)[0]

    def within_at(self, side: int, pair: Pair, times: range, count: int) -> Host:
        """Moments within so many sequences of a side at equal times.  Shapes: (N, times)."""
        if (side, pair) in self.within:
            return self.within[side, pair][:, times.start + 1 : times.stop + 1]
        found = [np.ravel(self.value(Key(side, pair, (time, time)))) for time in times]
        return np.stack([np.broadcast_to(x, count) for x in found], axis=1)

    def needs(self, key: Key) -> list[Key]:
        """The moments from which one is worked out."""
        return [] if self._is_there(key) else self._needed(key, self._rules(key))

    def work_out(self, key: Key) -> Any:
        """The right side of its equation, or of its start; what a loop has worked out as it is."""
        if self._is_there(key):
            found = self.within[key.side, key.pair][:, key.times[0] + 1]
            return found[:, None] if key.side == WITHIN_FIRST else found[None, :]
        return self._value(key, self._rules(key))

    def _is_there(self, key: Key) -> bool:
        return key.times[0] == key.times[1] >= 0 and key[:2] in self.within

    def _needed(self, key: Key, rules: list[CompiledEquation]) -> list[Key]:
        """The moments from which one is worked out by its rules."""
        return [k for rule in rules for k in rule.needs(key.times)] + self._alone(key, rules)

    def _rules(self, key: Key) -> list[CompiledEquation]:
        if any(time >= end for time, end in zip(key.times, self.ends[key.side], strict=True)):
            return []  # beyond the end of the sequence backward states are zero
        if min(key.times) >= 0:
            return [self.equations.of(key)]
        if self.equations.is_zero(key):
            return []
        if key.side == ACROSS and max(key.times) < 0 and self.inputs.same is not None:
            return [self.equations.before(key, same) for same in (False, True)]
        return [self.equations.before(key, key.side != ACROSS)]

    def _alone(self, key: Key, rules: list[CompiledEquation]) -> list[Key]:
        """The variances that a moment's gaps are told by, where its rule does not tell them."""
        if key.side != ACROSS or key.pair not in self.equations.carried or not rules or rules[0].gaps:
            return []
        return [
            Key(side, key.pair, (time, time))
            for side, time in zip((WITHIN_FIRST, WITHIN_SECOND), key.times, strict=True)
        ]

    def _value(self, key: Key, rules: list[CompiledEquation]) -> Any:
        found = [self._apply(rule, key.side, key.times) for rule in rules]
        value = found[0][0] if found else 0.0
        if len(found) == 2:
            value = self.inputs.same * found[1][0] + (1 - self.inputs.same) * value
        if key.side == ACROSS and key.pair in self.equations.carried:
            xp, own = namespace(self.equations.backend), [self.values[k] for k in self._alone(key, rules)]
            self.gaps[key] = by_subtraction(xp, value, *own) if own else found[0][1] if found else Gaps(0.0, 0.0)
        return value

    def _apply(self, rule: CompiledEquation, side: int, index: Index) -> tuple[Any, Any]:
        """The value of a rule at an index, and its gaps where it tells them.

        Underflow, and where NumPy is told to raise, overflow come with the step.
        """
        where = f"kernel of {self.equations.program.name}"
        try:
            return self._applied(rule, index, 0.0 if self.move == STILL else self._sign(side, index))
        except FloatingPointError as error:
            raise TooLarge(where, f" from step {max(index)} on") from error
        except Underflow as error:
            raise TooSmall(
                where,
                f"moments that are zero, or above {SMALLEST:.3g}",
                f"an underflow at step {max(index)}",
                "A moment of the recursion decays to where doubles lose their digits: take larger variances or inputs, "
                "or fewer steps.",
            ) from error

    def _applied(self, rule: CompiledEquation, index: Index, sign: Any) -> tuple[Any, Any]:
        keys, times = rule.needs(index), [(side, (i.of(index), j.of(index))) for side, (i, j) in rule.grams]
        read = [self.values[key] for key in keys] + [self._gram(*at) for at in times]
        read += [x for place in rule.gapped[0] for x in self.gaps[keys[place]]]
        read += [x for place in rule.gapped[1] for x in self._gram_gaps(times[place][1], sign)]
        found: list[Any] = []
        for laws, nodes in rule.stages:
            known = all((node.law, index) in self.laws for node in nodes)
            law = iter(() if known else laws(*self.parameters, *read, *found))
            for node in nodes:
                found += self._node(node, list(itertools.islice(law, node.length)), index, sign)
        numbers = [*self.parameters, *read, *found]
        joined, gaps = self._joined(rule, numbers), rule.gaps and Gaps(*rule.gaps(*numbers))
        if self.move == STILL:
            return joined, gaps
        return joined * (1.0 + sign * ROUNDING), gaps and self._turned(gaps, sign * ROUNDING)

    def _turned(self, gaps: Gaps, by: Any) -> Gaps:
        """Gaps after their angle is moved by some units of rounding."""
        xp = namespace(self.equations.backend)
        root = xp.sqrt(gaps.below) * xp.sqrt(gaps.above)
        return Gaps(*(xp.maximum(gap + TURNED * by * (gap + root), 0.0) for gap in gaps))

    def _joined(self, rule: CompiledEquation, numbers: list[Any]) -> Any:
        """The polynomial of a rule; what is moved may underflow: where it moves from has been refused if it did."""
        if self.move != STILL:
            return rule.joined(*numbers)
        return without_loss(rule.joined, numbers, self.equations.backend)

    def _gram(self, side: int, times: Index) -> Any:
        found = self.inputs.gram(side, *times)
        if self.move == STILL:
            return found
        return found + self._sign(side, times) * self.inputs.gram_error(side, *times)

    def _gram_gaps(self, times: Index, sign: Any) -> Gaps:
        found = self.inputs.gaps(*times)
        if found is None:
            own = (
                self._gram(side, (time, time)) for side, time in zip((WITHIN_FIRST, WITHIN_SECOND), times, strict=True)
            )
            return by_subtraction(namespace(self.equations.backend), self._gram(ACROSS, times), *own)
        return found if self.move == STILL else self._turned(found, sign * (ROUNDING + self.inputs.rounding))

    def _node(self, node: MomentNode, law: list[Any], index: Index, sign: Any) -> list[Any]:
        """An expectation, moved where its kind is, and its gaps where they are wanted."""
        key = (node.law, index)
        if key not in self.laws:
            if len(self.laws) > RECENT:
                self.laws.clear()
            wanted = self.inputs.wanted if self.spread is None else max(self.inputs.wanted, MANY)
            self.laws[key] = variables_of(law, self.equations.backend, wanted, self.spread)
        variables = self.laws[key]
        if self.seen is not None:
            self.seen += [float(f(x)) for x in variables.variances for f in (np.min, np.max)]
        moved = self.move != STILL and any(order for _, order in node.factors) == self.move.slopes
        mean, error = value(node.factors, variables, doubted=moved)
        if moved:
            mean = mean + sign * error
        if not node.gapped:
            return [mean]
        gaps = gaps_of_mean(*node.factors[0], variables, mean, lambda: self._squares(node, variables))
        return [mean, *(gaps if self.move == STILL else self._turned(gaps, sign * ROUNDING))]

    def _squares(self, node: MomentNode, v: Variables) -> tuple[Any, Any]:
        """E[phi(u)^2] and E[phi(v)^2] of the two variables of an expectation."""
        alone = [Variables(v.backend, (a, a), a, (mean, mean)) for a, mean in zip(v.variances, v.means, strict=True)]
        return value(node.factors, alone[0], False)[0], value(node.factors, alone[1], False)[0]

    def _sign(self, side: int, index: Index) -> Any:
        """Where the numbers of a moment move: those across equal sequences are those within one."""
        if side != ACROSS:
            return self.move.within
        if index[0] != index[1] or index[0] >= len(self._equal):
            return self.move.across
        xp = namespace(self.equations.backend)
        return xp.where(self._equal[index[0]], self.move.within, self.move.across)

    @cached_property
    def _equal(self) -> list[Any]:
        """At each time, which pairs of sequences are equal up to it, by their inner products."""
        found: list[Any] = []
        for time in range(min(self.ends[ACROSS])):
            own, other, both = (self.inputs.gram(side, time, time) for side in (WITHIN_FIRST, WITHIN_SECOND, ACROSS))
            found.append((own + other == 2.0 * both) & (found[-1] if found else True))
        return found


def variables_of(law: list[Any], backend: str, wanted: float = 1.0, spread: Spread | None = None) -> Variables:
    """The means and covariances of one variable (taken twice) or of two, as `Variables`."""
    xp = namespace(backend)
    law = [xp.asarray(x, dtype=xp.float64) for x in law]
    first, second, a, c, b, *gaps = law if len(law) >= 5 else (law[0], law[0], law[1], law[1], law[1])
    known = Gaps(*gaps) if gaps else None
    return Variables(backend, (a, b), c, (first, second), rounded=True, wanted=wanted, spread=spread, known=known)


@dataclass(frozen=True)
class Grams:
    """Inner products given as arrays: X (..., T, T') and, within each sequence, X1 (..., T, T) and X2 (..., T', T')."""

    across: Any
    first: Any
    second: Any
    same: Any = None
    wanted: float = 1.0
    diagonal: bool = False
    rounding: float = 0.0

    def looks(self) -> list[Look]:
        """None."""
        return []

    def directions(self, side: int) -> Directions:
        """Never: products do not tell them.  Errors: NotClosed."""
        raise NotClosed("Grams", "inputs", "their inner products", "Sweeps are of sequences.")

    sequences = lengths = directions

    def gaps(self, first: int, second: int) -> None:
        """None: they are left to a subtraction of the entries."""

    def gram(self, side: int, first: int, second: int) -> Any:
        """One entry of each matrix of the batch."""
        return (self.first, self.second, self.across)[side][..., first, second]

    def gram_error(self, side: int, first: int, second: int) -> Any:
        """The rounding of that entry, given as it is."""
        return ROUNDING * abs(self.gram(side, first, second))

    def beside_all(self, first: int) -> None:
        """None: the arrays broadcast as they are."""
