"""Gradient descent on a convolution in closed form: any number of steps, to convergence, from one eigenbasis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from wideproof.derive import models, trajectory_gain
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.linear_rnn.convolution import Convolution
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, to_impulse, to_taps, weights
from wideproof.numeric.networks.divergence import diverged, unstable

COARSE, FINE = 1.5, 1.05
"""Ratio of one number of steps to the next: where all of them are looked at, and around the best of those."""
LEFT = 1e-3
"""What is left of the slowest mode's distance after the last number of steps that is looked at."""


@dataclass(frozen=True, eq=False)
class ClosedPath:
    """The test loss of one descent at numbers of steps that grow to convergence, and the one of least test loss.

    Beyond the last number of steps no mode has more than LEFT of its distance to go.
    Shapes: steps, losses (K,), ascending in steps.  Units: of the loss.  Error: rounding; the best of all steps lies
    within a factor FINE of `best_step` where the test loss has one valley.  Source: `EigenDescent`.
    """

    step_size: float
    steps: Host
    losses: Host
    best_step: float

    def still_to_gain(self, time: float) -> float:
        """How much the least test loss falls after `time`, step size times steps; 0 once it is reached."""
        reached = self.losses[self.step_size * self.steps <= time * (1.0 + 1e-12)]
        return float(np.min(reached, initial=self.losses[0]) - np.min(self.losses))


class EigenDescent:
    """Descent on the parameters θ of a convolution with weights ρ, along the eigenvectors of its loss's curvature.

    Along an eigenvector of curvature λ, l steps of size η move θ by η Σ_{i<l} (1 − ηλ)^i times the slope there; the
    sum is the derived one. Directions that rounding cannot tell from flat ones stay where they start.
    Shapes: curvatures (T n_x,), ascending.  Units: of the loss.  Error: rounding.
    Source: emami2021implicit (61)-(64), `trajectory_gain`.
    """

    def __init__(self, data: Quadratic, rho: Host, test: Quadratic) -> None:
        root = np.asarray(weights(data, rho)) ** 0.5  # (T n_x, 1)
        with blas_threads(1):
            values, vectors = np.linalg.eigh(2.0 / data.count * (root * data.sxx * root.T))
            noise = len(values) * np.finfo(np.float64).eps * max(float(values[-1]), 0.0)
            self.curvatures = np.where(values > noise, values, 0.0)
            self._basis = root * vectors  # (T n_x, T n_x), from θ's coordinates to taps
            aim = 2.0 / data.count * (self._basis.T @ data.sxy)  # (T n_x, n_y)
            self._test = self._basis.T @ test.sxx @ self._basis, self._basis.T @ test.sxy, test.syy, test.count
        self._aim = np.where((self.curvatures > 0)[:, None], aim, 0.0)
        self._vectors, self._lags = vectors, data.lags

    @property
    def largest(self) -> float:
        """The largest curvature: descent converges for steps below 2 over it, and diverges above."""
        return float(self.curvatures[-1])

    def impulses(self, start: Convolution, step_size: float, steps: Sequence[float]) -> Host:
        """The filters L_j = √ρ_j θ_j after these numbers of steps.

        Shapes: -> (K, T, n_y, n_x).  Error: Diverged for a step size that diverges.
        """
        moved = self._moved(start, step_size, np.asarray(steps, dtype=np.float64))  # (K, n, n_y)
        taps = self._basis @ moved.transpose(1, 0, 2).reshape(len(self._basis), -1)
        taps = taps.reshape(len(taps), len(moved), -1).transpose(1, 0, 2)
        return np.stack([np.asarray(to_impulse(one, self._lags)) for one in taps])

    def descend(self, start: Convolution, step_size: float) -> ClosedPath:
        """Descend to convergence, looking a ratio COARSE of steps apart, and FINE around the best of those.

        Error: Diverged for a step size that diverges.
        """
        steps = np.concatenate([[0.0], _grid(1.0, self._last(step_size), COARSE)])
        losses = self._losses(start, step_size, steps)
        best = float(steps[np.argmin(losses)])
        near = np.setdiff1d(_grid(max(best / COARSE, 1.0), best * COARSE, FINE), steps) if best else steps[:0]
        losses = np.concatenate([losses, self._losses(start, step_size, near)])
        steps = np.concatenate([steps, near])
        order = np.argsort(steps)
        steps, losses = steps[order], losses[order]
        return ClosedPath(step_size, steps, losses, float(steps[np.argmin(losses)]))

    def _last(self, step_size: float) -> float:
        """The number of steps after which the slowest mode has LEFT of its distance to go."""
        moving = self.curvatures[self.curvatures > 0]
        return 1.0 if not moving.size else max(1.0, float(-np.log(LEFT) / (step_size * moving[0])))

    def _moved(self, start: Convolution, step_size: float, steps: Host) -> Host:
        """The coordinates of θ along the eigenvectors after these numbers of steps.  Shapes: -> (K, T n_x, n_y)."""
        if unstable(step_size, self.largest):
            raise diverged("train", step_size, self.largest, fixed=True)
        first = self._vectors.T @ np.asarray(to_taps(start.theta))
        slope = self._aim - self.curvatures[:, None] * first
        gain = _gain()(l=steps[:, None], eta=step_size, sigma=self.curvatures)  # (K, T n_x)
        return np.asarray(first + (step_size * gain)[:, :, None] * slope)

    def _losses(self, start: Convolution, step_size: float, steps: Host) -> Host:
        """The test loss after these numbers of steps, all in one product.  Shapes: (K,) -> (K,)."""
        moved = self._moved(start, step_size, steps)  # (K, n, n_y)
        sxx, sxy, syy, count = self._test
        flat = moved.transpose(1, 0, 2).reshape(len(sxx), -1)  # (n, K n_y)
        with blas_threads(1):
            square = np.sum(flat * (sxx @ flat), axis=0).reshape(len(steps), sxy.shape[1]).sum(axis=1)
        return np.asarray((square - 2.0 * np.tensordot(moved, sxy, axes=2) + syy) / count)


def _grid(first: float, last: float, ratio: float) -> Host:
    """Whole numbers from the first to the last at most, a ratio apart where that is more than one."""
    points = int(np.ceil(np.log(max(last / first, 1.0)) / np.log(ratio))) + 1
    return np.unique(np.round(np.geomspace(first, max(last, first), points)))


@cache
def _gain() -> Any:
    """Σ_{i<l} (1 − ησ)^i as a function; it is the same for every linear recursion."""
    return trajectory_gain(models.linear_rnn()).formula.compile()
