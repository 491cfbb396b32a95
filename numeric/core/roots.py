"""Roots of a function known within estimated errors: found on a grid, told apart from noise, located by signs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import optimize

from wideproof.numeric.core.arrays import Host

Bounded = Callable[[Host], tuple[Host, Host]]
SPLIT = 24  # points of a grid within one cell that may hide two roots


@dataclass(frozen=True)
class Root:
    """A zero within `error` of `value`: the function has opposite signs at both ends, beyond the estimates of its
    errors.

    `falls`: positive below and negative above, as far as there is a below; `crossing` is False where the values are
    within their errors all around, as for a double root.
    """

    value: float
    error: float
    falls: bool
    crossing: bool = True


def roots(function: Bounded, grid: Host) -> list[Root]:
    """Return the roots between the first and the last point of a grid, each between signs beyond the errors.

    Shapes: grid (k,) ascending.  Units: of the argument.  Error: that of each root, by the intermediate value
    theorem as far as the estimated errors of the function hold; two roots closer than a `SPLIT`-th of a cell, where
    the function does not come near zero, are missed.
    Source: intermediate value theorem.
    """
    points = _with_hidden(function, grid)
    values, errors = function(points)
    sign = np.where(np.abs(values) <= errors, 0, np.sign(values)).astype(int)
    certain = np.flatnonzero(sign)
    falls = bool(certain.size) and sign[certain[0]] < 0
    found = [Root(float(points[0]), 0.0, falls, False)] if sign[0] == 0 else []
    for i, k in pairwise(certain):
        if sign[i] != sign[k]:
            found.append(_enclosed(function, points[i], points[k], values[i]))
        elif k > i + 1:
            middle = 0.5 * (points[i + 1] + points[k - 1])
            found.append(Root(float(middle), float(0.5 * (points[k] - points[i])), False, False))
    if certain.size and certain[-1] < len(points) - 1:
        found.append(Root(float(points[-1]), float(points[-1] - points[certain[-1]]), False, False))
    return found


def vanishes(function: Bounded, grid: Host) -> bool:
    """Say whether no value on the grid can be told from zero.

    Shapes: grid (k,).  Source: definition.
    """
    values, errors = function(grid)
    return bool(np.all(np.abs(values) <= 4 * errors))


def _with_hidden(function: Bounded, grid: Host) -> Host:
    """Refine the cells beside a local minimum of the modulus: two roots may hide there."""
    values, _ = function(grid)
    size = np.abs(values)
    inner = np.flatnonzero((size[1:-1] <= size[:-2]) & (size[1:-1] <= size[2:])) + 1
    parts = [np.linspace(grid[i - 1], grid[i + 1], SPLIT) for i in inner]
    return np.unique(np.concatenate([grid, *parts]))


def _enclosed(function: Bounded, low: float, high: float, first: float) -> Root:
    """Bisect as far as signs are certain, then take the smallest certain bracket around the root."""
    sign = np.sign(first)

    def value(x: float) -> float:
        return float(sign * function(np.asarray([x]))[0][0])

    root = float(optimize.brentq(value, low, high, xtol=1e-15, rtol=8.9e-16))
    width = 4 * np.finfo(np.float64).eps * max(abs(root), 1e-300)
    while width < high - low:
        ends = np.clip(np.asarray([root - width, root + width]), low, high)
        values, errors = function(ends)
        if sign * values[0] > errors[0] and sign * values[1] < -errors[1]:
            return Root(root, float(width), bool(sign > 0))
        width *= 2
    return Root(root, float(high - low), bool(sign > 0))
