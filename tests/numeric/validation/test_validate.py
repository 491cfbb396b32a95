"""`validate` from the recursion to the verdict: the emitted predictions, right, wrong, and of other models."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wideproof.derive import Recursion, impulse_response, models, scale_factors
from wideproof.derive.language.errors import DeriveError, NotClosed, ParameterError
from wideproof.numeric import Level, validate
from wideproof.numeric.core.checks import overall
from wideproof.numeric.validation.kernels import KernelMeasurements
from wideproof.numeric.validation.linear_rnn import experiment, judge_linear

PROGRAM = models.linear_rnn().program()
SETTING = {"width": 1024, "trials": 3000, "horizon": 3, "nu_W": 0.6, "nu_F": 1.2, "nu_C": 0.8}


def mutate(monkeypatch, change):
    """Run every later validation against changed scale factors."""
    truth = experiment.predictions

    def wrong(program, lags, values):
        variance, weights = truth(program, lags, values)
        return variance, change(weights, np.arange(lags), values)

    monkeypatch.setattr(experiment, "predictions", wrong)


def without_transition(weights, j, nu):
    """The scale factors less j nu_C nu_F nu_W^(j-1)."""
    return weights - nu["nu_C"] * nu["nu_F"] * j * nu["nu_W"] ** np.maximum(j - 1, 0)


def refuted(found):
    return {(check.quantity, check.lag) for check in found.checks if check.verdict == "refuted"}


def test_the_derived_limit_holds():
    found = validate(models.linear_rnn(), seed=1, **SETTING)
    assert found.verdict == "holds"
    assert refuted(found) == set()
    nu = {name: SETTING[name] for name in ("nu_W", "nu_F", "nu_C")}
    for name, derived in (("second-moment", impulse_response), ("scale-factor", scale_factors)):
        want = derived(PROGRAM).formula.compile("numpy")(j=np.arange(3), **nu)
        limits = [c.prediction if c.limit is None else c.limit for c in found.checks if c.quantity == name]
        assert limits == list(want)


@pytest.mark.parametrize("factor", [0.98, 1.02])
@pytest.mark.parametrize("lag", range(3))
def test_one_scale_factor_wrong_by_two_percent_is_refuted_there(monkeypatch, factor, lag):
    mutate(monkeypatch, lambda weights, j, nu: np.where(j == lag, factor * weights, weights))
    assert refuted(validate(models.linear_rnn(), seed=1, **SETTING)) == {("scale-factor", lag)}


def test_without_the_term_of_the_transition_matrix_every_later_lag_is_refuted(monkeypatch):
    mutate(monkeypatch, without_transition)
    found = validate(models.linear_rnn(), seed=1, **SETTING)
    assert found.verdict == "refuted"
    assert refuted(found) == {("scale-factor", 1), ("scale-factor", 2)}


def test_over_many_seeds_the_truth_is_refuted_at_the_level_and_two_percent_always(monkeypatch):
    variance, weights = experiment.predictions(PROGRAM, 2, {name: SETTING[name] for name in ("nu_W", "nu_F", "nu_C")})
    monkeypatch.setattr(experiment, "predictions", lambda *_: (variance, weights))  # derived once
    level, setting, seeds = Level(false_alarm=0.05), SETTING | {"horizon": 2, "trials": 500}, 40
    alarms = caught = 0
    for seed in range(seeds):
        found = validate(models.linear_rnn(), seed=seed, level=level, **setting)
        alarms += found.verdict == "refuted"
        caught += overall(judge_linear(found.measurements, variance, 1.02 * weights, level)) == "refuted"
    assert stats.binomtest(alarms, seeds, 0.05, alternative="greater").pvalue > 1e-3
    assert caught == seeds


def renamed():
    rnn = Recursion("renamed")
    A, B, R = rnn.matrix("A", "a"), rnn.input_map("B", "b"), rnn.readout("R", "d")
    z = rnn.state("z")
    rnn.update(z, A @ z + B @ rnn.x)
    rnn.output(R @ z)
    return rnn


def test_a_linear_rnn_under_other_names_needs_its_own_variances():
    found = validate(renamed(), 1024, 1000, horizon=2, seed=3, a=0.6, b=1.2, d=0.8)
    same = validate(models.linear_rnn(), 1024, 1000, horizon=2, seed=3, nu_W=0.6, nu_F=1.2, nu_C=0.8)
    assert found.checks == same.checks
    with pytest.raises(ParameterError) as error:
        validate(renamed(), b=1.0)
    assert "a" in error.value.expected


def test_defaults_are_the_stated_ones():
    found = validate(models.linear_rnn(), 64, 100, horizon=2)
    assert [c.prediction for c in found.checks if c.quantity == "second-moment"] == [1.0, 0.3]
    assert validate(models.linear_rnn(), 64, 100, horizon=2, nu_W=0.3).checks == found.checks
    assert validate(PROGRAM, 64, 100, horizon=2, seed=1).checks != found.checks


@pytest.mark.parametrize(
    ("change", "where"),
    [({"device": "tpu"}, "validate: device"), ({"nu_X": 1.0}, "validate"), ({"trials": 1}, "trials"),
     ({"width": 0}, "width"), ({"nu_W": -0.1}, "nu_W"), ({"seed": -1}, "seed")],
)  # fmt: skip
def test_what_means_nothing_is_refused_by_field(change, where):
    with pytest.raises(DeriveError) as error:
        validate(models.linear_rnn(), **({"width": 16, "trials": 10, "horizon": 1} | change))
    assert error.value.where == where


def test_a_recursion_that_is_not_plain_is_tested_by_its_kernels():
    rnn = Recursion("skip")
    W, F, C = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F"), rnn.readout("C", "nu_C")
    h = rnn.state("h")
    rnn.update(h, h / 2 + W @ h + F @ rnn.x)
    rnn.output(C @ h)
    assert {check.quantity for check in validate(rnn, 16, 10, horizon=2).checks} == {"nngp", "ntk"}


def test_single_precision_is_for_whole_matrices_of_the_linear_network():
    found = validate(models.linear_rnn(), width=64, trials=300, horizon=2, sampler="dense", dtype="float32")
    assert found.measurements.plan.dtype == "float32"
    assert found.verdict != "refuted"
    for recursion, arguments in ((models.linear_rnn(), {}), (models.elman(), {"sampler": "dense"})):
        with pytest.raises(ParameterError) as caught:
            validate(recursion, width=64, trials=300, horizon=2, dtype="float32", **arguments)
        assert "dtype" in caught.value.where


@pytest.mark.parametrize(
    ("activation", "error", "said"), [("exp", ParameterError, "from step 2 on"), ("step", NotClosed, "a jump")]
)
def test_a_limit_that_is_infinite_or_missing_is_told_before_any_network_is_drawn(monkeypatch, activation, error, said):
    monkeypatch.setattr(KernelMeasurements, "draw", lambda *_: pytest.fail("too late"))
    with pytest.raises(error, match=said):
        validate(models.elman(activation), announce=lambda cost: pytest.fail("too late"))
