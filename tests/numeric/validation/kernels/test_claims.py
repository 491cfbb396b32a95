"""Kernels of random networks against their limits: the truth holds, limits of other recursions are refuted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_info, threadpool_limits

from wideproof.derive import Recursion, activation, models
from wideproof.numeric import Kernel, KernelValue, Level, validate
from wideproof.numeric.core.checks import overall
from wideproof.numeric.runs.chunks import ChunkFolder
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.validation.kernels import (
    KernelMeasurements,
    KernelPlan,
    judge_kernels,
    kernel_claims,
    kernel_validation,
    runner,
)
from wideproof.numeric.validation.kernels.experiment import KERNEL_DEFAULTS

GALLERY = {
    "elman": lambda: models.elman("tanh"), "relu": lambda: models.elman("relu"),
    "untied": lambda: models.elman(tied=False), "leaky": models.leaky, "residual": models.residual,
    "stacked": models.stacked, "feed-forward": models.feed_forward, "deep-linear": models.deep_linear,
    "bidirectional": models.bidirectional,
}  # fmt: skip
SIZE = {"width": 256, "trials": 500, "horizon": 3}
COARSE = Level(false_alarm=1e-3, effects={"nngp": 0.15, "ntk": 0.15})
_MEASURED = {}


def measured(name):
    """One run of each model, shared by the tests."""
    if name not in _MEASURED:
        program = GALLERY[name]().program()
        values = {key: KERNEL_DEFAULTS[key] for key in program.symbols}
        _MEASURED[name] = gather(KernelMeasurements, KernelPlan(program, values, seed=2, **SIZE))
    return _MEASURED[name]


class Evaluated:
    """The limits of a plan, evaluated once; `altered` changes one or both of them."""

    def __init__(self, nngp, ntk):
        self.kernels = nngp, ntk

    def altered(self, nngp=lambda K: K, ntk=lambda K: K):
        return Evaluated(nngp(self.kernels[0]), ntk(self.kernels[1]))

    def evaluate(self, quantity, X):
        value = self.kernels[quantity == "ntk"]
        return KernelValue(value, np.zeros(value.shape), None, "given")


def limit(found, program=None):
    kernel, X = Kernel(program or found.plan.program, **found.plan.values), found.plan.inputs
    return Evaluated(np.array(kernel.nngp(X)), np.array(kernel.ntk(X)))


@pytest.mark.parametrize("name", GALLERY)
def test_the_derived_kernels_hold_and_five_percent_is_refuted(name):
    found = measured(name)
    truth = limit(found)
    checks = judge_kernels(found, truth, COARSE)
    assert overall(checks) == "holds", [c for c in checks if c.verdict != "holds"]
    assert len(checks) == 2 * 6 * 7 // 2
    for quantity in ("nngp", "ntk"):
        size = max(
            [0.05, *(c.detectable for c in checks if c.quantity == quantity)]
        )  # 0.09 for relu, whose tails are long
        assert size < 0.1
        for wrong in (1 - size, 1 + size):
            mutant = truth.altered(**{quantity: lambda K, wrong=wrong: wrong * K})
            refuted = {c.quantity for c in judge_kernels(found, mutant, COARSE) if c.verdict == "refuted"}
            assert refuted == {quantity}, (wrong, quantity)


@pytest.mark.parametrize("group", ["W", "F", "C", "b"])
def test_a_kernel_without_one_group_of_parameters_is_refuted(group):
    found = measured("elman")
    part = Kernel(found.plan.program, **found.plan.values).ntk(found.plan.inputs, None, group)
    mutant = limit(found).altered(ntk=lambda K: K - np.array(part))
    refuted = {c.quantity for c in judge_kernels(found, mutant) if c.verdict == "refuted"}
    assert refuted == {"ntk"}


def test_the_untied_limit_is_refuted_where_matrices_are_tied():
    """Between different times of one sequence the two differ; at equal times they agree."""
    found = measured("elman")
    mutant = limit(found, models.elman("tanh", tied=False).program())
    refuted = {c.lag for c in judge_kernels(found, mutant) if c.verdict == "refuted"}
    assert refuted
    assert all(lag[1] != lag[3] for lag in refuted)


def test_each_part_of_the_kernel_has_its_limit():
    from wideproof.numeric.networks.empirical_kernels import empirical_ntk

    found = measured("elman")
    plan, kernel = found.plan, Kernel(found.plan.program, **found.plan.values)
    networks = empirical_ntk(plan.program, plan.inputs, 400, trials=150, seed=9, **plan.values)
    for name, want in kernel.ntk_by_parameter(plan.inputs).items():
        part = networks.parts[name][:, :, :, 0, :, :, 0]
        spread = part.std(axis=0) / len(part) ** 0.5 + 3 / 400 * np.max(np.abs(want))  # the width's own O(1/n)
        assert np.all(np.abs(part.mean(axis=0) - want) < 5 * spread), name


def test_over_many_seeds_the_truth_is_refuted_at_the_level_and_ten_percent_always():
    program = models.elman("tanh").program()
    values = {key: KERNEL_DEFAULTS[key] for key in program.symbols}
    X, level = np.random.default_rng(0).standard_normal((2, 2, 2)), Level(false_alarm=0.05)
    seeds, alarms, caught, truth = 25, 0, 0, None
    for seed in range(seeds):
        plan = KernelPlan(program, values, 128, 250, horizon=2, seed=seed, widths=(16, 32, 64, 128), inputs=X)
        found = gather(KernelMeasurements, plan)
        truth = truth or limit(found)
        alarms += overall(judge_kernels(found, truth, level)) == "refuted"
        caught += overall(judge_kernels(found, truth.altered(ntk=lambda K: 1.1 * K), level)) == "refuted"
    assert stats.binomtest(alarms, seeds, 0.05, alternative="greater").pvalue > 1e-3
    assert caught == seeds


def test_the_error_of_a_sampled_limit_is_counted():
    found = measured("elman")
    wrong = limit(found).altered(nngp=lambda K: 1.05 * K)
    assert any(c.verdict == "refuted" for c in judge_kernels(found, wrong))
    claims = [replace(claim, prediction_error=0.05 * claim.scale) for claim in kernel_claims(found, wrong)]
    assert all(claim.p_value() > 1e-4 for claim in claims)
    assert all(claim.detectable(1e-4, 0.9) > 0.2 for claim in claims)


def test_an_interrupted_run_resumes_with_the_same_bits(tmp_path, monkeypatch):
    plan = replace(measured("leaky").plan, trials=60)
    monkeypatch.setattr(KernelPlan, "chunk_size", lambda self, group, width: 20)
    whole = gather(KernelMeasurements, plan)

    def stop(done, total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gather(KernelMeasurements, plan, stop, ChunkFolder(tmp_path))
    assert len(list(tmp_path.iterdir())) == 7
    again = gather(KernelMeasurements, plan, store=ChunkFolder(tmp_path))
    assert all(np.array_equal(again.arrays()[key], value) for key, value in whole.arrays().items())


def test_a_target_stops_a_width():
    plan = replace(measured("leaky").plan, trials=2000, target=0.05)
    found = gather(KernelMeasurements, plan)
    assert 100 <= found.trials("ntk") < 2000
    assert found.reached("kernels", plan.width)


def test_a_frozen_readout_is_seen_through_its_outputs():
    rnn = Recursion("reservoir")
    W, F = rnn.matrix("W", "nu_W"), rnn.input_map("F", "nu_F")
    C, h = rnn.readout("C", "nu_C", trainable=False), rnn.state("h")
    rnn.update(h, W @ h + F @ rnn.x)
    rnn.output(C @ h)
    plan = KernelPlan(rnn.program(), {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 2.0}, seed=2, **SIZE)
    assert plan.n_y == 256
    assert kernel_validation(gather(KernelMeasurements, plan), Kernel(rnn, **plan.values), COARSE).verdict == "holds"


def test_validate_runs_it_and_too_few_or_too_narrow_is_undecided():
    found = validate(models.elman("tanh"), 256, 300, horizon=2, level=COARSE)
    assert found.verdict == "holds"
    assert {c.lag for c in found.checks} == {pair for pair in found.measurements.plan.pairs}
    assert validate(models.elman("tanh"), 128, 20, horizon=2, level=COARSE).verdict == "undecided"
    assert validate(models.elman("tanh"), 16, 150, horizon=2, level=COARSE).verdict == "undecided"


def without_reset():
    """The gated recurrent unit with r = 1."""
    rnn, sigma, phi = Recursion("gru"), activation("sigmoid"), activation("tanh")
    W, F = ({k: make(f"{name}_{k}", f"nu_{name}") for k in "zh"} for name, make in
            (("W", rnn.matrix), ("F", rnn.input_map)))  # fmt: skip
    b = {k: rnn.bias(f"b_{k}", "nu_b") for k in "zh"}
    h = rnn.state("h")
    z = sigma(W["z"] @ h + F["z"] @ rnn.x + b["z"])
    rnn.update(h, z * h + (1 - z) * phi(W["h"] @ h + F["h"] @ rnn.x + b["h"]))
    rnn.output(rnn.readout("C", "nu_C") @ h)
    return rnn.program()


def test_a_gated_limit_holds_and_one_without_its_reset_gate_is_refuted():
    program = models.gru().program()
    values = {key: KERNEL_DEFAULTS[key] for key in program.symbols} | {"nu_W": 2.0}
    found = gather(KernelMeasurements, KernelPlan(program, values, 128, 3000, horizon=2, sequences=1, seed=2))
    truth = Kernel(program, **values)
    checks = judge_kernels(found, truth, COARSE)
    assert overall(checks) == "holds"
    assert truth.evaluate("nngp", found.plan.inputs).method.startswith("nested quadrature")
    assert overall(judge_kernels(found, Kernel(without_reset(), **values), COARSE)) == "refuted"
    for quantity in ("nngp", "ntk"):
        mutant = limit(found).altered(**{quantity: lambda K: 1.05 * K})
        assert {c.quantity for c in judge_kernels(found, mutant, COARSE) if c.verdict == "refuted"} == {quantity}


@pytest.mark.parametrize(("fixed", "each"), [(0.05, 0.0004), (0.3, 0.15), (0.01, 0.02), (0.01, 2.0)])
def test_the_cost_before_the_start_is_that_of_all_batches(monkeypatch, fixed, each):
    """Where a batch takes a fixed time and one for each network, the estimate is the sum over the run's batches."""
    monkeypatch.setattr(runner, "_seconds", lambda plan, width, trials: fixed + each * trials)
    program = models.elman("tanh").program()
    plan = KernelPlan(program, {key: KERNEL_DEFAULTS[key] for key in program.symbols}, 1024, 1500)
    whole = sum(fixed + each * chunk.trials for chunk in plan.chunks())
    assert runner.estimate_kernel_cost(plan).seconds == pytest.approx(whole, rel=0.02)


def test_small_products_are_made_by_one_thread(monkeypatch):
    seen, made = [], runner.empirical_ntk

    def drawn(*args, **more):
        seen.append({pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"})
        return made(*args, **more)

    monkeypatch.setattr(runner, "empirical_ntk", drawn)
    program = models.elman("tanh").program()
    values = {key: KERNEL_DEFAULTS[key] for key in program.symbols}
    with threadpool_limits(2, "blas"):
        gather(KernelMeasurements, KernelPlan(program, values, 16, 4, 2))
        assert {2} == {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    assert seen
    assert set().union(*seen) == {1}
