"""Alternating programs at finite width: mean squares of their vectors against the derived state evolution."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np
import sympy as sp

from derive.activations import Phi, definition_at
from derive.alternating import Alternating, AlternatingProgram, Source
from derive.alternating.evaluate import StateEvolution, errors_of, line_evolution
from derive.alternating.terms import About, Coefficient
from derive.alternating.transposes import corrections
from derive.errors import ParameterError
from derive.printing import emitted
from numeric.arrays import Array, Host, Namespace, Stream, backend, seed_sequence, stream, to_host
from numeric.checks import Check, Claim, Level, judge
from numeric.ladder import extrapolate, width_ladder

EFFECT = Level(effects={"mean-square": 0.03})
RUNGS = 3


def simulate_lines(
    program: AlternatingProgram, coefficients: Mapping[About, float], width: int, source: Stream, xp: Namespace,
    onsager: float = 1.0, **values: float,
) -> Host:  # fmt: skip
    """Return the mean squares of the named vectors, then of the sources, of one draw of the matrix and the sources.

    `coefficients` are those of corrected lines; their terms are taken away times `onsager`, 1 but for mutants.
    Shapes: (named vectors + sources,).  Units: of their squares.  Error: none besides rounding; m is delta n rounded.
    Source: derive.alternating.
    """
    numbers = {x: values[name] for name, x in program.symbols.items()}
    assert program.matrix is not None
    rows = round(float(program.aspect.subs(numbers)) * width)
    size = math.sqrt(float(program.matrix.variance.subs(numbers)) / width)
    matrix = size * source.normal(rows, width)
    known: dict[sp.Expr, Array] = {c: _drawn(s, rows if s.side == "m" else width, numbers, source, xp)
                                   for c, s in program.sources}  # fmt: skip
    queries: list[Array] = []
    for c, line in program.lines:
        queries.append(_value(line.vector, known, numbers, xp))
        image = (matrix if line.side == "m" else matrix.T) @ queries[-1]
        for other in program.opposite(line.index) if line.corrected else ():
            image = image - onsager * coefficients[Coefficient(line.index, other)] * queries[other]
        known[c] = image
    found = [_value(vector, known, numbers, xp) for _, vector in program.vectors]
    found += [known[c] for c, _ in program.sources]
    return np.asarray([float(to_host(xp.mean(x**2))) for x in found])


def check_lines(
    recursion: Alternating, values: Mapping[str, float], *, width: int = 1024, trials: int = 800, seed: int = 0,
    onsager: float = 1.0, evolution: StateEvolution | None = None, level: Level = EFFECT, device: str = "numpy",
) -> tuple[Check, ...]:  # fmt: skip
    """Compare the mean square of every named vector with its derived limit, extrapolated over a ladder of widths.

    Shapes: one check for each named vector.  Units: of the mean squares.  Error: verdicts with the false-alarm rate
    of the level; an error of 3 % is refuted with its power.  Source: derive.alternating.limits, `numeric.ladder`.
    """
    evolution = evolution or line_evolution(corrections(recursion))
    limits = evolution(**values)
    program = recursion.program()
    if trials < len(program.sources) + 3:
        raise ParameterError("trials", f"at least {len(program.sources) + 3}", trials, "An error needs some to spare.")
    widths, xp = width_ladder(width, RUNGS), backend(device)
    drawn = []
    for n, seeds in zip(widths, seed_sequence(seed).spawn(len(widths)), strict=True):
        source = stream(xp, seeds)
        drawn.append([simulate_lines(program, limits, n, source, xp, onsager, **values) for _ in range(trials)])
    numbers = {x: values[name] for name, x in program.symbols.items()}
    known = [float(sp.Add(*(w * v for w, v in source.law)).subs(numbers)) for _, source in program.sources]
    means, errors = (np.asarray(x) for x in zip(*(_controlled(np.asarray(x), known) for x in drawn), strict=True))
    return judge([_claim(k, limit, widths, trials, means[:, k], errors[:, k])
                  for k, limit in enumerate(errors_of(limits).values())], level)  # fmt: skip


def _controlled(samples: Host, known: list[float]) -> tuple[Host, Host]:
    """Means and standard errors of the first columns, the last regressed out, whose means are known."""
    size = samples.shape[1] - len(known)
    design = np.column_stack([np.ones(len(samples)), samples[:, size:] - known])
    solution, *_ = np.linalg.lstsq(design, samples[:, :size])
    spread = np.sum((samples[:, :size] - design @ solution) ** 2, axis=0) / (len(samples) - design.shape[1])
    return solution[0], np.sqrt(spread * np.linalg.inv(design.T @ design)[0, 0])


def _claim(k: int, limit: float, widths: tuple[int, ...], trials: int, means: Host, errors: Host) -> Claim:
    n = np.asarray(widths, dtype=np.float64)
    fit = extrapolate(n, means, errors, min(1, len(widths) - 1), precision=1.0)
    upper = extrapolate(n[-2:], means[-2:], errors[-2:], 0, precision=1.0)
    return Claim("mean-square", k, widths, trials, limit, fit.mean, fit.stderr, "draws of the matrix and the sources",
                 "", fit.lack_of_fit, (upper.mean, upper.stderr) if len(widths) > 2 else None)  # fmt: skip


def _drawn(source: Source, size: int, numbers: Mapping[sp.Expr, float], drawn: Stream, xp: Namespace) -> Array:
    """Independent entries of a mixture: a uniform number, from two Gaussian ones, chooses the component."""
    weights, variances = (np.asarray([float(sp.sympify(part[i]).subs(numbers)) for part in source.law])
                          for i in (0, 1))  # fmt: skip
    standard, uniform = drawn.normal(size), xp.exp(-(drawn.normal(size) ** 2 + drawn.normal(size) ** 2) / 2)
    scale = xp.full(size, math.sqrt(variances[0]))
    for edge, variance in zip(np.cumsum(weights)[:-1], variances[1:], strict=True):
        scale = xp.where(uniform > float(edge), math.sqrt(variance), scale)
    return scale * standard


def _value(expr: sp.Expr, known: Mapping[sp.Expr, Array], numbers: Mapping[sp.Expr, float], xp: Namespace) -> Array:
    read = tuple(sorted((x for x in (*known, *numbers) if expr.has(x)), key=str))
    values = {**known, **numbers}
    return _function(expr, read, "cupy" if "cupy" in xp.__name__ else "numpy")(*(values[x] for x in read))


@lru_cache(maxsize=1024)
def _function(expr: sp.Expr, read: tuple[sp.Expr, ...], name: str) -> Callable[..., Array]:
    """The array code of a vector in the vectors and numbers that it reads."""
    names = [sp.Dummy(real=True) for _ in read]
    plain = expr.xreplace(dict(zip(read, names, strict=True)))
    return emitted(names, plain.replace(Phi, lambda phi, order, z: definition_at(str(phi), int(order), z)), name)
