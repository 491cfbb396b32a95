"""The width adviser against simulation at the width it advises, and its bad inputs."""

import numpy as np
import pytest

from wideproof.derive import NotLinear, ParameterError, models
from wideproof.numeric import width_for

UNIT = {"nu_W": 1.0, "nu_F": 1.0, "nu_C": 1.0}


def entries(width, trials, rng):
    """Theta_{0,0}, Theta_{0,1} and Theta_{1,1} of the linear RNN with unit variances, from the definition."""
    W = rng.standard_normal((trials, width, width)) / width**0.5
    F, C = rng.standard_normal((2, trials, width, 1))
    WF, CW = W @ F, np.swapaxes(W, 1, 2) @ C
    inner = [np.sum(a * b, axis=(1, 2)) / width for a, b in ((F, F), (C, C), (F, WF), (C, CW), (WF, WF), (CW, CW))]
    FF, CC, FWF, CCW, WFWF, CWCW = inner
    return np.array([FF + CC, FWF + CCW, WFWF + CWCW + FF * CC])


def test_at_the_width_advised_entries_are_near_as_often_as_promised_and_the_bound_is_the_least():
    found = width_for(models.linear_rnn(), tolerance=1.5, failure=0.3, horizon=2, **UNIT)
    assert found.bound <= found.failure < found.narrower
    limits = np.array([2.0, 0.0, 3.0])[:, None]
    drawn = entries(found.width, 4000, np.random.default_rng(4))
    missed = np.any(np.abs(drawn - limits) > found.tolerance, axis=0)
    assert np.mean(missed) <= found.failure
    square = np.mean(np.sum((drawn - limits) ** 2, axis=0)) / found.tolerance**2
    spread = np.std(np.sum((drawn - limits) ** 2, axis=0)) / found.tolerance**2 / 4000**0.5
    assert abs(square - found.bound) < 4 * spread
    assert f"width {found.width}" in found.in_words()


@pytest.mark.parametrize(
    "given",
    [{"tolerance": 0.0}, {"failure": 1.5}, {"horizon": 0}, {"horizon": 2.5}, {"tolerance": 1e-12, "failure": 1e-6}],
)
def test_what_makes_no_sense_is_refused(given):
    with pytest.raises(ParameterError, match="width_for"):
        width_for(models.linear_rnn(), **({"tolerance": 0.1, "failure": 0.1, "horizon": 1} | given), **UNIT)


def test_other_recursions_are_refused():
    with pytest.raises(NotLinear, match="linear"):
        width_for(models.elman(), tolerance=0.1, failure=0.1, horizon=2, **UNIT, nu_b=1.0)
