"""Scrambled Sobol nets, their coordinates made when they are asked for, and signs of one and the same net.

A coordinate of point i is the exclusive or of a shift and of a vector for each binary digit of i, so 2^m points take one
operation each. The sign of a perturbation is one digit of another coordinate: a Walsh function of i.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host, seed_sequence

MOST = 21201  # scipy.stats.qmc.Sobol.MAXDIM; importing it here would double the start of the command
DIGITS, SOBOL_DIGITS = 32, 30
OF_SIGNS = 1
"""The key of the stream of signs beside that of the net."""
Digits = NDArray[np.uint32]


class Net:
    """Standard normal variables from the coordinates of one scrambled Sobol net, handed out in turn.

    Shapes: (count, points), points a power of two.
    Error: the digits are scrambled by random triangular matrices and shifts, so each point is uniform on its 32 digits.
    Source: owen1997scrambled; matousek1998discrepancy; joe2008constructing.
    """

    def __init__(self, dimension: int, points: int, seed: int, *key: int) -> None:
        if dimension > MOST:
            raise ParameterError("gated kernel", f"at most {MOST} Gaussian variables a path", dimension,
                                 "Give fewer or shorter sequences at once.")  # fmt: skip
        generator = np.random.Generator(np.random.PCG64(seed_sequence(seed, *key)))
        directions = _directions(max(1, dimension), points.bit_length() - 1)
        self.directions = _scrambled(directions, generator)
        self.shifts = generator.integers(0, 2**DIGITS, len(directions), np.uint32)
        self.taken = 0

    def __call__(self, count: int) -> Host:
        """Return the next `count` variables."""
        part = slice(self.taken, self.taken + count)
        self.taken += count
        digits = coordinates(self.directions[part], self.shifts[part])
        found: Host = special.ndtri((digits + 0.5) * 2.0**-DIGITS)
        return found


class Signs:
    """Random signs of which any two differ on half of the paths: Walsh functions, each with a sign of its own.

    Paths are in random order again when all functions are used up.
    Shapes: (count, points).  Error: none; E[s s^T] is the identity.  Source: hutchinson1990stochastic.
    """

    def __init__(self, points: int, seed: int, *key: int) -> None:
        self.generator = np.random.Generator(np.random.PCG64(seed_sequence(seed, *key, OF_SIGNS)))
        self.points = points
        self.unused: Any = None
        self.order: Any = None

    def __call__(self, count: int) -> Host:
        """Return the next `count` functions."""
        parts = []
        while count:
            if self.unused is None or not len(self.unused):
                self.order = None if self.unused is None else self.generator.permutation(self.points)
                self.unused = self.generator.permutation(np.arange(min(1, self.points - 1), self.points))
            chosen, self.unused = self.unused[:count], self.unused[count:]
            parts.append(self._walsh(chosen))
            count -= len(chosen)
        return np.concatenate(parts)

    def _walsh(self, numbers: Any) -> Host:
        """The functions of these numbers: minus one to the common digits of number and point, times a random sign."""
        digits = (numbers[:, None] >> np.arange(self.points.bit_length() - 1)) & 1
        odd = coordinates(digits.astype(np.uint32), self.generator.integers(0, 2, len(numbers), np.uint32))
        found: Host = 1.0 - 2.0 * odd
        return found if self.order is None else found[:, self.order]


def coordinates(directions: Digits, shifts: Digits) -> Digits:
    """Return all coordinates of a digital net: one exclusive or for each.

    Shapes: (count, m), (count,) -> (count, 2^m).  Error: none.  Source: niederreiter1992random, chapter 4.
    """
    found = np.empty((len(directions), 2 ** directions.shape[1]), np.uint32)
    found[:, 0] = shifts
    for digit in range(directions.shape[1]):
        size = 2**digit
        np.bitwise_xor(found[:, :size], directions[:, digit : digit + 1], out=found[:, size : 2 * size])
    return found


@lru_cache(maxsize=8)
def _directions(dimension: int, digits: int) -> Digits:
    """The vectors of Sobol's sequence, read off its points at powers of two, which differ by one vector from those before.

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
