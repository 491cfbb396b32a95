"""Figures 1 and 2: the stated teacher, a gap that shrinks with the width, and a fit that finds its rate."""

import dataclasses as dc
import json

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.paper.experiments.scale_factors import scale_of_lags
from wideproof.numeric.paper.experiments.training_dynamics import (
    Setting,
    dynamics,
    fit_rate,
    gap_ladder,
    relative_gap,
    teacher_data,
)

QUICK = Setting(steps=15)


def oracle(j, nu_W, nu_F, nu_C):
    """The paper's (21), as an oracle: the experiment itself takes the emitted function."""
    j = np.asarray(j, dtype=float)
    return nu_C * (j * nu_F * nu_W ** np.maximum(j - 1, 0) + nu_W**j) + nu_F * nu_W**j


def without_the_recurrent_term(j, nu_W, nu_F, nu_C):
    return (nu_C + nu_F) * nu_W ** np.asarray(j, dtype=float)


def test_signal_to_noise_is_the_stated_one():
    loud = dc.replace(QUICK, snr_db=-40.0, sequences=400)
    data, _, noise = teacher_data(loud)
    assert data.power / noise == pytest.approx(1.0, abs=5 * (2 / 4000) ** 0.5 + 1e-3)
    assert teacher_data(dc.replace(loud, snr_db=-20.0))[2] == pytest.approx(noise / 100, rel=1e-12)
    assert (data.count, data.lags) == (4000, 10)


def test_both_curves_start_together_and_stay_close():
    result = dynamics(QUICK, width=400, scale=oracle)
    assert result.rnn_train[0] == pytest.approx(result.scaled_train[0], rel=1e-12)
    assert result.rnn_test[0] == pytest.approx(result.scaled_test[0], rel=1e-12)
    assert len(result.rnn_train) == 16
    assert result.rnn_train[-1] < 0.2 * result.rnn_train[0]
    assert result.train_gap == relative_gap(np.array(result.rnn_train), np.array(result.scaled_train))
    assert result.train_gap < 0.5
    assert json.loads(json.dumps(dc.asdict(result)))["setting"]["nu_W"] == 0.3


@pytest.mark.parametrize(
    ("method", "widths", "seeds"), [("krylov", (40, 160, 640), 24), ("sampled", (10**3, 10**6, 10**9), 10)]
)
def test_gap_shrinks_for_the_true_weights_only(method, widths, seeds):
    sizes = {"widths": widths, "seeds": seeds, "method": method}
    true = gap_ladder(QUICK, scale=oracle, **sizes)
    wrong = gap_ladder(QUICK, scale=without_the_recurrent_term, **sizes)
    assert true.slope + 4 * true.slope_stderr > -0.5 > true.slope - 4 * true.slope_stderr
    assert true.slope < -3 * true.slope_stderr
    assert wrong.slope > -0.25
    assert json.loads(json.dumps(dc.asdict(true)))["widths"] == list(widths)


def test_fit_finds_a_known_rate_with_its_error():
    rng = np.random.default_rng(0)
    widths = np.repeat([10, 100, 1000], 5)
    scores = []
    for _ in range(300):
        slope, stderr, _ = fit_rate(widths, 3.0 * widths**-0.5 * np.exp(0.3 * rng.standard_normal(15)))
        scores.append((slope + 0.5) / stderr)
    assert abs(np.mean(scores)) < 5 * (13 / 11 / 300) ** 0.5  # Student t with 13 degrees of freedom
    assert np.std(scores) == pytest.approx((13 / 11) ** 0.5, rel=0.2)
    assert fit_rate(widths, 3.0 * widths**-0.5)[2] == pytest.approx(np.log(3.0))


def test_ladder_is_reproducible_and_counts_its_progress():
    seen = []
    sizes = {"widths": (20, 30, 40), "seeds": 2, "scale": oracle}
    one = gap_ladder(QUICK, progress=lambda done, total: seen.append((done, total)), **sizes)
    assert one == gap_ladder(QUICK, **sizes)
    assert seen == [(k, 6) for k in range(1, 7)]
    with pytest.raises(ParameterError):
        gap_ladder(QUICK, widths=(20, 30), seeds=2, scale=oracle)
    with pytest.raises(ParameterError) as caught:
        gap_ladder(QUICK, method="exact", **sizes)
    assert caught.value.got == "exact"


def test_scale_must_answer_every_lag():
    with pytest.raises(ShapeError):
        scale_of_lags(4, nu_W=0.3, nu_F=1.0, nu_C=1.0, scale=lambda **_: 1.0)


def test_emitted_scale_is_the_papers():
    got = scale_of_lags(12, nu_W=0.3, nu_F=0.7, nu_C=1.9)
    assert np.allclose(got, oracle(np.arange(12), 0.3, 0.7, 1.9), rtol=1e-12)


def test_the_method_is_chosen_announced_and_explained():
    said = []
    wide = dynamics(QUICK, width=10**9, scale=oracle, announce=said.append)
    assert (wide.method, wide.reason) == ("sampled", said[0].reason)
    assert wide.reason.startswith(("n = 1000000000 > 4000", "whole it needs"))
    assert 0 < wide.error < 1e-5
    assert said[0].memory < 1e9
    assert "s" in str(said[0])
    law = dynamics(QUICK, width=300, scale=oracle, method="sampled")
    assert (law.method, dynamics(QUICK, width=300, scale=oracle).method) == ("sampled", "krylov")
    with pytest.raises(ParameterError) as caught:
        dynamics(QUICK, width=10**9, scale=oracle, method="krylov")
    assert caught.value.expected.startswith("sampled at n = 1000000000")
