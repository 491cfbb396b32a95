"""Scrambled Sobol nets, their coordinates made when they are asked for, and signs of one and the same net.

A coordinate of point i is the exclusive or of a shift and of a vector for each binary digit of i, so 2^m points take
one operation each. The sign of a perturbation is the first digit of a coordinate: a Walsh function of i.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from wideproof.derive.expectation.tables.compiled_sweep import loop_of
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host, seed_sequence

MOST = 21201  # scipy.stats.qmc.Sobol.MAXDIM; importing it here would double the start of the command
TABLE = "stats", "_sobol_direction_numbers.npz"
DIGITS, SOBOL_DIGITS = 32, 30
MANTISSA, SHIFT = 23, 17
"""The bits of a single number that say where in its octave it lies, and those that say where in a part of that."""
FIRST = 126 << MANTISSA - SHIFT
"""The part at a half, the least number of digits."""
Digits = NDArray[np.uint32]


class Walsh(NamedTuple):
    """Signs times Walsh functions of the points: at point m, (-1)^(the binary digits that `functions` and m share).

    Shapes: (R, count) each.
    """

    functions: NDArray[np.uint32]
    signs: Host

    def with_(self, more: Walsh) -> Walsh:
        """Return these and more."""
        return Walsh(np.concatenate([self.functions, more.functions], axis=1),
                     np.concatenate([self.signs, more.signs], axis=1))  # fmt: skip


class Nets:
    """Standard normal variables, and signs, from the coordinates of scrambled Sobol nets, handed out in turn.

    A sign is the first digit of a coordinate, a Walsh function, so any two of them whose functions differ have products
    that vanish in the mean over the paths. Taken in turn with the normal variables they share their net, which a third
    of the variance of tangent kernels is saved by, against Walsh functions of paths in random order. Where there are
    no coordinates left for them, they are Walsh functions at random.
    Shapes: (R, count, points), R the number of keys, points a power of two; `normals` coordinates are kept for normal
    variables.
    Error: that of `normal`; the digits are scrambled by random triangular matrices and shifts, so that each point is
    uniform on its 32 digits.
    Source: owen1997scrambled; hutchinson1990stochastic.
    """

    def __init__(self, normals: int, signs: int, points: int, seed: int, keys: Sequence[tuple[int, ...]]) -> None:
        if normals > MOST:
            raise ParameterError("gated kernel", f"at most {MOST} Gaussian variables a path", normals,
                                 "Give fewer or shorter sequences at once.")  # fmt: skip
        self.generators = [np.random.Generator(np.random.PCG64(seed_sequence(seed, *key))) for key in keys]
        plain = _directions(max(1, min(normals + signs, MOST)), points.bit_length() - 1)
        self.directions = np.stack([_scrambled(plain, generator) for generator in self.generators])
        self.shifts = np.stack([x.integers(0, 2**DIGITS, len(plain), np.uint32) for x in self.generators])
        self.taken, self.of_signs = 0, len(plain) - normals

    def normals(self, out: Host) -> Host:
        """Fill an array (R, count, points) with the next normal variables."""
        loop, cells = loop_of(fill), _cells().astype(out.dtype)
        digits, numbers = np.empty(out.shape[2], np.uint32), np.empty(out.shape[2], np.float32)
        for directions, shifts, values in zip(*self._next(out.shape[1]), out, strict=True):
            if loop is None:
                values[...] = normal(coordinates(directions, shifts))
            else:
                loop(directions, shifts, cells, digits, numbers, numbers.view(np.uint32), values)
        return out

    def signs(self, count: int) -> Walsh:
        """The next signs, as Walsh functions.  Shapes: (R, count)."""
        more = min(count, self.of_signs)
        self.of_signs -= more
        digits, flips = (x >> np.uint32(DIGITS - 1) for x in self._next(more))
        if left := count - more:
            shapes = (left, digits.shape[2]), (left,)
            drawn = [[x.integers(0, 2, shape, np.uint32) for shape in shapes] for x in self.generators]
            further, more_flips = (np.stack(x) for x in zip(*drawn, strict=True))
            digits, flips = np.concatenate([digits, further], axis=1), np.concatenate([flips, more_flips], axis=1)
        places = np.arange(digits.shape[2], dtype=np.uint32)
        return Walsh(np.bitwise_or.reduce(digits << places, axis=2), np.where(flips, -1.0, 1.0))

    def _next(self, count: int) -> tuple[Digits, Digits]:
        part = slice(self.taken, self.taken + count)
        self.taken += count
        return self.directions[:, part], self.shifts[:, part]


def walsh_values(walsh: Walsh, points: int) -> Host:
    """The signs of each point.  Shapes: (R, count) -> (R, count, points)."""
    shared = walsh.functions[..., None] & np.arange(points, dtype=np.uint32)
    return np.where(np.bitwise_count(shared) % 2, -1.0, 1.0) * walsh.signs[..., None]


def walsh_sums(rows: Host, functions: Any, signs: Host, out: Host) -> None:
    """rows @ `walsh_values`, by the fast transform of Walsh and Hadamard: log2(points) sums for a point.

    Shapes: rows (R, N, k), functions and signs (R, at least k) -> out (R, N, points).  Error: rounding.
    Source: fino1976unified.
    """
    count, points = rows.shape[1], out.shape[2]
    sums = np.empty(points * count, out.dtype)
    for r in range(rows.shape[0]):
        sums[:] = 0
        for k in range(rows.shape[2]):
            start, sign = np.int64(functions[r, k]) * count, out.dtype.type(signs[r, k])
            for i in range(count):
                sums[start + i] += sign * rows[r, i, k]
        span = count
        while span < points * count:
            for start in range(0, points * count, 2 * span):
                one, two = sums[start : start + span], sums[start + span : start + 2 * span]
                for j in range(span):
                    a, b = one[j], two[j]
                    one[j] = a + b
                    two[j] = a - b
            span *= 2
        for i in range(count):
            for m in range(points):
                out[r, i, m] = sums[m * count + i]


def coordinates(directions: Digits, shifts: Digits) -> Digits:
    """Return all coordinates of a digital net: one exclusive or for each.

    Shapes: (count, m), (count,) -> (count, 2^m).  Error: none.  Source: owen1997scrambled.
    """
    found = np.empty((len(directions), 2 ** directions.shape[1]), np.uint32)
    found[:, 0] = shifts
    for digit in range(directions.shape[1]):
        size = 2**digit
        np.bitwise_xor(found[:, :size], directions[:, digit : digit + 1], out=found[:, size : 2 * size])
    return found


def normal(digits: Digits) -> Host:
    """Return the normal quantiles of the middles of so many digits: parabolas over parts of octaves of the lower tail.

    Error: 1e-7.  Source: SciPy's quantile at the nodes of each parabola.
    """
    bits = (np.minimum(digits, ~digits).astype(np.float32) + np.float32(0.5)).view(np.uint32)
    parts, cells = (bits & np.uint32(2**SHIFT - 1)) * 2.0**-SHIFT, (bits >> np.uint32(SHIFT)) - np.uint32(FIRST)
    constant, slope, square = _cells()
    lower = (square[cells] * parts + slope[cells]) * parts + constant[cells]
    return np.asarray(np.where(digits >> np.uint32(DIGITS - 1), -lower, lower))


@lru_cache(maxsize=1)
def _cells() -> NDArray[np.float64]:
    """The parabolas of `normal`, by the bits of a single number.  Shapes: (3, cells)."""
    nodes = 0.5 + 0.5 * np.cos(np.pi * (np.arange(3) + 0.5) / 3)
    cells = np.arange((DIGITS << MANTISSA - SHIFT) + 1)
    octaves, within = np.divmod(cells, 2 ** (MANTISSA - SHIFT))
    points = 2.0 ** (octaves - 1.0) * (1.0 + (within + nodes[:, None]) * 2.0 ** (SHIFT - MANTISSA))
    return np.linalg.solve(np.vander(nodes, increasing=True), special.ndtri(points * 2.0**-DIGITS))


def fill(
    directions: Digits, shifts: Digits, cells: Host, digits: Digits, numbers: Any, bits: Digits, out: Host
) -> None:
    """`normal` of `coordinates`, one coordinate after the other; `bits` are those of `numbers`."""
    count, last, scale = digits.shape[0], np.uint32(DIGITS - 1), out.dtype.type(2.0**-SHIFT)
    for k in range(directions.shape[0]):
        digits[0] = shifts[k]
        for digit in range(directions.shape[1]):
            size, direction = 1 << digit, directions[k, digit]
            for m in range(size):
                digits[size + m] = digits[m] ^ direction
        for m in range(count):
            numbers[m] = np.float32(min(digits[m], ~digits[m])) + np.float32(0.5)
        for m in range(count):
            cell, part = np.int64(bits[m] >> np.uint32(SHIFT)) - FIRST, (bits[m] & np.uint32(2**SHIFT - 1)) * scale
            lower = (cells[2, cell] * part + cells[1, cell]) * part + cells[0, cell]
            out[k, m] = -lower if digits[m] >> last else lower


@lru_cache(maxsize=8)
def _directions(dimension: int, digits: int) -> Digits:
    """The vectors of Sobol's sequence, from SciPy's table of polynomials and first numbers: `qmc` takes long to import.

    Shapes: (dimension, digits).  Source: joe2008constructing.
    """
    table = resources.files("scipy").joinpath(*TABLE)
    if not table.is_file():
        return _differences(dimension, digits)
    with table.open("rb") as file, np.load(file) as known:
        polynomials, first = (known[name][:dimension].astype(np.uint32) for name in ("poly", "vinit"))
    found, degrees = np.ones((dimension, digits), np.uint32), np.frexp(polynomials)[1] - 1
    for degree in range(1, int(degrees.max()) + 1):
        rows = np.flatnonzero(degrees == degree)
        found[rows, :degree] = first[rows, : min(degree, digits)]
        for digit in range(degree, digits):
            new = found[rows, digit - degree]
            for k in range(1, degree + 1):
                term = polynomials[rows] >> np.uint32(degree - k) & np.uint32(1)
                new ^= term * (found[rows, digit - k] << np.uint32(k))
            found[rows, digit] = new
    return found << np.arange(DIGITS - 1, DIGITS - 1 - digits, -1, dtype=np.uint32)


def _differences(dimension: int, digits: int) -> Digits:
    """The same from the sequence: each is the difference of a point at a power of two from the point before."""
    from scipy.stats import qmc

    sequence, found = qmc.Sobol(dimension, scramble=False, bits=SOBOL_DIGITS), np.empty((dimension, digits), np.uint32)
    for digit in range(digits):
        start = sequence.reset().fast_forward(2**digit - 1) if digit else sequence
        before, after = start.random(2)
        found[:, digit] = (2.0**DIGITS * before).astype(np.uint32) ^ (2.0**DIGITS * after).astype(np.uint32)
    return found


def _scrambled(directions: Digits, generator: np.random.Generator) -> Digits:
    """The vectors times a random lower triangular matrix of digits for each coordinate, ones on its diagonal."""
    tops = np.uint32(1) << np.arange(DIGITS - 1, DIGITS - 1 - directions.shape[1], -1, dtype=np.uint32)
    columns = [generator.integers(0, int(top), len(directions), np.uint32) | top for top in tops]
    found, loop = np.zeros_like(directions), loop_of(scramble)
    if loop is not None and columns:
        loop(directions, tops, np.stack(columns), found)
        return found
    for top, column in zip(tops, columns, strict=True):  # lower digits of the vectors are zero
        found ^= np.where(directions & top, column[:, None], np.uint32(0))
    return found


def scramble(directions: Digits, tops: Digits, columns: Digits, out: Digits) -> None:
    """The sum of the columns that the digits of each vector say.  Shapes: columns (digits, count)."""
    for k in range(directions.shape[0]):
        for m in range(directions.shape[1]):
            for digit in range(tops.shape[0]):
                if directions[k, m] & tops[digit]:
                    out[k, m] ^= columns[digit, k]
