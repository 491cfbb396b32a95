"""Estimates that carry their errors, moments that merge, and tests that count their multiplicity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Array, Host, namespace, to_host


@dataclass(frozen=True)
class Estimate:
    """A mean that never travels without its standard error and the number of trials behind it.

    Shapes: mean and stderr alike.  Units: stderr as mean.  Error: stderr.  Source: definition.

    >>> wp.Estimate(np.array(1.0), np.array(0.1), 100)
    Estimate(mean=array(1.), stderr=array(0.1), count=100)
    """

    mean: Host
    stderr: Host
    count: int


@dataclass(frozen=True)
class Moments:
    """Count, mean and centred second moments of k features; merging parts equals taking them together.

    Shapes: mean (..., k), comoment (..., k, k), the sum of centred products over the trials.
    Units: of the features and their products.  Error: rounding.  Source: Chan, Golub and LeVeque 1983.
    """

    count: int
    mean: Host
    comoment: Host

    @staticmethod
    def of(features: Array) -> Moments:
        """Return the moments of a batch of features (B, ..., k), reduced in the namespace they live in."""
        xp, count = namespace(features), features.shape[0]
        mean = xp.mean(features, axis=0)
        axes = (*range(1, features.ndim), 0)
        centred = xp.permute_dims(features - mean, axes)  # (..., k, B)
        return Moments(count, to_host(mean), to_host(xp.matmul(centred, centred.mT)))

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both sets of trials together."""
        count = self.count + other.count
        shift = other.mean - self.mean
        outer = shift[..., :, None] * shift[..., None, :]
        return Moments(
            count,
            self.mean + shift * (other.count / count),
            self.comoment + other.comoment + outer * (self.count * other.count / count),
        )

    def estimate(self, value: ArrayLike, gradient: ArrayLike) -> Estimate:
        """Return a smooth function of the means with its standard error by the delta method.

        Shapes: value (...), gradient (..., k) at the means.  Units: of value.
        Error: relative O(count^-1/2) in stderr; stderr is infinite for a single trial.  Source: delta method.
        """
        slope = np.asarray(gradient, dtype=np.float64)
        if self.count < 2:
            return Estimate(np.asarray(value), np.full(np.shape(value), np.inf), self.count)
        variance = np.einsum("...i,...ij,...j->...", slope, self.comoment, slope)
        spread = np.sqrt(np.maximum(variance, 0.0) / (self.count - 1) / self.count)
        return Estimate(np.asarray(value, dtype=np.float64), spread, self.count)

    def feature(self, index: int) -> Estimate:
        """Return the mean of one feature with its standard error."""
        return self.estimate(self.mean[..., index], np.eye(self.mean.shape[-1])[index])


def ratio_of_moments(moments: Moments, over: Sequence[float], offset: float) -> Estimate:
    """Estimate m_0 / prod_i m_i^over_i + offset from the means m of the features; zero where m_i = 0.

    Shapes: features (..., 1 + len(over)) -> (...).  Units: m_0 over the powers.  Error: bias O(1/count).
    Source: delta method.  Kurtosis about 0: features (x^4, x^2), over (2,), offset -3.
    """
    top, rest = moments.mean[..., 0], moments.mean[..., 1:]
    powers = np.asarray(over, dtype=np.float64)
    dead = np.any(rest == 0, axis=-1)
    safe = np.where(rest == 0, 1.0, rest)
    below = np.prod(safe**powers, axis=-1)
    value = top / below
    slopes = np.concatenate([1 / below[..., None], -value[..., None] * powers / safe], axis=-1)
    slopes = np.where(dead[..., None], 0.0, slopes)
    return moments.estimate(np.where(dead, 0.0, value + offset), slopes)


def two_sided_p(score: ArrayLike) -> Host:
    """Return the probability that a standard normal is further from 0 than the score.

    Shapes: kept.  Units: probability.  Error: rounding.  Source: definition.
    """
    return np.asarray(2 * special.ndtr(-np.abs(np.asarray(score, dtype=np.float64))))


def normal_quantile(tail: float) -> float:
    """Return the point beyond which a standard normal lies with probability `tail`.

    Units: standard deviations.  Error: rounding.  Source: definition.
    """
    if not 0 < tail < 1:
        raise ParameterError("tail", "a probability strictly between 0 and 1", tail, "Levels are like 0.01.")
    return float(-special.ndtri(tail))


def holm(p_values: Sequence[float]) -> Host:
    """Return adjusted p-values: rejecting those <= a errs anywhere with probability <= a, in any dependence.

    Shapes: (m,) -> (m,).  Units: probability.  Source: Holm 1979.
    """
    raw = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    adjusted = np.empty_like(raw)
    adjusted[order] = np.maximum.accumulate(raw[order] * np.arange(len(raw), 0, -1))
    return np.minimum(adjusted, 1.0)
