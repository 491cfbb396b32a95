"""The independent audit of finite-width moments: every entry written out as a variable, at the widths 1 and 2."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy as sp

from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import World
from wideproof.derive.calculus.moments import Moment
from wideproof.derive.calculus.recursion_rules import OUTPUT, Response
from wideproof.derive.language.notation import p
from wideproof.derive.linear.finite_width import ResponseMoment, TraceMean, chain_of

Matrix = list[list[Any]]


def _entries(width: int, count: int) -> tuple[list[Matrix], list[Any], Any]:
    """Square matrices of ring variables, and two vectors."""
    size = count * width**2 + 2 * width
    polynomials, *x = sp.ring([f"x{i}" for i in range(size)], sp.ZZ)
    matrices = [[[x[k * width**2 + a * width + b] for b in range(width)] for a in range(width)] for k in range(count)]
    return matrices, x[count * width**2 :], polynomials


def _gaussian_mean(polynomial: Any) -> int:
    """E of a polynomial in independent standard Gaussian variables: even powers give double factorials."""
    return sum(
        int(c) * int(sp.prod([sp.factorial2(e - 1) for e in powers if e]))
        for powers, c in polynomial.terms()
        if all(e % 2 == 0 for e in powers)
    )


def _product(a: Matrix, b: Matrix) -> Matrix:
    return [
        [sum((x * y for x, y in zip(row, column, strict=True)), start=0) for column in zip(*b, strict=True)]
        for row in a
    ]


@lru_cache(maxsize=512)
def response_mean(width: int, lags: tuple[int, ...], tied: bool) -> int:
    """E prod_i (c W^{j_i} f) with standard entries, W redrawn each step unless tied."""
    matrices, rest, ring = _entries(width, 1 if tied else max(1, *lags))
    readout, state = rest[:width], [[x] for x in rest[width:]]
    found = {0: state}
    for step in range(max(lags)):
        found[step + 1] = _product(matrices[0 if tied else step], found[step])
    total = ring.one
    for lag in lags:
        total *= _product([readout], found[lag])[0][0]
    return _gaussian_mean(total)


@lru_cache(maxsize=512)
def trace_mean(width: int, words: tuple[tuple[int, ...], ...]) -> int:
    """E prod_i tr(word_i)."""
    matrices, _, ring = _entries(width, max((abs(x) for word in words for x in word), default=1))
    total = ring.one
    for word in words:
        product = [[ring.one if a == b else ring.zero for b in range(width)] for a in range(width)]
        for x in word:
            factor = matrices[abs(x) - 1]
            product = _product(product, factor if x > 0 else [list(column) for column in zip(*factor, strict=True)])
        total *= sum((product[a][a] for a in range(width)), start=ring.zero)
    return _gaussian_mean(total)


def _response_moment(world: World, expr: sp.Expr, at: Any) -> Any:
    width, *lags = (world.integer(x, at) for x in expr.args)
    ((state, _),) = world.program.updates
    inputs = world.number(Moment(state, state, 0, 0, p, p), {})
    transition = world.number(Moment(state, state, 1, 1, p, p), {}) / inputs
    readout = world.number(Response(OUTPUT, 0, 0, 0, 0, p, p), {}) / inputs
    half, steps = sp.Rational(len(lags), 2), sum(lags)
    mean = response_mean(width, tuple(lags), chain_of(world.program).tied)
    return (
        mean
        * (inputs * readout) ** half
        * transition ** sp.Rational(steps, 2)
        / sp.Integer(width) ** (half + sp.Rational(steps, 2))
    )


def _trace_mean(world: World, expr: sp.Expr, at: Any) -> Any:
    words = tuple(tuple(int(x) for x in word) for word in expr.args[1:])
    return trace_mean(world.integer(expr.args[0], at), words)


MEANINGS[ResponseMoment] = _response_moment
MEANINGS[TraceMean] = _trace_mean
