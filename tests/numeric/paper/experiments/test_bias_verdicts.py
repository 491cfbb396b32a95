"""The statement about the bias: calibrated both ways, corrected for its number, and refuted where it is false."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wideproof.numeric.paper.experiments.bias_verdicts import (
    FALSE_ALARM,
    MARGIN,
    ScoreDifference,
    combine,
    judge_differences,
    p_if_false,
    p_if_true,
)


def measured(kind, difference, stderr=0.01, freedom=20.0):
    return ScoreDifference("limited", "a", "b", "zero", "y", kind, difference, stderr, freedom)


@pytest.mark.parametrize(
    ("kind", "difference", "verdict"),
    [("helps", 0.1, "holds"), ("helps", -0.1, "refuted"), ("helps", 0.0, "undecided"),
     ("vanishes", 0.0, "holds"), ("vanishes", 0.2, "refuted"), ("vanishes", -0.2, "refuted"),
     ("vanishes", MARGIN, "undecided")],
)  # fmt: skip
def test_verdicts(kind, difference, verdict):
    (found,) = judge_differences([measured(kind, difference)])
    assert found.verdict == verdict


@pytest.mark.parametrize("kind", ["helps", "vanishes"])
@pytest.mark.parametrize("difference", [0.0, 30.0, -30.0])
def test_what_has_not_settled_is_evidence_of_nothing_and_still_counts(kind, difference):
    still = replace(measured(kind, difference), unsettled="the RNN still improves")
    found = judge_differences([still, measured("helps", 0.03)])
    assert [(j.verdict, j.p_for, j.p_against) for j in found[:1]] == [("undecided", 1.0, 1.0)]
    alone = judge_differences([measured("helps", 0.03)])
    assert found[1].p_for == pytest.approx(2 * alone[0].p_for)


def test_many_differences_need_stronger_evidence():
    """One difference of three standard errors is seen, the same among fifty is not."""
    one = measured("helps", 0.03)
    assert judge_differences([one])[0].verdict == "holds"
    assert judge_differences([one] + [measured("helps", 0.0)] * 49)[0].verdict == "undecided"


@pytest.mark.parametrize(("kind", "truth"), [("helps", 0.0), ("vanishes", MARGIN)])
@pytest.mark.parametrize("p", [p_if_true, p_if_false])
def test_false_alarms_have_the_stated_rate_at_the_border(kind, truth, p):
    """Six runs give each standard error: Student's law with five degrees of freedom, not the normal one."""
    rng = np.random.default_rng(3)
    runs = truth + 0.02 * rng.standard_normal((8000, 6))
    mean, stderr = runs.mean(axis=1), runs.std(axis=1, ddof=1) / 6**0.5
    found = np.array([p(measured(kind, m, s, 5.0)) for m, s in zip(mean, stderr, strict=True)])
    rate = np.mean(found <= FALSE_ALARM)
    assert abs(rate - FALSE_ALARM) < 5 * (FALSE_ALARM / len(found)) ** 0.5
    normal = np.array([p(measured(kind, m, s, 1e9)) for m, s in zip(mean[:2000], stderr[:2000], strict=True)])
    assert np.mean(normal <= FALSE_ALARM) > 2 * FALSE_ALARM  # what the normal law would have claimed


def test_errors_join_test_blocks_and_runs():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4, 2))
    replicates = 0.5 * rng.standard_normal((5000, 1, 2)) + np.zeros((1, 4, 1))
    mean, stderr, freedom = combine(values, replicates, 30)
    assert np.allclose(mean, values.mean(axis=0))
    assert np.allclose(stderr**2, values.var(axis=0, ddof=1) / 4 + 0.25, rtol=0.1)
    assert np.all((freedom > 3) & (freedom < 33))
    still = combine(np.zeros((3, 1)), replicates[:, :3, :1], 30)
    assert still[2] == pytest.approx(29)
