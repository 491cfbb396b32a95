"""Each verdict means what its definition says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wideproof.numeric.core.checks import Claim, Level, judge, overall

CLAIM = Claim("scale-factor", 1, (100, 200, 400), 1000, 2.0, 2.0, 0.001, "test")


def verdict(*claims, level=None):
    return [check.verdict for check in judge(claims, level)]


def test_the_three_verdicts_and_their_overall():
    far, rough = replace(CLAIM, estimate=2.04), replace(CLAIM, stderr=0.1)
    assert verdict(CLAIM, far, rough) == ["holds", "refuted", "undecided"]
    assert overall(judge([CLAIM])) == "holds"
    assert overall(judge([CLAIM, rough])) == "undecided"
    assert overall(judge([CLAIM, rough, far])) == "refuted"
    assert overall(()) == "undecided"


def test_a_rough_check_says_what_it_would_need():
    check = judge([replace(CLAIM, stderr=0.02)])[0]
    assert check.detectable == pytest.approx(0.02 / 2 * (2.5758 + 1.2816), rel=1e-4)
    assert "3.7 times the trials" in check.note


def test_an_obstacle_or_a_bad_fit_is_neither_held_nor_refuted():
    far = replace(CLAIM, estimate=3.0)
    assert verdict(replace(far, obstacle="too narrow"), replace(far, lack_of_fit=1e-9)) == ["undecided"] * 2


def test_the_guard_must_lie_on_the_same_side():
    far = replace(CLAIM, estimate=2.04)
    assert verdict(replace(far, guard=(2.04, 0.001))) == ["refuted"]
    assert verdict(replace(far, guard=(1.96, 0.001))) == ["undecided"]  # the ladder disagrees with itself
    assert judge([replace(far, guard=(1.96, 0.001))])[0].detectable > 0.04


def test_no_error_at_all_means_equality():
    assert verdict(replace(CLAIM, stderr=0.0), replace(CLAIM, stderr=0.0, estimate=2.1)) == ["holds", "refuted"]


def test_a_not_a_number_never_holds():
    assert verdict(replace(CLAIM, estimate=float("nan"), stderr=float("nan"))) == ["undecided"]


def test_false_alarms_of_a_family_are_at_most_the_level_and_power_is_as_stated():
    rng, level = np.random.default_rng(0), Level(false_alarm=0.05, power=0.9)
    alarms, seen = 0, 0
    for _ in range(1000):
        family = [replace(CLAIM, estimate=2 + 0.001 * rng.normal()) for _ in range(8)]
        checks = judge(family, level)
        alarms += overall(checks) == "refuted"
        shift = checks[0].detectable * 2
        moved = replace(family[0], estimate=family[0].estimate + shift)
        seen += judge([moved, *family[1:]], level)[0].verdict == "refuted"
    assert alarms <= 85  # binomial(1000, 0.05): P(more) < 1e-6
    assert 860 <= seen <= 940  # binomial(1000, 0.9): four standard deviations
