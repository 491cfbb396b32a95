"""The block bootstrap's standard error against the spread over independent series."""

import numpy as np
import pytest
from scipy.signal import lfilter

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.paper.experiments.bootstrap import block_length, score

SERIES, SIZE = 300, 800


def correlated(rng, coefficient, count, size=SIZE):
    noise = rng.standard_normal((count, size + 200))
    return lfilter([1.0], [1.0, -coefficient], noise, axis=1)[:, 200:]


def spread_and_stderr(coefficient, block):
    """Two models with AR errors on an AR output: the true spread of R², and the mean claimed error."""
    rng = np.random.default_rng(5)
    signal, first, second = (correlated(rng, coefficient, SERIES) for _ in range(3))
    r2, claimed, gaps, gap_claimed = [], [], [], []
    for s, a, b in zip(signal, first, second, strict=True):
        predictions = np.array([s + 0.5 * a, s + 0.5 * a + 0.2 * b])[:, :, None]
        result = score(s[:, None], predictions, rng=rng, replicates=200, block=block)
        r2.append(result.r2[0, 0])
        claimed.append(result.stderr[0, 0])
        gap, stderr = result.difference(0, 1)
        gaps.append(gap[0])
        gap_claimed.append(stderr[0])
    return np.std(r2), np.mean(claimed), np.std(gaps), np.mean(gap_claimed)


@pytest.mark.parametrize("coefficient", [0.0, 0.7])
def test_standard_errors_are_calibrated(coefficient):
    """Spread over 300 series has 4 % error itself; moving blocks are known to fall short by O(block/N)."""
    spread, claimed, gap_spread, gap_claimed = spread_and_stderr(coefficient, None)
    assert 0.82 < claimed / spread < 1.13
    assert 0.82 < gap_claimed / gap_spread < 1.13


def test_resampling_single_samples_is_caught():
    spread, claimed, *_ = spread_and_stderr(0.7, 1)
    assert claimed / spread < 0.75


def test_paired_error_is_below_the_independent_one():
    rng = np.random.default_rng(6)
    y = rng.standard_normal((SIZE, 1))
    shared = y + rng.standard_normal((SIZE, 1))
    result = score(y, np.array([shared, shared + 0.01 * rng.standard_normal((SIZE, 1))]), rng=rng)
    gap, stderr = result.difference(0, 1)
    assert gap == pytest.approx(result.r2[0] - result.r2[1])
    assert stderr[0] < 0.1 * result.stderr[0, 0]


def test_r2_is_its_definition():
    rng = np.random.default_rng(7)
    y, p = rng.standard_normal((2, 60, 2))
    want = 1 - np.sum((y - p) ** 2, axis=0) / np.sum((y - y.mean(axis=0)) ** 2, axis=0)
    assert np.allclose(score(y, p[None], rng=rng).r2[0], want, rtol=1e-13)
    means = np.broadcast_to(y.mean(axis=0), y.shape)
    assert np.allclose(score(y, means[None], rng=rng, block=3).r2, 0.0, atol=1e-14)
    assert np.array_equal(score(y, y[None], rng=rng, block=3).replicates, np.ones((1000, 1, 2)))


@pytest.mark.parametrize(("coefficient", "low", "high"), [(0.0, 1, 5), (0.5, 6, 22), (0.9, 30, 110)])
def test_block_length_follows_the_correlation(coefficient, low, high):
    """Optimal lengths for AR(1): (6 N φ²/(1−φ²)²)^{1/3} = 1, 21.1 and 79 at N = 3520 [politis2004automatic]."""
    rng = np.random.default_rng(8)
    lengths = [block_length(s) for s in correlated(rng, coefficient, 40, 3520)]
    assert low <= np.median(lengths) <= high
    assert block_length(np.ones(50)) == 1


def test_errors_name_the_field():
    rng = np.random.default_rng(9)
    y = rng.standard_normal((40, 2))
    with pytest.raises(ShapeError):
        score(y, y, rng=rng)
    for block in (0, 21):
        with pytest.raises(ParameterError) as caught:
            score(y, y[None], rng=rng, block=block)
        assert caught.value.got == block
    y[:, 1] = 2.0
    with pytest.raises(ParameterError) as caught:
        score(y, y[None], rng=rng)
    assert caught.value.got == "constant output 1"
