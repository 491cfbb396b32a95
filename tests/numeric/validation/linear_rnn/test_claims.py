"""The true limit holds at the stated rate; mutants are refuted; a killed run resumes with the same bits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from scipy import stats

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.checks import Level, judge, overall
from wideproof.numeric.core.width_ladder import extrapolate
from wideproof.numeric.runs.chunks import ChunkFolder
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.validation.linear_rnn import Measurements, Plan, judge_linear, linear_claims, linear_validation

NU = {"nu_W": 0.6, "nu_F": 1.2, "nu_C": 0.8}
HORIZON = 4


def transition_term(horizon=HORIZON, nu_W=0.6, nu_F=1.2, nu_C=0.8):
    """The part of the scale factors that W's gradient adds: an oracle."""
    return np.array([0.0] + [j * nu_C * nu_F * nu_W ** (j - 1) for j in range(1, horizon)])


def limit(horizon=HORIZON, nu_W=0.6, nu_F=1.2, nu_C=0.8):
    """Theorem 3.3 as an oracle: (second moment of an entry, scale factors) per lag."""
    powers = nu_W ** np.arange(horizon)
    return nu_C * nu_F * powers, (nu_C + nu_F) * powers + transition_term(horizon, nu_W, nu_F, nu_C)


@pytest.fixture(scope="module")
def measured():
    return gather(Measurements, Plan(1024, 20_000, HORIZON, **NU, seed=11))


def refuted(checks):
    return {(check.quantity, check.lag) for check in checks if check.verdict == "refuted"}


def test_the_true_limit_holds_in_every_check(measured):
    checks = judge_linear(measured, *limit())
    assert {check.verdict for check in checks} == {"holds"}
    assert Counter(check.quantity for check in checks) == {
        "second-moment": 4, "scale-factor": 4, "excess-kurtosis": 4, "correlation": 6,
        "square-correlation": 6, "kernel-coupling": 10, "distribution": 4,
    }  # fmt: skip
    assert all(check.stderr > 0 and check.width == 1024 for check in checks)


@pytest.mark.parametrize("factor", [0.98, 1.02])
@pytest.mark.parametrize("lag", range(HORIZON))
def test_a_scale_factor_wrong_by_two_percent_is_refuted(measured, lag, factor):
    second, weights = limit()
    weights[lag] *= factor
    assert refuted(judge_linear(measured, second, weights)) == {("scale-factor", lag)}


def test_the_kernel_without_its_transition_term_is_refuted(measured):
    second, weights = limit()
    checks = judge_linear(measured, second, weights - transition_term())
    assert refuted(checks) == {("scale-factor", lag) for lag in range(1, HORIZON)}


@pytest.mark.parametrize("lag", range(HORIZON))
def test_a_second_moment_wrong_by_its_stated_effect_is_refuted(measured, lag):
    second, weights = limit()
    second[lag] *= 1.15
    assert ("second-moment", lag) in refuted(judge_linear(measured, second, weights))


def test_a_distribution_of_a_wrong_scale_is_refuted(measured):
    second, weights = limit()
    assert {quantity for quantity, _ in refuted(judge_linear(measured, 4 * second, weights))} == {
        "second-moment", "distribution",
    }  # fmt: skip


def scores(claims, quantity):
    return [(c.estimate - c.prediction) / c.stderr for c in claims if c.quantity == quantity]


@pytest.mark.parametrize(("width", "widths"), [(10**9, (10**7, 10**8, 10**9)), (128, ())])
def test_false_alarms_over_many_seeds_are_those_of_the_level(width, widths):
    level, seeds, alarms, weights, kurtoses = Level(false_alarm=0.05), 120, 0, [], []
    for seed in range(seeds):
        found = gather(Measurements, Plan(width, 500, 2, **NU, n_x=4, n_y=2, seed=seed, widths=widths))
        claims = linear_claims(found, *limit(2))
        assert not any(claim.obstacle for claim in claims)
        alarms += overall(judge(claims, level)) == "refuted"
        weights += scores(claims, "scale-factor")
        kurtoses += scores(claims, "excess-kurtosis")
    assert stats.binomtest(alarms, seeds, 0.05, alternative="greater").pvalue > 1e-2
    assert stats.binomtest(int(np.sum(np.abs(weights) > 1.96)), len(weights), 0.05).pvalue > 1e-3
    assert abs(np.mean(kurtoses)) < 0.3  # weighing by estimated errors shifts this to -0.5


def test_the_finite_width_itself_is_visible_so_the_ladder_is_needed():
    """Kurtosis at n = 64 is far from its limit: a ladder of degree 0 would refute the true theory."""
    found = gather(Measurements, Plan(64, 40_000, 2, **NU, n_x=1, n_y=1, seed=1, kernel_trials=100))
    claim = next(c for c in linear_claims(found, *limit(2)) if c.quantity == "excess-kurtosis" and c.lag == 1)
    rungs = [found.moments["response", width, "lag"].mean[1] for width in found.plan.widths]
    raw = np.array([rung[0] / rung[1] ** 2 - 3 for rung in rungs])
    spread = np.full(len(raw), (24 / 40_000) ** 0.5)
    flat = extrapolate(np.array(found.plan.widths), raw, spread, 0)
    assert flat.mean / flat.stderr > 10
    assert claim.p_value() > 1e-3


def test_few_trials_and_narrow_widths_are_undecided_with_a_reason():
    few = linear_validation(gather(Measurements, Plan(1024, 50, 2, **NU)), *limit(2))
    assert few.verdict == "undecided"
    assert all("trials" in check.note for check in few.checks if check.quantity == "second-moment")
    narrow = linear_validation(gather(Measurements, Plan(32, 500, HORIZON, **NU)), *limit())
    last = [check for check in narrow.checks if check.quantity == "second-moment"][-1]
    assert last.verdict == "undecided"
    assert "width >= 128" in last.note


def test_dense_and_matrix_free_runs_agree():
    runs = [
        gather(Measurements, Plan(48, 3000, 3, **NU, seed=seed, sampler=sampler, kernel_trials=3000))
        for seed, sampler in enumerate(("dense", "matrix-free"))
    ]
    for key, first in runs[0].moments.items():
        second = runs[1].moments[key]
        gap = first.mean - second.mean
        error = [np.sqrt(np.diagonal(m.comoment, axis1=-2, axis2=-1)) / 3000 for m in (first, second)]
        assert np.all(np.abs(gap) <= 5 * np.hypot(*error) + 1e-12), key


@pytest.mark.parametrize("change", [{"nu_W": 0.0}, {"nu_F": 0.0}, {"nu_C": 0.0}])
def test_a_zero_variance_is_judged_without_nan(change):
    variances = NU | change
    found = linear_validation(gather(Measurements, Plan(128, 400, 3, **variances)), *limit(3, **variances))
    assert found.verdict != "refuted"
    assert all(np.isfinite(check.estimate) and check.stderr >= 0 for check in found.checks)


def test_the_run_says_which_sampler_it_used_and_why():
    found = linear_validation(gather(Measurements, Plan(10**12, 200, 2, **NU)), *limit(2))
    assert "one-sided" in found.method
    assert "two-sided (n = 1000000000000 >" in found.method


@pytest.mark.parametrize(
    ("change", "where"),
    [({"trials": 1}, "trials"), ({"widths": (4, 2, 8)}, "widths"), ({"width": 0}, "width"),
     ({"sampler": "sparse"}, "sampler"), ({"nu_C": -1.0}, "nu_C"), ({"seed": -1}, "seed"),
     ({"backend": "torch"}, "backend")],
)  # fmt: skip
def test_a_bad_plan_is_refused_by_field(change, where):
    with pytest.raises(ParameterError) as error:
        gather(Measurements, Plan(**({"width": 8, "trials": 10, "horizon": 2} | NU | change)))
    assert error.value.where == where


def test_predictions_of_another_horizon_are_refused(measured):
    with pytest.raises(ParameterError) as error:
        judge_linear(measured, *limit(3))
    assert error.value.where == "second_moment"


class Stop(Exception):
    pass


PLAN = Plan(256, 6000, 3, **NU, seed=4, kernel_trials=6000)


def bits(measurements):
    return {name: array.tobytes() for name, array in measurements.arrays().items()}


def test_an_interrupted_run_ends_with_the_bits_of_an_uninterrupted_one(tmp_path):
    total = len(tuple(PLAN.chunks()))

    def stop_after(done, _):
        if done % 7 == 0 and done < total:
            raise Stop

    seen = 0
    while True:
        try:
            resumed = gather(Measurements, PLAN, stop_after if seen < 3 else None, ChunkFolder(tmp_path))
            break
        except Stop:
            seen += 1
    assert seen >= 1
    assert bits(resumed) == bits(gather(Measurements, PLAN))


def test_progress_counts_to_the_end():
    calls = []
    gather(Measurements, Plan(64, 100, 2, **NU), lambda done, total: calls.append((done, total)))
    assert calls == [(k, len(calls)) for k in range(1, len(calls) + 1)]
