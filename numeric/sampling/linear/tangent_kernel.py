"""The empirical tangent kernel of each draw, from its Gram matrices: its weights over lags, and on inputs."""

from __future__ import annotations

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Array, Namespace, namespace
from wideproof.numeric.sampling.linear.setting import Draw

GROUPS = ("C", "F", "W")


def grams_of(draw: Draw) -> tuple[Array, Array]:
    """Return the (right, left) Gram matrices of a draw that carries them.

    Shapes: as `Draw`.  Units: as `Draw`.  Error: ParameterError if they were not asked for.
    Source: definition.
    """
    if draw.right is None or draw.left is None:
        raise ParameterError("draw", "Gram matrices", f"a {draw.method} draw of L", "Draw with grams=True.")
    return draw.right, draw.left


def diagonal_weights(draw: Draw) -> Array:
    """Return the weight of lag j in each trial's empirical NTK, averaged over the n_y n_x entries of L_j.

    Shapes: (B, T).  Units: those of L_j squared per squared unit of a parameter.  Error: rounding.
    Source: gradient of L_j with respect to C, F and W, squared and summed; paper, (13).
    """
    right, left = grams_of(draw)
    inputs, outputs = mean_diagonal(right), mean_diagonal(left)  # (B, T, T)
    xp = namespace(inputs)
    weights = []
    for j in range(inputs.shape[1]):
        weight = inputs[:, j, j] + outputs[:, j, j]
        if j:  # W: over a + b = j - 1 and a' + b' = j - 1
            back = xp.flip(inputs[:, :j, :j], axis=(1, 2))
            weight = weight + xp.sum(outputs[:, :j, :j] * back, axis=(1, 2))
        weights.append(weight)
    return xp.stack(weights, axis=1)


def mean_diagonal(gram: Array) -> Array:
    """Average a Gram matrix over equal columns m = m'.

    Shapes: (B, T, m, T, m) -> (B, T, T).  Units: kept.  Error: rounding.  Source: definition.
    """
    count = gram.shape[2]
    total = gram[:, :, 0, :, 0]
    for m in range(1, count):
        total = total + gram[:, :, m, :, m]
    return total / count


def kernel_weights(draw: Draw, groups: tuple[str, ...] = GROUPS) -> Array:
    """Return the inner products of the gradients of all entries of L_j and L_j', from the named parameters.

    Shapes: (B, T, n_y, n_x, T, n_y, n_x).  Units: as `diagonal_weights`.  Error: rounding.
    Source: gradient of (9) with respect to C, F and W; paper, (13).
    """
    right, left = grams_of(draw)
    xp = namespace(right)
    inputs, outputs = right[:, :, None, :, :, None, :], left[:, :, :, None, :, :, None]
    trials, horizon, n_x, n_y = right.shape[0], right.shape[1], right.shape[2], left.shape[2]
    total = xp.zeros((trials, horizon, n_y, n_x, horizon, n_y, n_x))
    if "C" in groups:
        total = total + inputs * xp.eye(n_y)[:, None, None, :, None]
    if "F" in groups:
        total = total + outputs * xp.eye(n_x)[:, None, None, :]
    if "W" in groups:
        _add_transition(total, inputs, outputs)
    return total


def _add_transition(total: Array, inputs: Array, outputs: Array) -> None:
    """Add the W part: the sum over a < j, a' < j' of left(a, a') times right(j - 1 - a, j' - 1 - a')."""
    horizon = total.shape[1]
    for a in range(horizon - 1):
        for b in range(horizon - 1):
            block = inputs[:, : horizon - 1 - a, :, :, : horizon - 1 - b, :, :]
            total[:, a + 1 :, :, :, b + 1 :, :, :] += outputs[:, a, None, :, :, b, None, :, :] * block


def linear_empirical_ntk(draw: Draw, X1: Array, X2: Array, groups: tuple[str, ...] = GROUPS) -> Array:
    """Return each trial's empirical NTK between the outputs of two batches of input sequences.

    Shapes: X1 (N1, T, n_x), X2 (N2, T, n_x) -> (B, N1, T, n_y, N2, T, n_y).
    Units: y squared per squared unit of a parameter.  Error: rounding.  Source: paper, (5) and (13).
    """
    weights = kernel_weights(draw, groups)
    trials, horizon, n_y, n_x = weights.shape[:4]
    for name, X in (("X1", X1), ("X2", X2)):
        if X.ndim != 3 or X.shape[1:] != (horizon, n_x):
            shape = f"shape (N, {horizon}, {n_x})"
            raise ParameterError(name, shape, tuple(X.shape), "Axes: sequence, time, input.")
    xp = namespace(weights, X1, X2)
    lags = horizon * n_x
    flat = xp.permute_dims(weights, (0, 2, 5, 1, 3, 4, 6))  # (B, k, k', j, m, j', m')
    flat = xp.reshape(flat, (trials, n_y, n_y, lags, lags))
    kernel = xp.matmul(xp.matmul(delayed(xp, X1), flat), delayed(xp, X2).mT)  # (B, k, k', N1 T, N2 T)
    kernel = xp.reshape(kernel, (trials, n_y, n_y, X1.shape[0], horizon, X2.shape[0], horizon))
    return xp.permute_dims(kernel, (0, 3, 4, 1, 5, 6, 2))


def delayed(xp: Namespace, X: Array) -> Array:
    """Return the rows (x_t, x_{t-1}, ..., x_{t-T+1}) of every sequence and time, zero before the start.

    Shapes: (N, T, n_x) -> (N T, T n_x).  Units: of X.  Source: paper, (18) transposed.
    """
    count, horizon, n_x = X.shape
    rows = xp.zeros((count, horizon, horizon, n_x))
    for j in range(horizon):
        rows[:, j:, j, :] = X[:, : horizon - j, :]
    return xp.reshape(rows, (count * horizon, horizon * n_x))
