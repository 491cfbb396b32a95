"""§ 5.2 on synthetic recordings whose answer is known, and no leak from the test part."""

import dataclasses as dc
import json

import numpy as np
import pytest

from derive.errors import ParameterError
from numeric.data import apply_filter, loss, to_taps
from numeric.experiments import protocol as protocol_module
from numeric.experiments.comparison import (
    MATCHED,
    RNN,
    SCALED,
    UNSCALED,
    ZERO,
    compare,
    record_steps,
)
from numeric.experiments.protocol import FULL, LIMITED, Protocol, prepare
from numeric.recordings import Recording, load_recording

QUICK = Protocol(lags=8, width=60, steps=150, seeds=(1, 2), replicates=200)


def oracle(j, nu_W, nu_F, nu_C):
    """The paper's (21), as an oracle: the experiment itself takes the emitted function."""
    j = np.asarray(j, dtype=float)
    return nu_C * (j * nu_F * nu_W ** np.maximum(j - 1, 0) + nu_W**j) + nu_F * nu_W**j


def synthetic(samples=1500, noise=1.0, seed=0):
    """Three noisy inputs; the outputs depend on recent lags, as the bias supposes."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((samples, 3)) * [1.0, 5.0, 0.2] + [0.0, 10.0, -3.0]
    impulse = rng.standard_normal((8, 2, 3)) / [1.0, 5.0, 0.2] * 0.5 ** np.arange(8.0)[:, None, None]
    clean = apply_filter(impulse, x - x.mean(axis=0))
    y = clean + noise * clean.std(axis=0) * rng.standard_normal(clean.shape)
    return Recording("synthetic", x, y, ("a", "b", "c"), ("u", "v"), None, "", "", "")


def check_no_leak(regime):
    recording = synthetic()
    before = prepare(recording, QUICK, regime)
    last = int((QUICK.training + QUICK.validation) * recording.samples)
    changed = recording.inputs.copy(), recording.outputs.copy()
    for values in changed:
        values[last:] *= 7.0
    after = prepare(dc.replace(recording, inputs=changed[0], outputs=changed[1]), QUICK, regime)
    for part in ("training", "validation"):
        for name in ("sxx", "sxy", "syy"):
            assert np.array_equal(getattr(getattr(before, part), name), getattr(getattr(after, part), name))


@pytest.mark.parametrize("regime", [FULL, LIMITED])
def test_the_test_part_reaches_neither_training_nor_validation(regime):
    check_no_leak(regime)


def test_a_leaking_standardisation_is_caught(monkeypatch):
    def leaky(recording, values, names, part):
        return (values - values.mean(axis=0)) / values.std(axis=0)

    monkeypatch.setattr(protocol_module, "_standardise", leaky)
    with pytest.raises(AssertionError):
        check_no_leak(FULL)


@pytest.mark.parametrize("regime", [FULL, LIMITED])
def test_training_part_is_standardised_and_parts_do_not_overlap(regime):
    recording = synthetic()
    parts = prepare(recording, QUICK, regime)
    assert parts.samples == (900 if regime == FULL else 90)
    assert len(parts.y_test) == 300
    assert parts.training.power == pytest.approx(1.0, rel=1e-12)
    own = slice(900 - parts.samples, 900)
    y = (recording.outputs - recording.outputs[own].mean(axis=0)) / recording.outputs[own].std(axis=0)
    assert np.allclose(parts.y_test, y[1200:], rtol=1e-12)
    zero = to_taps(np.zeros((8, 2, 3)))
    assert float(loss(parts.validation, zero)) == pytest.approx(np.mean(y[900:1200] ** 2), rel=1e-12)


@pytest.fixture(scope="module")
def result():
    return compare(synthetic(), QUICK, scale=oracle)


def scores_of(result, regime):
    regime = next(r for r in result.regimes if r.name == regime)
    return {(s.model, s.start): s for s in regime.scores}, {
        (c.first, c.second, c.start): c for c in regime.contrasts
    }


def test_with_much_data_every_model_finds_the_truth(result):
    """Noise of the signal's power leaves R² = 1/2 to the true filter."""
    for score in scores_of(result, FULL)[0].values():
        for r2, stderr in zip(score.r2, score.stderr, strict=True):
            assert abs(r2 - 0.5) < 0.05 + 4 * stderr
            assert 0.01 < stderr < 0.1


def test_with_fewer_samples_than_taps_the_bias_helps_and_a_bias_to_old_lags_hurts():
    """22 samples for 24 taps, of which the recent ones matter; the mutant turns the weights round."""
    few = dc.replace(QUICK, limited=0.025)
    for scale, sign in ((oracle, 1), (lambda j, **nu: oracle(7 - j, **nu), -1)):
        contrast = scores_of(compare(synthetic(), few, scale=scale), LIMITED)[1][SCALED, UNSCALED, ZERO]
        assert sign * sum(contrast.difference) > 2 * np.hypot(*contrast.stderr) > 0


def test_contrasts_are_differences_and_rnn_is_near_the_scaled_convolution(result):
    for regime in (FULL, LIMITED):
        scores, contrasts = scores_of(result, regime)
        for (first, second, start), contrast in contrasts.items():
            want = np.subtract(scores[first, start].r2, scores[second, start].r2)
            assert np.allclose(contrast.difference, want, atol=1e-12)
        near = contrasts[RNN, SCALED, MATCHED]
        assert np.all(np.abs(near.difference) < 0.1)


def test_result_is_json_and_reproducible(result):
    again = compare(synthetic(), QUICK, scale=oracle)
    assert dc.replace(again, seconds=result.seconds) == result
    loaded = json.loads(json.dumps(dc.asdict(result)))
    assert loaded["protocol"]["width"] == 60
    curve = loaded["regimes"][0]["scores"][0]
    assert len(curve["curve_steps"]) == len(curve["curve_r2"])
    assert curve["curve_steps"] == list(record_steps(150))
    assert all(0 <= k <= 150 for s in scores_of(result, FULL)[0].values() for k in s.best_steps)
    assert scores_of(result, FULL)[0][UNSCALED, ZERO].curve_r2[0] == pytest.approx((0.0, 0.0), abs=0.05)


def test_errors_name_the_field():
    with pytest.raises(ParameterError):
        Protocol(training=0.9, validation=0.1)
    with pytest.raises(ParameterError):
        Protocol(seeds=())
    with pytest.raises(ParameterError) as caught:
        prepare(synthetic(), dc.replace(QUICK, lags=60), LIMITED)
    assert caught.value.expected == "parts of at least 2 × 60 samples"
    still = synthetic()
    still.inputs[700:900, 1] = 4.0
    with pytest.raises(ParameterError) as caught:
        prepare(still, QUICK, LIMITED)
    assert caught.value.expected == "column 'b' to vary in training"


@pytest.mark.parametrize("name", ["er-fmri", "daphnet"])
def test_real_recordings_pass_through(name):
    seen = []
    quick = dc.replace(QUICK, width=30, steps=20, seeds=(1,))
    answer = compare(
        load_recording(name), quick, scale=oracle, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 2), (2, 2)]
    assert [r.name for r in answer.regimes] == [FULL, LIMITED]
    assert len(answer.regimes[0].scores) == 5
    assert len(answer.regimes[0].scores[0].r2) == len(answer.outputs)
