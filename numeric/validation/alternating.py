"""Alternating programs at finite width: mean squares of their vectors against the derived state evolution."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import emitted
from wideproof.derive.alternating.corrections import alternating_program
from wideproof.derive.alternating.evaluation import StateEvolution, errors_of, line_evolution
from wideproof.derive.alternating.terms import About, Coefficient, Covariance
from wideproof.derive.language.activations import Phi, definition_at
from wideproof.derive.language.alternating import Alternating, AlternatingProgram, Source
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.scalars import check_keywords
from wideproof.numeric.core.arrays import Array, Host, Namespace, Stream, backend, seed_sequence, stream, to_host
from wideproof.numeric.core.checks import Check, Claim, Level, judge
from wideproof.numeric.core.inputs import real
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.runs.chunks import Chunk, ChunkFolder, Numbers
from wideproof.numeric.runs.crew import ALONE as SERIAL, Crew, read_text
from wideproof.numeric.runs.gathering import Gathered, Progress, Shard, gather
from wideproof.numeric.runs.memory import Memory
from wideproof.numeric.validation.judged import Validation
from wideproof.numeric.validation.ladder import Rungs, at_infinity
from wideproof.numeric.validation.lines_plan import NARROWEST, LinesPlan, coefficients_of

EFFECT = Level(effects={"mean-square": 0.03})
MEAN_SQUARE = "mean_square"
TRIALS = 1200
LINE_DEFAULTS = {"delta": 0.5, "epsilon": 0.25, "nu_w": 0.2, "theta_0": 0.8}
LINES_METHOD = "dense: the matrix and the sources drawn in every trial"
THRESHOLD = 0.7
"""Our assumption for the symbols of the gallery; thresholds after the first are all alike."""


def line_settings(program: AlternatingProgram, given: Mapping[str, float]) -> dict[str, float]:
    """Return the numbers given for the symbols of a program, and our assumption for the others of the gallery.

    Units: of each symbol.  Error: ParameterError for another name, or a symbol without a number.
    Source: `LINE_DEFAULTS`.
    """
    known = {name: LINE_DEFAULTS.get(name, THRESHOLD) for name in program.symbols
             if name in LINE_DEFAULTS or name.startswith("theta_")}  # fmt: skip
    values = known | dict(given)
    check_keywords(f"numbers of {program.name}", values, program.symbols)
    symbols = program.symbols
    return {
        name: real(name, value, 0.0 if symbols[name].is_nonnegative else -math.inf) for name, value in values.items()
    }


def lines_plan(
    recursion: Alternating | AlternatingProgram, given: Mapping[str, float], width: int, trials: int | None, seed: int,
    device: str,
) -> LinesPlan:  # fmt: skip
    """Return the plan of a confrontation of the derived state evolution with draws of the matrix.

    Shapes, units, error: as `LinesPlan`; ParameterError for a width that has no ladder.  Source: `line_evolution`.
    """
    program = alternating_program(recursion)
    if width < NARROWEST:
        hint = "The ladder ends at a quarter of it."
        raise ParameterError(f"validate {program.name}: width", f"{NARROWEST} or more", width, hint)
    values = line_settings(program, given)
    limits = _evolution(program)(**values)
    return LinesPlan(program, values, width, TRIALS if trials is None else trials, seed=seed, backend=device,
                     coefficients=coefficients_of(limits))  # fmt: skip


@lru_cache(maxsize=8)
def _evolution(program: AlternatingProgram) -> StateEvolution:
    """The derived state evolution, derived once for the plan and the verdict."""
    return line_evolution(program)


def lines_validation(found: LineMeasurements, level: Level | None) -> Validation:
    """Judge measured mean squares by the derived state evolution.

    Shapes, units, error: as `judge_lines`.  Source: `line_evolution`.
    """
    limits = errors_of(_evolution(found.plan.program)(**found.plan.values))
    return Validation(LINES_METHOD, judge_lines(found, list(limits.values()), level or EFFECT), found)


def simulate_lines(
    program: AlternatingProgram, coefficients: Mapping[About, float], width: int, source: Stream, xp: Namespace,
    onsager: float = 1.0, **values: float,
) -> Host:  # fmt: skip
    """Return the mean squares of the named vectors, then of the sources, of one draw of the matrix and the sources.

    `coefficients` are those of corrected lines; their terms are taken away times `onsager`, 1 but for mutants.
    Shapes: (named vectors + sources,).  Units: of their squares.  Error: none besides rounding; m is delta n rounded.
    Source: derive.alternating.
    """
    known, _, numbers = _drawn_lines(program, coefficients, width, source, xp, onsager, values)
    found = [_value(vector, known, numbers, xp) for _, vector in program.vectors]
    found += [known[c] for c, _ in program.sources]
    return np.asarray([float(to_host(xp.mean(x**2))) for x in found])


def draw_parts(
    program: AlternatingProgram, limits: Mapping[About, float], width: int, seed: int = 0, onsager: float = 1.0,
    **values: float,
) -> dict[int, Host]:  # fmt: skip
    """Return the Gaussian part of every product with the transpose in one draw, over its predicted deviation.

    Shapes: index of the line -> (width,).  Units: standard deviations.  Error: none besides rounding; as the width
    grows the entries follow the standard normal law.  Source: derive.alternating.corrections.
    """
    xp = backend("numpy")
    source = stream(xp, seed_sequence(seed))
    known, queries, _ = _drawn_lines(program, limits, width, source, xp, onsager, values)
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
    program: AlternatingProgram, coefficients: Mapping[About, float], width: int, source: Stream, xp: Namespace,
    onsager: float, values: Mapping[str, float],
) -> tuple[dict[sp.Expr, Array], list[Array], dict[sp.Expr, float]]:  # fmt: skip
    """Sources and lines, the vectors that the lines multiply, and the numbers of the symbols."""
    numbers: dict[sp.Expr, float] = {x: values[name] for name, x in program.symbols.items()}
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
    return known, queries, numbers


class LineMeasurements(Gathered[LinesPlan]):
    """The moments of the mean squares of the named vectors, then of the sources, at every width of a plan.

    Shapes: `Moments` per ("mean_square", width), mean (1, vectors + sources).  Units: of the squares.
    Error: in the moments; the bias of a finite width stays.  Source: `simulate_lines`.
    """

    @staticmethod
    def draw(plan: LinesPlan, chunk: Chunk) -> Numbers:
        """Draw one chunk from its own stream, by one thread."""
        xp = backend(plan.backend)
        source = stream(xp, seed_sequence(plan.seed, chunk.width, chunk.index))
        with blas_threads(1):
            drawn = [simulate_lines(plan.program, plan.limits, chunk.width, source, xp, plan.onsager, **plan.values)
                     for _ in range(chunk.trials)]  # fmt: skip
        return Numbers({MEAN_SQUARE: Moments.of(np.asarray(drawn)[:, None, :])})

    @staticmethod
    def draw_elsewhere(plan: str, chunk: tuple[str, int, int, int]) -> Numbers:
        """The same from the text of a plan and the fields of a chunk."""
        return LineMeasurements.draw(read_text(LinesPlan.of, plan), Chunk(*chunk))

    @property
    def widths(self) -> tuple[int, ...]:
        """The widths of the plan."""
        return self.plan.widths

    @property
    def trials(self) -> int:
        """Draws at each width."""
        return self.plan.trials

    @cached_property
    def estimates(self) -> tuple[Host, Host]:
        """Means and standard errors of the named vectors, the sources regressed out.  Shapes: (widths, vectors)."""
        plan = self.plan
        numbers = {x: plan.values[name] for name, x in plan.program.symbols.items()}
        known = [float(sp.Add(*(w * v for w, v in source.law)).subs(numbers)) for _, source in plan.program.sources]
        found = [_controlled(self.moments[MEAN_SQUARE, width], known) for width in plan.widths]
        means, stderrs = (np.asarray(x) for x in zip(*found, strict=True))
        return means, stderrs

    @property
    def means(self) -> Host:
        """Shapes: (widths, vectors)."""
        return self.estimates[0]

    @property
    def stderrs(self) -> Host:
        """Shapes: (widths, vectors)."""
        return self.estimates[1]

    def record(self) -> dict[str, Any]:
        """The numbers as plain data."""
        return {"widths": self.widths, "trials": self.trials, "means": self.means, "stderrs": self.stderrs}


def lines_memory(plan: LinesPlan) -> Memory:
    """Estimate the memory of a worker.  Units: bytes.  Error: a factor of two.  Source: the matrix and its vectors."""
    numbers = {x: plan.values[name] for name, x in plan.program.symbols.items()}
    aspect = float(plan.program.aspect.subs(numbers))
    vectors = len(plan.program.lines) + len(plan.program.sources) + len(plan.program.vectors)
    width = max(plan.widths)
    return Memory(width, 1, aspect * width**2 + (1.0 + aspect) * width * vectors, dense=True)


def measure_lines(
    plan: LinesPlan, progress: Progress | None = None, store: ChunkFolder | None = None, crew: Crew = SERIAL,
    shard: Shard | None = None,
) -> LineMeasurements:  # fmt: skip
    """Estimate the mean square of every named vector at each width, the mean squares of the sources regressed out.

    Shapes: see LineMeasurements.  Units: of their squares.  Error: standard errors over independent trials; the bias
    of a finite width stays; as `gather`.  Source: `simulate_lines`.
    """
    return gather(LineMeasurements, plan, progress, store, crew, shard)


def check_lines(
    recursion: Alternating | AlternatingProgram, values: Mapping[str, float], *, width: int = 1024, trials: int = 800,
    seed: int = 0, onsager: float = 1.0, evolution: StateEvolution | None = None, level: Level = EFFECT,
    device: str = "numpy", progress: Progress | None = None,
) -> tuple[Check, ...]:  # fmt: skip
    """Compare the mean square of every named vector with its derived limit, extrapolated over a ladder of widths.

    Shapes: one check for each named vector.  Units: of the mean squares.  Error: verdicts with the false-alarm rate
    of the level; an error of 3 % is refuted with its power.
    Source: derive.alternating.evaluation, `numeric.core.width_ladder`.
    """
    limits = (evolution or line_evolution(recursion))(**values)
    plan = LinesPlan(alternating_program(recursion), values, width, trials, seed=seed, backend=device,
                     onsager=onsager, coefficients=coefficients_of(limits))  # fmt: skip
    return judge_lines(measure_lines(plan, progress), list(errors_of(limits).values()), level)


def judge_lines(found: LineMeasurements, limits: Sequence[float], level: Level = EFFECT) -> tuple[Check, ...]:
    """Return the verdict on the limit of every named vector, from measurements at growing widths.

    Shapes: limits (vectors,).  Units: of the mean squares.  Error: that of `judge`.
    Source: `numeric.core.width_ladder`.
    """
    return judge([_claim(k, limit, found) for k, limit in enumerate(limits)], level)


def _controlled(moments: Moments, known: list[float]) -> tuple[Host, Host]:
    """Means and standard errors of the first features, the last regressed out, whose means are known.

    Source: least squares from the moments alone; the intercept at the known means.
    """
    mean, products, size = moments.mean[0], moments.comoment[0], moments.mean.shape[1] - len(known)
    inverse = np.linalg.pinv(products[size:, size:], hermitian=True)
    slopes, away = inverse @ products[size:, :size], mean[size:] - known
    residual = np.diagonal(products)[:size] - np.sum(products[size:, :size] * slopes, axis=0)
    spread = np.maximum(residual, 0.0) / (moments.count - 1 - len(known))
    return mean[:size] - away @ slopes, np.sqrt(spread * (1.0 / moments.count + away @ inverse @ away))


def _claim(k: int, limit: float, found: LineMeasurements) -> Claim:
    """A quadratic in 1/n over all widths, guarded by a line over all but the narrowest."""
    rungs = Rungs("mean-square", k, found.widths, found.trials, found.means[:, k], found.stderrs[:, k], 1.0, 1)
    return at_infinity(rungs, limit, max(0, min(2, len(found.widths) - 2)))


def _drawn(source: Source, size: int, numbers: Mapping[sp.Expr, float], drawn: Stream, xp: Namespace) -> Array:
    """Independent entries of a mixture: a uniform number, from two Gaussian ones, chooses the component."""
    weights, variances = (np.asarray([float(sp.sympify(part[i], strict=True).subs(numbers)) for part in source.law])
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
