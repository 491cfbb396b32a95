"""Means of products of traces of words in Gaussian matrices, by loop equations.

One integration by parts removes a letter G of the first word and one partner, and leaves shorter words (G standard
Gaussian, n x n):
    tr(G A G B) -> tr(A B^T)        tr(G A G^T B) -> tr(A) tr(B)
    tr(G A) tr(G B) -> tr(A B^T)    tr(G A) tr(G^T B) -> tr(A B)
Words are remembered up to rotation, transposition and order; tr of the empty word is n.
Source: the entries' covariance and E[G f(G)] = E[df/dG].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import sympy as sp

from wideproof.derive.language.notation import n
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.rules import Ask, rule

Word = tuple[int, ...]
"""Letters of a trace: +k for the k-th Gaussian matrix, -k for its transpose."""
Polynomial = tuple[int, ...]
"""Coefficients of 1, n, n^2, ..."""


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


def trace_mean(loops: Sequence[Word]) -> TraceMean:
    """The mean of a product of traces, words in canonical form."""
    return TraceMean(n, *(sp.Tuple(*word) for word in canonical(loops)))


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
