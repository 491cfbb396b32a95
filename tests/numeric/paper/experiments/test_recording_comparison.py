"""§ 5.2 on synthetic recordings whose answer is known, and no leak from the test part."""

import dataclasses as dc
import json
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.linear_rnn.quadratic_loss import apply_filter, loss, to_taps
from wideproof.numeric.paper.experiments import recording_models as models_module, recording_protocol as protocol_module
from wideproof.numeric.paper.experiments.model_selection import (
    MATCHED,
    MODELS,
    RNN,
    SCALED,
    UNSCALED,
    ZERO,
    record_steps,
)
from wideproof.numeric.paper.experiments.recording_comparison import compare
from wideproof.numeric.paper.experiments.recording_protocol import FULL, LIMITED, Protocol, prepare
from wideproof.numeric.recordings import Recording, load_recording
from wideproof.numeric.runs.crew import Crew
from wideproof.numeric.runs.tasks import Elsewhere, Tasks

QUICK = Protocol(
    lags=8, width=60, nu_W=(0.3,), step_fractions=(1.0,), steps=150, segments=3, seeds=(1, 2), replicates=200
)


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
    for one, other in zip(before, after, strict=True):
        for part in ("training", "validation"):
            for name in ("sxx", "sxy", "syy"):
                assert np.array_equal(getattr(getattr(one, part), name), getattr(getattr(other, part), name))


@pytest.mark.parametrize("regime", [FULL, LIMITED])
def test_the_test_part_reaches_neither_training_nor_validation(regime):
    check_no_leak(regime)


def test_a_leaking_standardisation_is_caught(monkeypatch):
    def leaky(recording, values, names, part, spare):
        mean, deviation = values.mean(axis=0), values.std(axis=0)
        return (values - mean) / deviation, mean, deviation

    monkeypatch.setattr(protocol_module, "_standardise", leaky)
    with pytest.raises(AssertionError):
        check_no_leak(FULL)


@pytest.mark.parametrize("regime", [FULL, LIMITED])
def test_training_parts_are_standardised_and_disjoint(regime):
    recording = synthetic()
    found = prepare(recording, QUICK, regime)
    size, starts = (900, [0]) if regime == FULL else (90, [0, 405, 810])
    assert [parts.samples for parts in found] == [size] * len(starts)
    for start, parts in zip(starts, found, strict=True):
        own = slice(start, start + size)
        assert parts.training.power == pytest.approx(1.0, rel=1e-12)
        y = (recording.outputs - recording.outputs[own].mean(axis=0)) / recording.outputs[own].std(axis=0)
        zero = np.zeros((8, 2, 3))
        assert float(loss(parts.validation, to_taps(zero))) == pytest.approx(np.mean(y[900:1200] ** 2), rel=1e-12)
        assert parts.validation_r2(float(np.mean(y[900:1200].var(axis=0)))) == pytest.approx(0.0, abs=1e-12)
        assert np.array_equal(parts.y_test, recording.outputs[1200:])
        assert np.allclose(parts.predict(zero), recording.outputs[own].mean(axis=0))


@pytest.fixture(scope="module")
def result():
    return compare(synthetic(), QUICK, scale=oracle)


def scores_of(result, regime):
    regime = next(r for r in result.regimes if r.name == regime)
    return {(s.model, s.start): s for s in regime.scores}, {(c.first, c.second, c.start): c for c in regime.contrasts}


def test_with_much_data_every_model_finds_the_truth(result):
    """Noise of the signal's power leaves R² = 1/2 to the true filter."""
    for score in scores_of(result, FULL)[0].values():
        for r2, stderr in zip(score.r2, score.stderr, strict=True):
            assert abs(r2 - 0.5) < 0.05 + 4 * stderr
            assert 0.01 < stderr < 0.1


def statement(result, regime, start, second=UNSCALED):
    return [j for j in result.judged if (j.what.regime, j.what.start, j.what.second) == (regime, start, second)]


@pytest.mark.parametrize(("sign", "verdict"), [(1, "holds"), (-1, "refuted")])
def test_with_fewer_samples_than_taps_the_bias_helps_and_a_bias_to_old_lags_hurts(sign, verdict):
    """22 samples for 24 taps, of which the recent ones matter; the mutant turns the weights round."""
    few = dc.replace(QUICK, limited=0.025, segments=12)
    mutant = (lambda j, **nu: oracle(j, **nu)) if sign == 1 else (lambda j, **nu: oracle(7 - j, **nu))
    found = compare(synthetic(2500), few, scale=mutant)
    helps = statement(found, LIMITED, ZERO)
    assert all(sign * j.what.difference > 0 for j in helps)
    assert verdict in {j.verdict for j in helps}
    assert {"holds": "refuted", "refuted": "holds"}[verdict] not in {j.verdict for j in helps}


def test_a_scale_that_forgets_all_is_refuted_on_full_data():
    """The mutant never learns but the newest lag, whatever its steps, so that it loses with much data too."""
    blind = compare(synthetic(3000), QUICK, scale=lambda j, **nu: np.where(np.asarray(j) == 0, 1.0, 1e-18))
    found = {j.verdict for j in statement(blind, FULL, ZERO)}
    assert "refuted" in found
    assert "holds" not in found
    assert {j.verdict for j in statement(blind, FULL, MATCHED)} <= {"refuted", "undecided"}


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
    assert again == result
    loaded = json.loads(json.dumps(dc.asdict(result)))
    assert loaded["protocol"]["width"] == 60
    curve = loaded["regimes"][0]["scores"][0]
    assert len(curve["curve_steps"]) == len(curve["curve"]) == len(curve["curve_stderr"])
    assert curve["curve_steps"] == list(record_steps(150))
    assert all(0 <= k <= 150 for s in scores_of(result, FULL)[0].values() for k in s.best_steps)
    assert scores_of(result, FULL)[0][UNSCALED, ZERO].curve[0] == pytest.approx((0.0, 0.0), abs=0.05)


def test_one_rule_chooses_variance_and_step_for_every_model_on_validation_data():
    wide = dc.replace(QUICK, nu_W=(0.05, 0.6), step_fractions=(0.02, 1.0), steps=60)
    found = compare(synthetic(), wide, scale=oracle)
    for regime in found.regimes:
        for score in regime.scores:
            best = max(score.sweep, key=lambda point: point.mean)
            assert [point.nu_W for point in score.sweep] == [0.05, 0.6]
            assert (score.nu_W, score.step_fraction) == (best.nu_W, best.step_fraction)
            if (score.model, score.start) == (UNSCALED, ZERO):
                assert score.sweep[0].mean == score.sweep[1].mean
    small, large = scores_of(found, FULL)[0][SCALED, ZERO].sweep
    assert small.mean == pytest.approx(large.mean, abs=0.02)  # given the steps it needs, each learns all lags


def test_a_step_that_diverges_is_left_out_and_all_of_them_are_an_error(monkeypatch):
    monkeypatch.setattr(models_module, "model_curvature", lambda start, data: 1.0)
    with pytest.raises(ParameterError) as caught:
        compare(synthetic(600), dc.replace(QUICK, step_fractions=(1.9,), lags=4, steps=400), scale=oracle)
    assert "stable step" in caught.value.expected


@pytest.mark.parametrize(
    "wrong",
    [{"training": 0.9, "validation": 0.1}, {"seeds": (1,)}, {"segments": 1}, {"limited": 0.5}, {"nu_W": ()},
     {"step_fractions": (2.0,)}, {"width": 10**6}],
)  # fmt: skip
def test_a_protocol_without_meaning_is_refused(wrong):
    with pytest.raises(ParameterError):
        Protocol(**wrong)


def test_errors_name_the_field():
    with pytest.raises(ParameterError) as caught:
        prepare(synthetic(), dc.replace(QUICK, lags=60), LIMITED)
    assert caught.value.expected == "parts of at least 2 × 60 samples"
    assert "at most 45" in caught.value.hint
    still = synthetic()
    still.outputs[400:500, 1] = 4.0
    with pytest.raises(ParameterError) as caught:
        prepare(still, QUICK, LIMITED)
    assert caught.value.expected == "column 'v' to vary in training"
    still = synthetic()
    still.inputs[:900, 1] = 4.0
    with pytest.raises(ParameterError) as caught:
        prepare(still, QUICK, FULL)
    assert caught.value.expected == "column 'b' to vary in training"


@pytest.mark.parametrize(("rows", "part"), [(slice(900, 1200), "900 to 1200"), (slice(1200, 1500), "1200 to 1500")])
def test_an_output_that_rests_where_it_is_predicted_is_refused(rows, part):
    still = synthetic()
    still.outputs[rows, 0] = 4.0
    with pytest.raises(ParameterError) as caught:
        prepare(still, QUICK, FULL)
    assert caught.value.expected == "output 'u' to vary where it is predicted"
    assert part in caught.value.got


def test_inputs_that_all_rest_in_a_segment_are_refused():
    still = synthetic()
    still.inputs[400:500] = 4.0
    prepare(still, QUICK, FULL)
    with pytest.raises(ParameterError) as caught:
        prepare(still, QUICK, LIMITED)
    assert caught.value.got == "all constant in samples 405 to 495"


def test_an_event_that_does_not_occur_in_a_segment_is_measured_by_the_whole_training_part():
    still = synthetic()
    still.inputs[400:500, 1] = 4.0
    found = prepare(still, QUICK, LIMITED)[1]  # samples 405 to 495
    assert np.allclose(found.x_test[:, 1], (still.inputs[1200:, 1] - 4.0) / still.inputs[:900, 1].std())


@pytest.mark.parametrize("name", ["er-fmri", "daphnet"])
def test_real_recordings_pass_through(name):
    seen = []
    quick = dc.replace(QUICK, width=30, steps=20)
    answer = compare(load_recording(name), quick, scale=oracle, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (1, 1)
    assert len(seen) > 10
    assert seen[:-1] == [(k, seen[0][1]) for k in range(1, len(seen))]  # one after the other, of one number
    assert [r.name for r in answer.regimes] == [FULL, LIMITED]
    assert len(answer.regimes[0].scores) == len(MODELS)
    assert len(answer.regimes[0].scores[0].r2) == len(answer.outputs)


class Interrupted(Exception):
    """A kill in the middle of a comparison."""


def plain(found):
    return json.dumps(dc.asdict(found), default=list)


def test_an_interrupted_comparison_goes_on_with_the_same_bits(tmp_path, monkeypatch):
    trained = []

    def counted():
        trained.append(1)
        if len(trained) == 8:
            raise Interrupted

    def training(*args, **more):
        counted()
        return train(*args, **more)

    def descent(*args):
        counted()
        return descend(*args)

    train, descend = models_module.train, models_module.EigenDescent.descend
    recording, whole = synthetic(), plain(compare(synthetic(), QUICK, scale=oracle))
    monkeypatch.setattr(models_module, "train", training)
    monkeypatch.setattr(models_module.EigenDescent, "descend", descent)
    with pytest.raises(Interrupted):
        compare(recording, QUICK, scale=oracle, tasks=Tasks(tmp_path))
    assert len(kept(tmp_path)) == 3  # one convolution with its 3 runs, 2 networks
    assert plain(compare(recording, QUICK, scale=oracle, tasks=Tasks(tmp_path))) == whole
    assert len(kept(tmp_path)) == 13
    runs = len(trained)
    assert plain(compare(recording, QUICK, scale=oracle, tasks=Tasks(tmp_path))) == whole
    assert len(trained) == runs
    compare(recording, dc.replace(QUICK, steps=151), scale=oracle, tasks=Tasks(tmp_path))
    assert len(trained) > 1.5 * runs


def kept(folder):
    """The names of the pieces in the folder of a run."""
    return sorted(path.name for path in (folder / "pieces").glob("*.nc"))


class Jumbled(ThreadPoolExecutor):
    """Pieces come back in an order of chance."""

    def submit(self, work, /, *given, **more):
        def late():
            time.sleep(random.Random(given[1]).random() / 50)
            return work(*given)

        return super().submit(late)


def test_a_crew_trains_in_any_order_and_parts_put_together_lack_nothing(tmp_path, monkeypatch):
    wide = dc.replace(QUICK, nu_W=(0.1, 0.3), step_fractions=(0.5, 1.0), steps=20)
    for name in ("whole", "1", "2", "3"):
        (tmp_path / name).mkdir()
    recording, whole = synthetic(), plain(compare(synthetic(), wide, scale=oracle, tasks=Tasks(tmp_path / "whole")))
    with Jumbled(3) as pool:
        assert plain(compare(recording, wide, scale=oracle, tasks=Tasks(None, Crew(pool, 5, None)))) == whole
    shares = []
    for k in (1, 2, 3):
        with pytest.raises(Elsewhere):
            compare(recording, wide, scale=oracle, tasks=Tasks(tmp_path / str(k), shard=(k, 3)))
        shares.append(kept(tmp_path / str(k)))
    assert sorted(name for share in shares for name in share) == kept(tmp_path / "whole")  # each piece in one part
    assert min(map(len, shares)) > 5
    for k in (1, 2, 3):
        shutil.copytree(tmp_path / str(k), tmp_path / "merged", dirs_exist_ok=True)
    monkeypatch.setattr(models_module, "train", None)  # nothing is left to train
    assert plain(compare(recording, wide, scale=oracle, tasks=Tasks(tmp_path / "merged"))) == whole


def counts(samples=2500, channels=20, seed=0):
    """Spike counts of channels tuned to movement, its speed and drifts that all of them share: far from white."""
    rng = np.random.default_rng(seed)
    windows = (9, 9, 31, 31, 61, 61)
    drive = np.column_stack([np.convolve(rng.standard_normal(samples), np.hanning(w), "same") for w in windows])
    drive /= drive.std(axis=0)
    rate = np.exp(drive @ rng.standard_normal((6, channels)) * 0.3 + 1.0)
    x = rng.poisson(np.minimum(rate, 60.0)).astype(float)
    y = drive[:, :2] + 0.05 * rng.standard_normal((samples, 2))
    names = tuple(f"c{k}" for k in range(channels))
    return Recording("counts", x, y, names, ("position", "speed"), None, "", "", "")


SHORT = dc.replace(QUICK, nu_W=(0.7,), steps=30, segments=2)


def test_what_still_improves_is_not_judged_and_convolutions_are_solved_to_the_end():
    found = compare(counts(), SHORT, scale=oracle)
    scores = scores_of(found, FULL)[0]
    assert min(scores[RNN, MATCHED].r2) < -2  # after 30 steps, where it began
    still = scores[RNN, MATCHED].improving
    assert (still.runs, still.of, still.step) == (2, 2, 30)
    assert still.gain > 1
    for j in statement(found, FULL, MATCHED, SCALED):
        assert (j.verdict, j.p_for, j.p_against) == ("undecided", 1.0, 1.0)
        assert "linear RNN, matched start: 2 of 2 runs still improving at step 30" in j.what.unsettled
    for key in scores.keys() - {(RNN, MATCHED)}:
        assert scores[key].improving is None
        assert np.allclose(scores[key].r2, scores[UNSCALED, ZERO].r2, atol=0.05)
    assert {j.verdict for j in statement(found, FULL, MATCHED)} == {"holds"}
    assert not any(j.what.unsettled for j in statement(found, FULL, MATCHED))


def test_the_mutant_that_judges_whatever_came_refutes_by_the_number_of_steps(monkeypatch):
    monkeypatch.setattr(models_module, "to_gain", lambda losses, *_: float(len(losses) <= SHORT.steps))
    found = compare(counts(), SHORT, scale=oracle)
    assert "refuted" in {j.verdict for j in statement(found, FULL, MATCHED, SCALED)}


def test_a_choice_given_twice_is_one():
    twice = dc.replace(SHORT, nu_W=(0.7, 0.7), step_fractions=(1.0, 1.0), steps=5)
    once = compare(synthetic(600), dc.replace(SHORT, steps=5), scale=oracle)
    assert compare(synthetic(600), twice, scale=oracle).regimes == once.regimes


def test_a_run_ends_where_it_has_settled_and_is_judged():
    found = compare(synthetic(), dc.replace(QUICK, steps=5000, segments=2), scale=oracle)
    rnn = scores_of(found, FULL)[0][RNN, MATCHED]
    assert rnn.improving is None
    assert max(rnn.best_steps) < 1000
    assert len(rnn.curve) == len(record_steps(5000))
    assert rnn.curve[-1] == rnn.curve[-2]  # it stays where it ended
    assert not any(j.what.unsettled for j in statement(found, FULL, MATCHED, SCALED))


def test_a_step_too_small_to_tell_has_not_settled():
    """Its loss hardly moves over the last half of the steps; the convolution it follows says that it has far to go."""
    found = compare(counts(), dc.replace(SHORT, step_fractions=(1e-6,)), scale=oracle)
    assert scores_of(found, FULL)[0][RNN, MATCHED].improving.gain > 1


def test_of_a_large_recording_the_first_samples_and_the_telling_inputs_are_taken():
    recording = synthetic()
    idle = dc.replace(recording, inputs=np.column_stack([np.random.default_rng(3).standard_normal((1500, 2)),
                                                         recording.inputs]), input_names=tuple("vwabc"))  # fmt: skip
    small, told = protocol_module.cut(idle, dc.replace(QUICK, most_samples=1200, most_inputs=3))
    assert (small.samples, small.input_names) == (1200, ("a", "b", "c"))
    assert told == ("the first 1,200 of 1,500 samples",
                    "3 of 5 inputs, those that correlate most with the outputs in training")  # fmt: skip
    same, told = protocol_module.cut(recording, QUICK)
    assert (same is recording, told) == (True, ())
    changed = dc.replace(idle, outputs=np.concatenate([idle.outputs[:900], 9.0 * idle.outputs[:-901:-1]])[:1500])
    assert protocol_module.cut(changed, dc.replace(QUICK, most_inputs=3))[0].input_names == ("a", "b", "c")
    said = []
    found = compare(idle, dc.replace(QUICK, most_inputs=3, steps=5), scale=oracle, announce=said.append)
    assert (found.inputs, len(found.cut)) == (("a", "b", "c"), 1)
    assert "cut to 3 of 5 inputs" in str(said[0])
    assert "at most 5 steps" in str(said[0])
