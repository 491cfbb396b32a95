"""Exact sampling at any width without the matrix: the cost depends on the horizon, not on n.

A Gaussian matrix applied to a unit vector orthogonal to all vectors it has met gives a fresh standard
Gaussian vector (`derive.alternating.conditioning`, step (81) of the paper's proof at finite width).
In a basis that grows with the vectors met so far, a fresh vector of R^n has standard normal coordinates on the basis
and a chi-distributed coordinate, with n minus the size of the basis degrees of freedom, on one new basis vector.  When
the basis fills R^n nothing is added, so the law is exact at every n >= 1, also below the number of vectors.
"""

from __future__ import annotations

import math

from wideproof.numeric.core.arrays import Array, Stream
from wideproof.numeric.sampling.linear.dense import gram
from wideproof.numeric.sampling.linear.setting import Draw, LinearSetting


def fresh_vectors(count: int, size: int, trials: int, stream: Stream) -> Array:
    """Draw `count` independent standard Gaussian vectors of R^size, in a basis that grows with them.

    Shapes: (B, count, min(count, size)), lower trapezoidal: row i is the i-th vector.
    Error: none, exact in law up to a rotation of R^size.  Source: derive.alternating.conditioning.fresh_law.
    """
    xp, columns = stream.xp, min(count, size)
    rows = xp.zeros((trials, count, columns))
    for i in range(count):
        if i:
            rows[:, i, : min(i, columns)] = stream.normal(trials, min(i, columns))
        if i < columns:
            rows[:, i, i] = stream.chi(size - i, trials)
    return rows


def one_sided(setting: LinearSetting, trials: int, stream: Stream) -> Draw:
    """Draw the impulse response L_0 .. L_{T-1}, exact in law at every width, at a cost free of the width.

    Shapes: response as `Draw`, no Gram matrices; dimension min(n, T min(n_x, n_y)) inside.  Units: as `Draw`.
    Error: rounding.  Source: derive.alternating.conditioning; the basis makes W block Hessenberg.
    """
    xp, n = stream.xp, setting.width
    flip = setting.n_y < setting.n_x  # (C, W, F) and (F^T, W^T, C^T) have transposed responses
    inner, outer = sorted((setting.n_x, setting.n_y))
    krylov = _right_vectors(setting, inner, 1.0, trials, stream)[0]  # (B, T, d, inner)
    readout = stream.normal(trials, 1, outer, krylov.shape[2]) * math.sqrt(setting.nu_C * setting.nu_F / n)
    response = xp.matmul(readout, krylov)  # (B, T, outer, inner)
    return Draw(response.mT if flip else response, None, None, "one-sided")


def _right_vectors(
    setting: LinearSetting, columns: int, variance: float, trials: int, stream: Stream
) -> tuple[Array, Array]:
    """Return A^b F, b < T, for `columns` inputs, and the columns of W queried on the way (unit variance)."""
    n = setting.width
    count = columns + min(n, (setting.horizon - 1) * columns)  # F, then W on the basis vectors in their order
    rows = fresh_vectors(count, n, trials, stream)  # (B, count, d)
    inputs, hessenberg = rows[:, :columns, :].mT * math.sqrt(variance), rows[:, columns:, :].mT
    blocks, known = [inputs], hessenberg.shape[2]
    for _ in range(setting.horizon - 1):
        image = stream.xp.matmul(hessenberg, blocks[-1][:, :known, :])  # W R_b: R_b lies in the queried part
        blocks.append(image * math.sqrt(setting.nu_W / n))
    return stream.xp.stack(blocks, axis=1), hessenberg


def two_sided(setting: LinearSetting, trials: int, stream: Stream) -> Draw:
    """Draw (L, R^T R, Q Q^T) from their joint law, exact at every width, at a cost free of the width.

    Shapes: as `Draw`; dimension min(n, T (n_x + n_y)) inside.  Units: as `Draw`.  Error: rounding.
    Source: derive.alternating.conditioning; right vectors first, left vectors against them.
    """
    flip = setting.n_x < setting.n_y  # the side done last is a loop over single rows: keep it the smaller
    columns, rows = max(setting.n_x, setting.n_y), min(setting.n_x, setting.n_y)
    nu_right, nu_left = (setting.nu_C, setting.nu_F) if flip else (setting.nu_F, setting.nu_C)
    right, hessenberg = _right_vectors(setting, columns, nu_right, trials, stream)
    basis, left = _left_vectors(setting, rows, nu_left, hessenberg, trials, stream)
    xp, n = stream.xp, setting.width
    # Q_j F = (coordinates of Q_j in the left basis) (left basis) F; F lies in the first coordinates
    image = xp.matmul(basis[:, :, : right.shape[2]], right[:, 0, :, :])  # (B, K, columns)
    response = xp.matmul(left.mT, image[:, None, :, :]) / math.sqrt(n)  # (B, T, rows, columns)
    grams = gram(xp, right, n), gram(xp, left, n)
    if flip:
        return Draw(response.mT, grams[1], grams[0], "two-sided")
    return Draw(response, grams[0], grams[1], "two-sided")


def _left_vectors(
    setting: LinearSetting, rows: int, variance: float, hessenberg: Array, trials: int, stream: Stream
) -> tuple[Array, Array]:
    """Return an orthonormal left basis U (B, K, D) and the coordinates (B, T, K, rows) in it of C A^a, a < T.

    Given the right queries, W restricted to their complement is still a fresh Gaussian matrix, so every unit
    left query u meets one fresh vector there, and the known image u^T (W V) on the span of the queries V.
    """
    xp, n = stream.xp, setting.width
    queries = min(n, (setting.horizon - 1) * rows)
    beyond = _beyond(setting, rows + queries, hessenberg, trials, stream)  # (B, rows + queries, D)
    known, met = hessenberg.shape[2], hessenberg.shape[1]
    if known:
        beyond[:, :rows, :known] = stream.normal(trials, rows, known)  # C is fresh on V too
    basis = xp.zeros((trials, min(n, rows + queries), beyond.shape[2]))
    coordinates = xp.zeros((trials, rows + queries, basis.shape[1]))
    filled = 0
    for index in range(rows + queries):
        vector = beyond[:, index, :]
        if index >= rows and known:
            query = basis[:, index - rows, None, :met]
            vector[:, :known] = xp.matmul(query, hessenberg)[:, 0, :]
        filled = _orthogonalise(vector, basis, coordinates[:, index, :], filled, stream)
    readout, action = coordinates[:, :rows, :].mT * math.sqrt(variance), coordinates[:, rows:, :].mT
    blocks = [readout]
    for _ in range(setting.horizon - 1):
        blocks.append(xp.matmul(action, blocks[-1][:, :queries, :]) * math.sqrt(setting.nu_W / n))
    return basis, xp.stack(blocks, axis=1)


def _beyond(setting: LinearSetting, count: int, hessenberg: Array, trials: int, stream: Stream) -> Array:
    """Draw `count` fresh vectors on the complement of the right queries: met part, then growing basis."""
    met, known = hessenberg.shape[1], hessenberg.shape[2]
    xp, remaining = stream.xp, setting.width - met
    tail = stream.normal(trials, count, met - known)
    parts = [xp.zeros((trials, count, known)), tail]
    if remaining:
        parts.append(fresh_vectors(count, remaining, trials, stream))
    return xp.concat(parts, axis=2)


def _orthogonalise(vector: Array, basis: Array, coordinates: Array, filled: int, stream: Stream) -> int:
    """Write a vector's coordinates in the basis, which grows by one while there is room; return its size.

    Two passes of Gram-Schmidt ("twice is enough"): the basis is orthonormal to rounding at every width.
    """
    xp = stream.xp
    if filled:
        old = basis[:, :filled, :]
        for _ in range(2):
            part = xp.matmul(old, vector[:, :, None])  # (B, filled, 1)
            coordinates[:, :filled] += part[:, :, 0]
            vector = vector - xp.matmul(part.mT, old)[:, 0, :]
    if filled == basis.shape[1]:
        return filled
    norm = xp.sqrt(xp.sum(vector * vector, axis=1))
    coordinates[:, filled] = norm
    basis[:, filled, :] = vector / norm[:, None]
    return filled + 1
