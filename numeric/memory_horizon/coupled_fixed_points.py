"""Fixed points of variance maps that feed each other, and the correlations that two runs tend to there."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from wideproof.derive import Memory
from wideproof.derive.memory_horizon.two_run_maps import named
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.roots import Root

Map = Callable[[Host], tuple[Host, Host]]
STARTS, SEED = 24, 7
FOLLOWED, NEWTON = 60, 30
HUGE, NEAR = 2.0**24, 1e-9
ALIKE, SAME = 1e-3, 1e-6
"""Relative distances of points from which one start of Newton's method suffices, and at which two roots are one."""
STEP, PARTED, ROUNDS = 1e-5, 25, 12


def vector_map(parts: Mapping[str, Any], letters: Sequence[str], names: Sequence[str], at: Mapping[str, float]) -> Map:
    """The derived maps of several letters as one function of points, with the errors of its values.

    Shapes: (m, k) -> (m, k), (m, k).  Units: of the letters.  Error: returned.  Source: the emitted formulas.
    """
    compiled = [(parts[name].formula.compile("numpy"), parts[name].formula.arguments) for name in names]

    def function(points: Host) -> tuple[Host, Host]:
        own = {letter: points[:, i] for i, letter in enumerate(letters)}
        found = [f.with_error(**{x: own[x] if x in own else at.get(x, 0.0) for x in read}) for f, read in compiled]
        values, errors = ([np.broadcast_to(x[i], len(points)) for x in found] for i in (0, 1))
        return np.stack(values, axis=-1), np.stack(errors, axis=-1)

    return function


def coupled_roots(
    derived: Memory, names: Sequence[str], letters: Sequence[str], at: Mapping[str, float]
) -> tuple[list[dict[str, Root]], float, str]:
    """Return the fixed points of variance maps that feed each other, how far they were looked for, what is special.

    Affine maps are solved; of others those are found that the map or Newton's method reaches from a grid of starts.
    Units: of q.  Error: that of each root to first order, from the residual and the estimates of the expectations.
    Source: wideproof.memory; Newton's method.
    """
    map_ = vector_map(derived.variance_map, letters, names, at)
    if set(names) <= set(derived.fixed_point):
        return _affine(map_, names)
    group = next(group for group in derived.chain.groups if [named(pair) for pair in group] == list(names))
    return _searched(map_, names, np.asarray([[u.label for u in pair] for pair in group]))


def _affine(map_: Map, names: Sequence[str]) -> tuple[list[dict[str, Root]], float, str]:
    """The solution of q = A q + b where the growth of A is below one; else what becomes of the variance."""
    size = len(names)
    values, errors = map_(np.vstack([np.zeros(size), np.eye(size)]))
    offset, matrix = values[0], (values[1:] - values[0]).T
    roots, vectors = np.linalg.eig(matrix)
    growth = float(np.max(np.abs(roots)))
    if abs(growth - 1) <= NEAR:
        if np.any(np.abs(offset) > 4 * errors[0]):
            return [], 0.0, "the variance grows without bound, by a constant per step"
        ray = np.abs(np.real(vectors[:, np.argmax(np.abs(roots))]))
        found = {name: Root(float(x), math.inf, False, False) for name, x in zip(names, ray / ray.max(), strict=True)}
        return [found], 0.0, "every multiple of one variance is a fixed point; evaluated where the largest is 1"
    said = "" if growth < 1 else f"the variance diverges, by a factor of {growth:.4g} per step"
    if growth > 1 and np.any(np.abs(offset) > 4 * errors[0]):
        return [], 0.0, said
    return [_root(map_, np.linalg.solve(np.eye(size) - matrix, offset) + 0.0, names)], 0.0, said


def _searched(map_: Map, names: Sequence[str], pairs: Host) -> tuple[list[dict[str, Root]], float, str]:
    """The ends of the map from a grid of starts, and of Newton's method from there and from the starts themselves."""
    size, cross = len(names), pairs[:, 0] != pairs[:, 1]
    with np.errstate(all="ignore"):
        top = map_(np.where(cross, 0.0, HUGE)[None])[0][0]
        diverges = not np.all(np.isfinite(top)) or bool(np.any(np.abs(top) > 0.5 * HUGE))
        most = HUGE if diverges else float(max(np.max(top), 1e-6))
        grid = np.asarray(list(itertools.product(np.geomspace(1e-6, 1.0, 5) * most, repeat=min(size, 5))))
        picked = np.random.default_rng(SEED).permutation(len(grid))[:STARTS]
        starts = np.hstack([grid[picked], np.full((len(picked), max(size - 5, 0)), most)])
        starts = _possible(np.vstack([np.full(size, 1e-9), np.full(size, most), starts]), pairs, most)
        points = starts
        for _ in range(FOLLOWED):
            points, before = _possible(map_(points)[0], pairs, most), points
            if np.allclose(points, before, rtol=1e-4, atol=1e-9):
                break
        found = _newton(map_, np.vstack([_different(points, ALIKE), starts]), pairs, most)
    values, errors = map_(np.zeros((1, size)))
    zero = np.zeros((int(np.all(np.abs(values) <= 4 * errors)), size))
    kept = _different(np.vstack([zero, found[np.argsort(found.sum(axis=-1))]]), SAME)
    said = f"looked for up to q = {most:.3g} only; the variance diverges from large ones" if diverges else ""
    return [_root(map_, point, names) for point in kept], most, said


def _possible(points: Host, pairs: Host, most: float) -> Host:
    """The nearest moments: variances that are not negative, and covariances within them."""
    points = np.nan_to_num(points, nan=0.0, posinf=2 * most, neginf=0.0)
    for i in np.flatnonzero(pairs[:, 0] == pairs[:, 1]):
        points[:, i] = np.clip(points[:, i], 0.0, 2 * most)
    for i in np.flatnonzero(pairs[:, 0] != pairs[:, 1]):
        own = [points[:, np.flatnonzero((pairs == state).all(axis=-1))] for state in pairs[i]]
        bound = np.sqrt(np.prod([x[:, 0] if x.shape[-1] else np.full(len(points), most) for x in own], axis=0))
        points[:, i] = np.clip(points[:, i], -bound, bound)
    return points


def _different(points: Host, near: float) -> Host:
    """The points without those that come near an earlier one."""
    kept: list[Host] = []
    for point in points:
        if not any(np.all(np.abs(point - other) <= near * (np.abs(other) + 1e-9)) for other in kept):
            kept.append(point)
    return np.asarray(kept).reshape(-1, points.shape[-1])


def _newton(map_: Map, points: Host, pairs: Host, most: float) -> Host:
    """The points where Newton's method settles.  Shapes: (m, k) -> (r, k)."""
    size = points.shape[-1]
    for _ in range(NEWTON):
        change = map_(points)[0] - points
        moved = _possible(points - _solved(jacobian(map_, points) - np.eye(size), change), pairs, most)
        points, before = moved, points
        points = _different(points, 1e-12)
        if len(before) == len(points) and np.allclose(before, points, rtol=1e-13, atol=1e-300):
            break
    values, errors = map_(points)
    good = np.all(np.abs(values - points) <= 1e-9 * np.abs(points) + 8 * errors + 1e-15, axis=-1)
    return points[good]


def _solved(matrix: Host, right: Host) -> Host:
    try:
        return np.asarray(np.linalg.solve(matrix, right[..., None])[..., 0], dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.asarray((np.linalg.pinv(matrix) @ right[..., None])[..., 0], dtype=np.float64)


def jacobian(map_: Map, points: Host) -> Host:
    """Differences of a map in each letter.

    Shapes: (m, k) -> (m, k, k).  Units: of the map per letter.  Error: of second order in 1e-5 of each letter.
    Source: definition.
    """
    columns = []
    for i in range(points.shape[-1]):
        step = np.zeros_like(points)
        step[:, i] = STEP * np.maximum(np.abs(points[:, i]), 1e-10)
        low = points - np.where(points > step, step, 0.0)  # to one side at zero
        columns.append((map_(points + step)[0] - map_(low)[0]) / (points + step - low)[:, i : i + 1])
    return np.stack(columns, axis=-1)


def _root(map_: Map, point: Host, names: Sequence[str]) -> dict[str, Root]:
    """The root with its error to first order, and whether small changes of it die out."""
    values, errors = map_(point[None])
    slope = jacobian(map_, point[None])[0]
    inverse = np.abs(np.linalg.pinv(np.eye(len(names)) - slope))
    off = inverse @ (np.abs(values[0] - point) + errors[0] + 4e-16 * np.abs(point))
    falls = bool(np.max(np.abs(np.linalg.eigvals(slope))) < 1)
    return {name: Root(float(x) + 0.0, float(e), falls) for name, x, e in zip(names, point, off, strict=True)}


def parted(map_: Map, q: Host) -> Host:
    """The covariances that two runs tend to which start close to each other.

    Shapes: (k,) -> (k,).  Units: of q.  Error: of the residual, 1e-12 of q.  Source: wideproof.memory; Newton's method.
    """
    c, size = (1 - 1e-3) * q, float(np.max(np.abs(q)))
    for _ in range(ROUNDS):
        for _ in range(PARTED):
            c = map_(c[None])[0][0]
        end = c
        for _ in range(NEWTON):
            change = map_(end[None])[0] - end
            end = end - _solved(jacobian(map_, end[None]) - np.eye(len(q)), change)[0]
            if not np.all(np.abs(end) <= np.abs(q)) or np.max(np.abs(change)) <= 1e-13 * size:
                break
        near = np.max(np.abs(end - c)) <= 0.2 * size and np.max(np.abs(end - q)) > 1e-6 * size
        if near and np.all(np.abs(map_(end[None])[0][0] - end) <= 1e-12 * size):
            return np.where(np.abs(end) > 1e-12 * size, end, 0.0)
    return np.where(np.abs(c) > 1e-12 * size, c, 0.0)
