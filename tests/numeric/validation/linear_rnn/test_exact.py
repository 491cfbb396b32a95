"""At any width the exact means hold where the limit would be refuted; a wrong mean is refuted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wideproof.derive import models
from wideproof.numeric import NarrowWidth, validate
from wideproof.numeric.core.checks import Level, overall
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.validation.ladder import trials_for_tail
from wideproof.numeric.validation.linear_rnn import Measurements, Plan, exact_means, judge_linear
from wideproof.numeric.validation.linear_rnn.experiment import predictions

NU = {"nu_W": 0.3, "nu_F": 1.0, "nu_C": 1.0}
PROGRAM = models.linear_rnn().program()
pytestmark = pytest.mark.filterwarnings("ignore::wideproof.NarrowWidth")  # narrow on purpose


@pytest.fixture(scope="module")
def narrow():
    return validate(models.linear_rnn(), 5)


def of(checks, quantity):
    return [check for check in checks if check.quantity == quantity]


def test_width_5_holds_lag_by_lag_where_the_limit_is_refuted(narrow):
    assert narrow.verdict == "holds"
    checks = of(narrow.checks, "second-moment")
    want = np.array([1, 0.3, 0.09 * (1 + 2 / 25), 0.027 * (1 + 10 / 25 + 4 / 125)])
    assert [c.prediction for c in checks] == pytest.approx(want, rel=1e-12)
    assert [c.limit for c in checks] == pytest.approx([1, 0.3, 0.09, 0.027])
    assert [c.limit_verdict for c in checks] == ["not refuted"] * 2 + ["refuted"] * 2
    assert {c.prediction_at for c in narrow.checks} == {"n = 5"}
    assert {c.method for c in narrow.checks} == {"exact mean at n = 5"}
    assert {text.split()[0] for text in narrow.not_judged} == {
        "excess-kurtosis", "square-correlation", "kernel-coupling", "distribution",
    }  # fmt: skip
    assert all("use width >= 128" in text for text in narrow.not_judged)


@pytest.mark.parametrize("lag", range(4))
def test_a_weight_of_the_kernel_three_percent_off_is_refuted(narrow, lag):
    exact = exact_means(PROGRAM, narrow.measurements.plan, NU)
    place = ("scale-factor", lag)
    off = {place: {width: 1.03 * mean for width, mean in exact[place].items()}}
    checks = judge_linear(narrow.measurements, *predictions(PROGRAM, 4, NU), exact={**exact, **off})
    assert {(c.quantity, c.lag) for c in checks if c.verdict == "refuted"} == {place}


@pytest.mark.parametrize("lag", range(4))
def test_the_limit_taken_for_the_mean_or_a_mean_three_percent_off_is_refuted(narrow, lag):
    found = narrow.measurements
    exact = exact_means(PROGRAM, found.plan, NU)
    limits = predictions(PROGRAM, 4, NU)
    place = ("second-moment", lag)
    off = {place: {width: 1.03 * mean for width, mean in exact[place].items()}}
    checks = judge_linear(found, *limits, exact={**exact, **off})
    assert {(c.quantity, c.lag) for c in checks if c.verdict == "refuted"} == {place}
    limit = {place: dict.fromkeys(found.plan.widths, float(limits[0][lag]))}
    checks = judge_linear(found, *limits, exact={**exact, **limit})
    assert {(c.quantity, c.lag) for c in checks if c.verdict == "refuted"} == ({place} if lag > 1 else set())


def test_the_exact_means_are_those_of_the_moments():
    """By hand: E L_0^4 = 3 nu^2 (1 + 2/n); E L_2 L_0 = nu_W nu_C nu_F E tr(W W)/n^2 = nu_W nu_C nu_F/n."""
    plan = Plan(64, 100, 3, **NU)
    found = exact_means(PROGRAM, plan, NU)
    for n in plan.widths:
        assert found["excess-kurtosis", 0][n] == pytest.approx(6 / n)
        second = 0.09 * (1 + 2 / n**2)
        assert found["correlation", (2, 0)][n] == pytest.approx(0.3 / n / second**0.5)
        assert found["correlation", (1, 0)][n] == 0
    dead = exact_means(PROGRAM, plan, NU | {"nu_W": 0.0})
    assert dead["excess-kurtosis", 1] == dict.fromkeys(plan.widths, 0.0)


def test_wide_networks_are_judged_at_their_width_and_what_has_no_exact_mean_on_the_ladder():
    found = validate(models.linear_rnn(), 256, 1000, horizon=2)
    at = {c.quantity: c.prediction_at for c in found.checks}
    assert at == {
        "second-moment": "n = 256", "excess-kurtosis": "n = 256", "correlation": "n = 256",
        "square-correlation": "n = 256", "scale-factor": "n = infinity", "kernel-coupling": "n = 256",
        "distribution": "n = infinity",
    }  # fmt: skip
    assert found.not_judged == ()


def test_the_coupling_of_lags_is_judged_by_the_exact_variance_of_the_kernel():
    """By hand: Theta_00 = (|C|² + |F|²)/n has the mean nu_C + nu_F and the variance 2 (nu_C² + nu_F²)/n, and
    Theta_10 = (C'WC + F'WF)/n^1.5 has mean 0 and the variance nu_W (nu_C² + nu_F²)/n at leading order. A mean that is
    off by the stated effect is refuted.
    """
    plan = Plan(64, 100, 4, **NU, seed=3, n_x=1, n_y=1, kernel_trials=4000)
    exact, limits = exact_means(PROGRAM, plan, NU), predictions(PROGRAM, 4, NU)
    assert exact["kernel-coupling", (0, 0)] == pytest.approx({n: 1 / n for n in plan.widths})
    first = 0.6 / (2 * (1 + 2 * 0.3))
    assert exact["kernel-coupling", (1, 0)][64] == pytest.approx(first / 64, rel=0.1)
    found = gather(Measurements, plan)
    checks = of(judge_linear(found, *limits, exact=exact), "kernel-coupling")
    assert {c.lag: c.prediction_at for c in checks} == {
        (j, k): "n = 64" if j < 3 else "n = infinity" for j in range(4) for k in range(j + 1)
    }
    assert "refuted" not in {c.verdict for c in checks}
    for place in ((0, 0), (1, 1), (2, 1)):
        off = {("kernel-coupling", place): {n: x + 0.1 for n, x in exact["kernel-coupling", place].items()}}
        wrong = of(judge_linear(found, *limits, exact={**exact, **off}), "kernel-coupling")
        assert {c.lag for c in wrong if c.verdict == "refuted"} == {place}


def test_a_long_tail_is_undecided_and_says_how_many_trials_it_needs():
    found = validate(models.linear_rnn(), 3, 500, horizon=4, nu_W=1.0)
    last = of(found.checks, "second-moment")[-1]
    assert (last.verdict, last.limit_verdict) != ("holds", "")
    assert last.note.startswith("the tail is long at n = 3: use ")
    assert validate(models.linear_rnn(), 10**6, 5000).verdict == "holds"
    assert trials_for_tail(1.0) == 900
    assert trials_for_tail(0.25) == 225


def test_at_width_5_the_exact_means_are_refuted_at_the_stated_rate():
    level, seeds, alarms = Level(false_alarm=0.05), 30, 0
    for seed in range(seeds):
        plan = Plan(5, 3000, 3, **NU, n_x=4, n_y=4, seed=seed, kernel_trials=100, widths=(4, 5))
        found = gather(Measurements, plan)
        checks = judge_linear(found, *predictions(PROGRAM, 3, NU), level, exact_means(PROGRAM, plan, NU))
        alarms += overall([c for c in checks if c.quantity in ("second-moment", "correlation")]) == "refuted"
    assert stats.binomtest(alarms, seeds, 0.05, alternative="greater").pvalue > 1e-2


def test_the_measured_coefficient_of_one_over_n_is_that_of_the_exact_means():
    """By hand: the excess kurtosis of lag 0 is 6/n, that of lag 1 is 12/n + O(1/n²)."""
    found = gather(Measurements, Plan(256, 20_000, 2, **NU, n_x=2, n_y=2, seed=3, kernel_trials=100))
    checks = of(judge_linear(found, *predictions(PROGRAM, 2, NU)), "excess-kurtosis")
    for check, want in zip(checks, (6, 12), strict=True):
        assert abs(check.correction - want) < 4 * check.correction_stderr
        assert abs(check.correction) > 4 * check.correction_stderr


def test_a_horizon_that_is_long_for_the_width_is_warned_of():
    with pytest.warns(NarrowWidth, match="T² = 16 is not small against n = 16") as told:
        found = validate(models.linear_rnn(), 16, 200, horizon=4)
    assert [str(w.message) for w in told] == list(found.warnings)
    assert ["T² = 16 is not small against n = 16" in text for text in found.warnings] == [True]
    assert validate(models.linear_rnn(), 64, 200, horizon=4).warnings == ()
