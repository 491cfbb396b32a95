"""Scrambled Sobol nets, their coordinates made when they are asked for, and signs of one and the same net.

A coordinate of point i is the exclusive or of a shift and of a vector for each binary digit of i, so 2^m points take
one operation each. The sign of a perturbation is the first digit of a coordinate: a Walsh function of i.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from wideproof.derive.expectation.tables.compiled_sweep import loop_of
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host, seed_sequence

MOST = 21201  # scipy.stats.qmc.Sobol.MAXDIM; importing it here would double the start of the command
DIGITS, SOBOL_DIGITS = 32, 30
MANTISSA, SHIFT = 23, 17
"""The bits of a single number that say where in its octave it lies, and those that say where in a part of that."""
FIRST = 126 << MANTISSA - SHIFT
"""The part at a half, the least number of digits."""
Digits = NDArray[np.uint32]


class Net:
    """Standard normal variables, and signs, from the coordinates of one scrambled Sobol net, handed out in turn.

    A sign is the first digit of a coordinate, a Walsh function, so any two of them whose functions differ have products
    that vanish in the mean over the paths. Taken in turn with the normal variables they share their net, which a third
    of the variance of tangent kernels is saved by, against Walsh functions of paths in random order. Where there are
    no coordinates left for them, they are Walsh functions at random.
    Shapes: (count, points), points a power of two; `normals` coordinates are kept for normal variables.
    Error: that of `normal`; the digits are scrambled by random triangular matrices and shifts, so that each point is
    uniform on its 32 digits.
    Source: owen1997scrambled; hutchinson1990stochastic.
    """

    def __init__(self, normals: int, signs: int, points: int, seed: int, *key: int) -> None:
        if normals > MOST:
            raise ParameterError("gated kernel", f"at most {MOST} Gaussian variables a path", normals,
                                 "Give fewer or shorter sequences at once.")  # fmt: skip
        self.generator = np.random.Generator(np.random.PCG64(seed_sequence(seed, *key)))
        directions = _directions(max(1, min(normals + signs, MOST)), points.bit_length() - 1)
        self.directions = _scrambled(directions, self.generator)
        self.shifts = self.generator.integers(0, 2**DIGITS, len(directions), np.uint32)
        self.taken, self.of_signs = 0, len(directions) - normals

    def normals(self, out: Host) -> Host:
        """Fill an array (count, points) with the next normal variables."""
        return self._filled(*self._next(len(out)), False, out)

    def signs(self, out: Host) -> Host:
        """Fill an array (count, points) with the next signs."""
        more = min(len(out), self.of_signs)
        self.of_signs -= more
        self._filled(*self._next(more), True, out[:more])
        if (left := len(out) - more) == 0:
            return out
        functions, shifts = (self.generator.integers(0, 2, shape, np.uint32) << np.uint32(DIGITS - 1)
                             for shape in ((left, self.directions.shape[1]), left))  # fmt: skip
        self._filled(functions, shifts, True, out[more:])
        return out

    def _next(self, count: int) -> tuple[Digits, Digits]:
        part = slice(self.taken, self.taken + count)
        self.taken += count
        return self.directions[part], self.shifts[part]

    def _filled(self, directions: Digits, shifts: Digits, are_signs: bool, out: Host) -> Host:
        loop = loop_of(fill)
        if loop is not None:
            digits, numbers = np.empty(out.shape[1], np.uint32), np.empty(out.shape[1], np.float32)
            cells, bits = _cells().astype(out.dtype), numbers.view(np.uint32)
            loop(directions, shifts, are_signs, cells, digits, numbers, bits, out)
        else:
            found = coordinates(directions, shifts)
            out[...] = 1.0 - 2.0 * (found >> np.uint32(DIGITS - 1)) if are_signs else normal(found)
        return out


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
    directions: Digits, shifts: Digits, are_signs: bool, cells: Host, digits: Digits, numbers: Any, bits: Digits,
    out: Host,
) -> None:  # fmt: skip
    """`coordinates`, and `normal` or signs of them, one coordinate after the other; `bits` are those of `numbers`."""
    count, last, scale = digits.shape[0], np.uint32(DIGITS - 1), out.dtype.type(2.0**-SHIFT)
    for k in range(directions.shape[0]):
        digits[0] = shifts[k]
        for digit in range(directions.shape[1]):
            size, direction = 1 << digit, directions[k, digit]
            for m in range(size):
                digits[size + m] = digits[m] ^ direction
        if are_signs:
            for m in range(count):
                out[k, m] = -1.0 if digits[m] >> last else 1.0
            continue
        for m in range(count):
            numbers[m] = np.float32(min(digits[m], ~digits[m])) + np.float32(0.5)
        for m in range(count):
            cell, part = np.int64(bits[m] >> np.uint32(SHIFT)) - FIRST, (bits[m] & np.uint32(2**SHIFT - 1)) * scale
            lower = (cells[2, cell] * part + cells[1, cell]) * part + cells[0, cell]
            out[k, m] = -lower if digits[m] >> last else lower


@lru_cache(maxsize=8)
def _directions(dimension: int, digits: int) -> Digits:
    """The vectors of Sobol's sequence: each is the difference of a point at a power of two from the point before.

    Shapes: (dimension, digits).
    """
    from scipy.stats import qmc

    sequence, found = qmc.Sobol(dimension, scramble=False, bits=SOBOL_DIGITS), np.empty((dimension, digits), np.uint32)
    for digit in range(digits):
        start = sequence.reset().fast_forward(2**digit - 1) if digit else sequence
        before, after = start.random(2)
        found[:, digit] = (2.0**DIGITS * before).astype(np.uint32) ^ (2.0**DIGITS * after).astype(np.uint32)
    return found


def _scrambled(directions: Digits, generator: np.random.Generator) -> Digits:
    """The vectors times a random lower triangular matrix of digits for each coordinate, ones on its diagonal."""
    found = np.zeros_like(directions)
    for digit in range(directions.shape[1]):  # lower digits of the vectors are zero
        top = np.uint32(2 ** (DIGITS - 1 - digit))
        column = generator.integers(0, int(top), len(directions), np.uint32) | top
        found ^= np.where(directions & top, column[:, None], np.uint32(0))
    return found
