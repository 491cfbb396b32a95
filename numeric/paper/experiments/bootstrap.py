"""R² of predictions of a time series, with moving-block bootstrap standard errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Host


@dataclass(frozen=True, eq=False)
class Scores:
    """R² of M models on n_y outputs of one test series, with resampled copies that share their blocks.

    Shapes: r2 (M, n_y), replicates (B, M, n_y).  Units: none; 1 is perfect, 0 is the test mean.
    """

    r2: Host
    replicates: Host
    block: int

    @property
    def stderr(self) -> Host:
        """Standard error of every R²: the test series' share only, the trained models are held fixed."""
        return np.asarray(self.replicates.std(axis=0, ddof=1))

    def difference(self, first: int, second: int) -> tuple[Host, Host]:
        """R² of `first` minus R² of `second`, and its paired standard error.  Shapes: -> (n_y,), (n_y,)."""
        pairs = self.replicates[:, first] - self.replicates[:, second]
        return self.r2[first] - self.r2[second], np.asarray(pairs.std(axis=0, ddof=1))


def score(
    y: Host, predictions: Host, *, rng: np.random.Generator, replicates: int = 1000, block: int | None = None
) -> Scores:
    """R² = 1 − Σ(y − ŷ)²/Σ(y − ȳ)² per output, resampled in blocks that keep the correlation in time.

    The block length defaults to the automatic choice for the linearised R², the longest over all series.
    Shapes: y (N, n_y), predictions (M, N, n_y).
    Errors: ShapeError where they do not pair up; ParameterError for a constant output or a bad block.
    Source: kunsch1989jackknife; politis2004automatic with patton2009correction for the block length.
    """
    if predictions.ndim != 3 or predictions.shape[1:] != y.shape:
        got = f"{y.shape} and {predictions.shape}"
        raise ShapeError("score", "y (N, n_y), predictions (M, N, n_y)", got, "Predict every output.")
    power = ((y - y.mean(axis=0)) ** 2).mean(axis=0)  # (n_y,)
    if np.any(power == 0):
        column = int(np.argmin(power))
        raise ParameterError("score", "outputs that vary in the test part", f"constant output {column}",
                             "Move the split, or leave the output out.")  # fmt: skip
    squares = (y - predictions) ** 2  # (M, N, n_y)
    r2 = 1.0 - squares.mean(axis=1) / power
    linear = (squares - (1.0 - r2)[:, None, :] * (y - y.mean(axis=0)) ** 2) / power  # (M, N, n_y)
    if block is None:
        block = max(block_length(series[:, k]) for series in linear for k in range(y.shape[1]))
    if not 1 <= block <= len(y) // 2:
        raise ParameterError("score", f"a block of 1 to {len(y) // 2} samples", block, "Test on more data.")
    return Scores(r2, _resample(y, squares, block, replicates, rng), block)


def block_length(series: Host) -> int:
    """The moving-block length that minimises the error of the mean's variance, by the flat-top rule.

    Shapes: (N,) -> scalar, from 1 to N // 4.  Units: samples.
    Source: politis2004automatic, with the constant 4/3 for moving blocks and the correction of patton2009correction.
    """
    size = len(series)
    centred = series - series.mean()
    longest = int(np.ceil(size**0.5)) + 10
    spectrum = np.abs(np.fft.rfft(centred, 2 * size)) ** 2
    covariance = np.fft.irfft(spectrum)[: longest + 1] / size  # (longest + 1,)
    if covariance[0] <= 0:
        return 1
    cutoff = 2 * _last_correlated(covariance / covariance[0], size)
    lags = np.arange(1, min(cutoff, longest) + 1)
    taper = np.clip(2.0 * (1.0 - lags / max(cutoff, 1)), 0.0, 1.0) * covariance[lags]
    spread = covariance[0] + 2.0 * taper.sum()
    if spread <= 0:
        return max(1, size // 4)
    length = (2.0 * (2.0 * (lags * taper).sum()) ** 2 / (4.0 / 3.0 * spread**2) * size) ** (1.0 / 3.0)
    return int(np.clip(np.ceil(length), 1, max(1, size // 4)))


def _last_correlated(correlation: Host, size: int) -> int:
    """The least lag after which five correlations in a row are insignificant."""
    bound = 2.0 * (np.log10(size) / size) ** 0.5
    significant = np.abs(correlation[1:]) > bound
    for lag in range(len(significant) - 5):
        if not significant[lag : lag + 5].any():
            return lag
    return len(significant)


def _resample(y: Host, squares: Host, block: int, replicates: int, rng: np.random.Generator) -> Host:
    """R² of every replicate: sums over blocks are differences of one running sum."""
    models, size, n_y = squares.shape
    y = y - y.mean(axis=0)
    parts = np.concatenate([squares.transpose(1, 0, 2).reshape(size, -1), y, y * y], axis=1)
    running = np.concatenate([np.zeros((1, parts.shape[1])), np.cumsum(parts, axis=0)])
    sums = running[block:] - running[:-block]  # (N − block + 1, (M + 2) n_y)
    count = int(np.ceil(size / block))
    picks = rng.integers(0, len(sums), size=(replicates, count))
    means = sums[picks].sum(axis=1) / (count * block)  # (B, (M + 2) n_y)
    error = means[:, : models * n_y].reshape(replicates, models, n_y)
    mean, square = means[:, models * n_y : -n_y], means[:, -n_y:]
    return np.asarray(1.0 - error / (square - mean**2)[:, None, :])
