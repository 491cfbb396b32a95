"""Figure 3: the biased models lose long delays, the unbiased one keeps them."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.linear_rnn.training_choice import CURVATURE
from wideproof.numeric.paper.experiments import DelaySetting, delay_experiment

SMALL = DelaySetting(delays=(0, 4, 10), horizon=12, sequences=20, steps=100, width=100, seeds=(1, 2))


@pytest.fixture(scope="module")
def curves():
    return delay_experiment(SMALL)


def test_the_bias_forgets_and_its_absence_does_not(curves):
    rnn, scaled, unscaled = np.array(curves.mean)
    assert rnn[0] < 0.05
    assert scaled[0] < 0.05
    assert rnn[-1] > 0.5
    assert scaled[-1] > 0.5
    assert unscaled[-1] < 0.2


def test_without_scale_factors_the_convolution_keeps_the_delay():
    """The mutant: scale factors of 1 undo the forgetting, so the curve is theirs."""
    free = delay_experiment(SMALL, scale=lambda j, **nu: np.ones_like(j, dtype=float))
    assert free.mean[1][-1] < 0.2
    assert free.gap[-1] > 10 * free.gap_stderr[-1]


def test_runs_are_plain_data_and_repeat(curves):
    assert json.loads(json.dumps(asdict(curves)))["models"] == list(curves.models)
    assert delay_experiment(SMALL) == curves


@pytest.mark.parametrize("wrong", [{"delays": (12,)}, {"delays": ()}, {"delays": (-1,)}, {"seeds": (1,)}])
def test_a_setting_without_meaning_is_refused(wrong):
    with pytest.raises(ParameterError):
        DelaySetting(**{"horizon": 12, "delays": (0,), **wrong})


def test_the_method_is_announced_with_the_work_of_all_networks_before_the_start():
    said = []
    with pytest.raises(StopIteration):
        delay_experiment(SMALL, announce=said.append, progress=lambda done, total: next(iter(())))
    assert [choice.name for choice in said] == ["krylov"]
    sweeps, products = 6 * 11 * SMALL.width**2 * (SMALL.steps + CURVATURE), 2 * 12**2 * (2 * SMALL.steps + CURVATURE)
    assert said[0].flops == pytest.approx(6 * (sweeps + products))  # 6 n² a lag and step, 6 networks; slopes and losses
    with pytest.raises(ParameterError) as caught:
        delay_experiment(SMALL, method="sampled")
    assert caught.value.got == "sampled"
