"""Scrambled Sobol nets, their coordinates made when they are asked for, and signs of one and the same net.

A coordinate of point i is the exclusive or of a shift and of a vector for each binary digit of i, so 2^m points take
one operation each. The sign of a perturbation is the first digit of a coordinate: a Walsh function of i.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host, seed_sequence

MOST = 21201  # scipy.stats.qmc.Sobol.MAXDIM; importing it here would double the start of the command
DIGITS, SOBOL_DIGITS = 32, 30
Digits = NDArray[np.uint32]


class Net:
    """Standard normal variables, and signs, from the coordinates of one scrambled Sobol net, handed out in turn.

    A sign is the first digit of a coordinate, a Walsh function, so any two of them whose functions differ have products
    that vanish in the mean over the paths. Taken in turn with the normal variables they share their net, which a third
    of the variance of tangent kernels is saved by, against Walsh functions of paths in random order. Where there are
    no coordinates left for them, they are Walsh functions at random.
    Shapes: (count, points), points a power of two; `normals` coordinates are kept for normal variables.
    Error: the digits are scrambled by random triangular matrices and shifts, so each point is uniform on its 32 digits.
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

    def normals(self, count: int) -> Host:
        """Return the next `count` normal variables."""
        found: Host = special.ndtri((self._next(count) + 0.5) * 2.0**-DIGITS)
        return found

    def signs(self, count: int) -> Host:
        """Return the next `count` signs."""
        more = min(count, self.of_signs)
        self.of_signs -= more
        functions = self.generator.integers(0, 2, (count - more, self.directions.shape[1]), np.uint32)
        others = coordinates(functions, self.generator.integers(0, 2, count - more, np.uint32))
        found: Host = 1.0 - 2.0 * np.concatenate([self._next(more) >> np.uint32(DIGITS - 1), others]).astype(np.float64)
        return found

    def _next(self, count: int) -> Digits:
        part = slice(self.taken, self.taken + count)
        self.taken += count
        return coordinates(self.directions[part], self.shifts[part])


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
