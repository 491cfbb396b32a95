"""Exact moments of the impulse response at finite width, by pairings of the readouts and loop equations.

Averaging over readout and input map leaves products of traces of words in W and its transpose. One integration by
parts removes a letter G of the first word and one partner, and leaves shorter words (G standard Gaussian, n x n):
    tr(G A G B) -> tr(A B^T)        tr(G A G^T B) -> tr(A) tr(B)
    tr(G A) tr(G B) -> tr(A B^T)    tr(G A) tr(G^T B) -> tr(A B)
Words are remembered up to rotation, transposition and order; tr of the empty word is n.
Source: the entries' covariance and E[G f(G)] = E[df/dG]; erratum E2.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp

from wideproof.derive.calculus.moments import is_linear
from wideproof.derive.calculus.recursion_rules import OUTPUT
from wideproof.derive.emit.derivation import Derivation, as_program, reads
from wideproof.derive.language.errors import NotClosed, NotLinear, ParameterError
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import Coordinate, MatVec, Parameter, Previous, Program, Updated, coordinates_of
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

Word = tuple[int, ...]
"""Letters of a trace: +k for the k-th Gaussian matrix, -k for its transpose."""
Polynomial = tuple[int, ...]
"""Coefficients of 1, n, n^2, ..."""


class ResponseMoment(sp.Function):
    """E of the product of one entry of L at the lags listed, at width n: arguments n, then the lags."""

    def _latex(self, printer: Any) -> str:
        lags = [printer._print(x) for x in self.args[1:]]
        return rf"\mathbb{{E}}_n\left[{' '.join(rf'(L_{{{x}}})_{{11}}' for x in lags)}\right]"


class TraceMean(sp.Function):
    """E of a product of traces of words in standard Gaussian n x n matrices: arguments n, then the words."""

    def _latex(self, printer: Any) -> str:
        traces = [rf"\mathrm{{tr}}\left({_word_latex(word)}\right)" for word in self.args[1:]]
        return rf"\mathbb{{E}}\left[{' '.join(traces)}\right]"


def _word_latex(word: sp.Tuple) -> str:
    if not word:
        return "I"
    letters = ["G" + (f"_{{{abs(x)}}}" if max(map(abs, word)) > 1 else "") for x in word]
    return " ".join(a + (r"^{\mathsf{T}}" if x < 0 else "") for a, x in zip(letters, word, strict=True))


def moments(
    recursion: Recursion | Program, lag: int | None = None, order: int = 2, lags: Sequence[int] | None = None
) -> Derivation:
    """E of L_j^order for one entry of L_j at any width n, exactly: a polynomial in 1/n; `lags` mixes lags.

    Shapes: formula in n and the variances.  Units: (output/input)^order.
    Errors: NotLinear; NotClosed unless the recursion has one state whose update is matrices times it plus input;
    ParameterError for negative lags or an odd or missing order.  The cost grows fast with lag times order.
    Source: loop equations; erratum E2 is the case order 2.

    >>> exact = wp.moments(wp.models.linear_rnn(), lag=2, order=2).formula.compile()
    >>> exact(n=10, nu_W=1.0, nu_F=1.0, nu_C=1.0)
    np.float64(1.02)
    """
    program = as_program(recursion)
    if not is_linear(program):
        raise NotLinear(f"moments({program.name})", "a linear recursion", "another", "Its moments do not close.")
    if (lag is None) == (lags is None):
        raise ParameterError("moments", "either a lag or lags", (lag, lags), "moments(rnn, lag=3, order=4).")
    if isinstance(order, bool) or not isinstance(order, int):
        raise ParameterError("moments: order", "an even whole number", order, "moments(rnn, lag=3, order=4).")
    given = tuple(lags) if lags is not None else (lag,) * order
    wanted = sorted(x for x in given if isinstance(x, int) and x >= 0)
    if not wanted or len(wanted) % 2 or len(wanted) != len(given):
        raise ParameterError("moments", "an even number of whole lags >= 0", given, "Odd moments vanish.")
    chain_of(program)
    proof = prove(program, "readout-pairings", ResponseMoment(n, *wanted))
    return Derivation("moments", proof)


reads("moments", n)


@dataclass(frozen=True)
class ScalarChain:
    """L_j = n^{-(j+1)/2} C W^j F with Gaussian C, W, F of these variances; W is redrawn each step unless tied."""

    readout: sp.Expr
    transition: sp.Expr
    inputs: sp.Expr
    tied: bool


def chain_of(program: Program) -> ScalarChain:
    """Read the effective Gaussian matrices off a recursion with one state; NotClosed for any other."""
    hint = "Exact moments need one state, updated by matrices times itself plus input maps."
    if len(program.updates) != 1:
        raise NotClosed(f"moments({program.name})", "one state", len(program.updates), hint)
    body = program.updates[0][1]
    groups: dict[str, dict[Parameter, sp.Expr]] = {"matrix": {}, "input_map": {}, "readout": {}}
    for expr in (body, program.output):
        for c in coordinates_of(expr):
            term = program.table[c]
            if not isinstance(term, MatVec) or not _is_plain(program, term):
                raise NotClosed(f"moments({program.name})", "matrices times the state, or inputs", c.label, hint)
            groups[term.matrix.role][term.matrix] = sp.diff(expr, c)
    tied = {x.tied for group in groups.values() for x in group if x.role == "matrix"}
    others = [x for group in groups.values() for x in group if x.role != "matrix" and not x.tied]
    if len(tied) > 1 or others or not all(groups.values()):
        raise NotClosed(
            f"moments({program.name})",
            "tied readouts and input maps, and one kind of transition",
            program.parameters,
            hint,
        )
    variance = {
        role: sp.expand(sp.Add(*(c**2 * x.variance for x, c in group.items()))) for role, group in groups.items()
    }
    return ScalarChain(variance["readout"], variance["matrix"], variance["input_map"], tied.pop())


def _is_plain(program: Program, term: MatVec) -> bool:
    if term.matrix.role == "input_map":
        return True
    wanted = Previous if term.matrix.role == "matrix" else Updated
    return isinstance(term.vector, Coordinate) and isinstance(program.table[term.vector], wanted)


# ---- rules ----------------------------------------------------------------------------------------
@rule(
    "readout-pairings",
    source="isserlis1918formula, over the entries of readout and input map",
    rank=780,
    says=(
        "pair the readouts and the input maps in every possible way; each pairing closes the products of "
        "transition matrices into traces, hence"
    ),
)
def readout_pairings(subject: Any, ask: Ask) -> Claim:
    """Each pairing of the readouts and each of the input maps closes the words into traces."""
    program = ask.program
    ask("recursion", program.updates[0][0])
    ask("recursion", OUTPUT)
    chain = chain_of(program)
    _, *lags = subject.args
    words = [_powers(int(lag), chain.tied) for lag in lags]
    total = sp.S.Zero
    for loops in (
        closed_loops(words, left, right)
        for left in pairings(tuple(range(len(words))))
        for right in pairings(tuple(range(len(words))))
    ):
        claim = ask.equation("loop-equations", trace_mean(loops))
        total += claim.right
    half, steps = len(lags) // 2, int(sum(lags))
    scale = (chain.readout * chain.inputs) ** half * chain.transition ** sp.Rational(steps, 2)
    return Equation(subject, scale * sp.expand(total / n ** sp.Rational(steps + len(lags), 2)))


@rule(
    "loop-equations",
    source="integration by parts: E[G f(G)] = E[df/dG]; stein1981estimation",
    rank=790,
    says="integration by parts removes one letter and its partner in every possible way,",
)
def loop_equations(subject: Any, ask: Ask) -> Claim:
    """Remove one letter and its partner in every possible way until no letter is left."""
    _, *words = subject.args
    coefficients = mean_of_traces(canonical(tuple(int(x) for x in word) for word in words))
    return Equation(subject, sp.Add(*(c * n**i for i, c in enumerate(coefficients))))


def trace_mean(loops: Sequence[Word]) -> TraceMean:
    """The mean of a product of traces, words in canonical form."""
    return TraceMean(n, *(sp.Tuple(*word) for word in canonical(loops)))


def _powers(lag: int, tied: bool) -> Word:
    """W^j, or the product of the j matrices met on the way, the last one first."""
    return (1,) * lag if tied else tuple(range(lag, 0, -1))


def pairings(items: tuple[int, ...]) -> Iterator[dict[int, int]]:
    """All ways to pair the items, as a map from each to its partner."""
    if not items:
        yield {}
        return
    first, *rest = items
    for i, other in enumerate(rest):
        for remaining in pairings((*rest[:i], *rest[i + 1 :])):
            yield {first: other, other: first, **remaining}


def closed_loops(words: Sequence[Word], left: dict[int, int], right: dict[int, int]) -> list[Word]:
    """Follow word, right partner transposed, left partner, ... until the loop closes."""
    unseen, loops = set(range(len(words))), []
    while unseen:
        start = here = min(unseen)
        loop: Word = ()
        while True:
            back = right[here]
            loop += words[here] + transposed(words[back])
            unseen -= {here, back}
            here = left[back]
            if here == start:
                break
        loops.append(loop)
    return loops


def transposed(word: Word) -> Word:
    """(A B)^T = B^T A^T."""
    return tuple(-x for x in reversed(word))


def canonical(words: Any) -> tuple[Word, ...]:
    """One representative of equal products of traces: each word rotated or transposed to its largest form, sorted."""
    return tuple(sorted(map(_largest_form, words), reverse=True))


@lru_cache(maxsize=200_000)
def _largest_form(word: Word) -> Word:
    forms = (w[i:] + w[:i] for w in (word, transposed(word)) for i in range(len(word)))
    return max(forms, default=word)


@lru_cache(maxsize=500_000)
def mean_of_traces(words: tuple[Word, ...]) -> Polynomial:
    """E of a product of traces as a polynomial in n, by the four loop equations."""
    full = tuple(word for word in words if word)
    if not full:
        return (0,) * len(words) + (1,)
    letters = [abs(x) for word in full for x in word]
    if any(letters.count(x) % 2 for x in set(letters)):
        return ()
    total: list[int] = []
    first = max(full, key=lambda word: (len({x > 0 for x in word}), len(word)))  # mixed words first
    others = list(full)
    others.remove(first)
    for loops in _removals(first, others):
        for i, c in enumerate(mean_of_traces(canonical(loops)), len(words) - len(full)):
            total += [0] * (i + 1 - len(total))
            total[i] += c
    return tuple(total)


def _removals(first: Word, others: list[Word]) -> Iterator[list[Word]]:
    """All that is left after the first letter of the first word meets each possible partner."""
    letter, rest = first[0], first[1:]
    for i, x in enumerate(rest):
        a, b = rest[:i], rest[i + 1 :]
        if x == letter:
            yield [a + transposed(b), *others]
        elif x == -letter:
            yield [a, b, *others]
    for k, word in enumerate(others):
        remaining = others[:k] + others[k + 1 :]
        for i, x in enumerate(word):
            b = word[i + 1 :] + word[:i]
            if x == letter:
                yield [rest + transposed(b), *remaining]
            elif x == -letter:
                yield [rest + b, *remaining]
