"""One draw of the matrix and the sources of an alternating program, and the vectors that it makes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import emitted
from wideproof.derive.alternating.terms import About, Coefficient, Covariance
from wideproof.derive.language.activations import Phi, definition_at
from wideproof.derive.language.alternating import AlternatingProgram, Source
from wideproof.numeric.core.arrays import Array, Host, Namespace, Stream, backend, seed_sequence, stream, to_host

Given = tuple[tuple[sp.Expr, float], ...]
"""Symbols and their numbers."""


def simulate_lines(
    program: AlternatingProgram, coefficients: Mapping[About, float], width: int, source: Stream,
    onsager: float = 1.0, **values: float,
) -> Host:  # fmt: skip
    """Return the mean squares of the named vectors, then of the sources, of one draw of the matrix and the sources.

    `coefficients` are those of corrected lines; their terms are taken away times `onsager`, 1 but for mutants.
    Shapes: (named vectors + sources,).  Units: of their squares.  Error: none besides rounding; m is delta n rounded.
    Source: derive.alternating.
    """
    known, _, numbers = _drawn_lines(program, coefficients, width, source, onsager, values)
    found = [_value(vector, known, numbers, source.xp) for _, vector in program.vectors]
    found += [known[c] for c, _ in program.sources]
    return np.asarray([float(to_host(source.xp.mean(x**2))) for x in found])


def draw_parts(
    program: AlternatingProgram, limits: Mapping[About, float], width: int, seed: int = 0, onsager: float = 1.0,
    **values: float,
) -> dict[int, Host]:  # fmt: skip
    """Return the Gaussian part of every product with the transpose in one draw, over its predicted deviation.

    Shapes: index of the line -> (width,).  Units: standard deviations.  Error: none besides rounding; as the width
    grows the entries follow the standard normal law.  Source: derive.alternating.corrections.
    """
    source = stream(backend("numpy"), seed_sequence(seed))
    known, queries, _ = _drawn_lines(program, limits, width, source, onsager, values)
    parts = {}
    for c, line in program.lines:
        variance = limits.get(Covariance(line.index, line.index), 0.0)
        if line.side == "n" and variance > 0:
            part = known[c]
            for other in () if line.corrected else program.opposite(line.index):
                part = part - limits[Coefficient(line.index, other)] * queries[other]
            parts[line.index] = to_host(part) / math.sqrt(variance)
    return parts


def _drawn_lines(
    program: AlternatingProgram, coefficients: Mapping[About, float], width: int, source: Stream, onsager: float,
    values: Mapping[str, float],
) -> tuple[dict[sp.Expr, Array], list[Array], dict[sp.Expr, float]]:  # fmt: skip
    """Sources and lines, the vectors that the lines multiply, and the numbers of the symbols."""
    numbers: dict[sp.Expr, float] = {x: float(values[name]) for name, x in program.symbols.items()}
    assert program.matrix is not None
    given = tuple(numbers.items())
    rows = round(_number(program.aspect, given) * width)
    size = math.sqrt(_number(program.matrix.variance, given) / width)
    matrix = size * source.normal(rows, width)
    known: dict[sp.Expr, Array] = {c: _drawn(s, rows if s.side == "m" else width, given, source)
                                   for c, s in program.sources}  # fmt: skip
    queries: list[Array] = []
    for c, line in program.lines:
        queries.append(_value(line.vector, known, numbers, source.xp))
        image = (matrix if line.side == "m" else matrix.T) @ queries[-1]
        for other in program.opposite(line.index) if line.corrected else ():
            image = image - onsager * coefficients[Coefficient(line.index, other)] * queries[other]
        known[c] = image
    return known, queries, numbers


@lru_cache(maxsize=1024)
def _number(expr: sp.Expr, numbers: Given) -> float:
    """The value of an expression: SymPy takes as long for it as a narrow matrix takes to be drawn."""
    return float(sp.sympify(expr, strict=True).subs(dict(numbers)))


def _drawn(source: Source, size: int, numbers: Given, drawn: Stream) -> Array:
    """Independent entries of a mixture: a uniform number, from two Gaussian ones, chooses the component."""
    weights, variances = (np.asarray([_number(part[i], numbers) for part in source.law]) for i in (0, 1))
    xp = drawn.xp
    standard, uniform = drawn.normal(size), xp.exp(-(drawn.normal(size) ** 2 + drawn.normal(size) ** 2) / 2)
    scale = xp.full(size, math.sqrt(variances[0]))
    for edge, variance in zip(np.cumsum(weights)[:-1], variances[1:], strict=True):
        scale = xp.where(uniform > float(edge), math.sqrt(variance), scale)
    return scale * standard


def _value(expr: sp.Expr, known: Mapping[sp.Expr, Array], numbers: Mapping[sp.Expr, float], xp: Namespace) -> Array:
    values = {**known, **numbers}
    read, function = _function(expr, tuple(values), "cupy" if "cupy" in xp.__name__ else "numpy")
    return function(*(values[x] for x in read))


@lru_cache(maxsize=1024)
def _function(expr: sp.Expr, known: tuple[sp.Expr, ...], name: str) -> tuple[list[sp.Expr], Callable[..., Array]]:
    """The vectors and numbers that a vector reads, and its array code in them."""
    read = sorted((x for x in known if expr.has(x)), key=str)
    names = [sp.Dummy(real=True) for _ in read]
    plain = expr.xreplace(dict(zip(read, names, strict=True)))
    plain = plain.replace(Phi, lambda phi, order, z: definition_at(str(phi), int(order), z))
    return read, emitted(names, plain, name)
