"""Runs: the same bits for any workers, order, shards and kills; extended, merged, compared, loaded."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace

import numpy as np
import pytest

from tests.kills import command, killed, wait_for
from wideproof.derive import models
from wideproof.derive.language.errors import ParameterError, StoreError
from wideproof.numeric import load_run, validate
from wideproof.numeric.runs.chunks import encoded
from wideproof.numeric.runs.crew import ALONE, Crew
from wideproof.numeric.runs.gathering import gather
from wideproof.numeric.validation.alternating import LineMeasurements
from wideproof.numeric.validation.kernels import KernelMeasurements
from wideproof.numeric.validation.runs import compare, extend, merge, resume
from wideproof.numeric.validation.validate import planned

CASES = {
    "linear": (models.linear_rnn(), {"width": 64, "trials": 1200}),
    "kernels": (models.elman("tanh"), {"width": 16, "trials": 110}),
    "lines": (models.amp(2), {"width": 256, "trials": 220}),
}
UNLIKE = {"horizon": None, "level": None, "sampler": "auto", "budget": None, "dtype": "float64", "nu": {}}


def plan_of(name):
    recursion, options = CASES[name]
    return planned(recursion, seed=3, device="cpu", **{**options, **UNLIKE})


def run_of(name, out, **more):
    recursion, options = CASES[name]
    return validate(recursion, seed=3, out=out, **{**options, **more})


def bits(found):
    return {key: value.tobytes() for key, value in found.arrays().items()}


class Jumbled(ThreadPoolExecutor):
    """Chunks come back in an order of chance."""

    order: tuple[str, ...] = ()

    def submit(self, work, /, *given, **more):
        def late():
            time.sleep(random.Random(repr(given[1])).random() / 20)
            numbers = work(*given)
            self.order = (*self.order, given[1])
            return numbers

        return super().submit(late)


@pytest.mark.parametrize("name", CASES)
def test_the_bits_are_those_of_one_worker_for_any_order(name):
    experiment = plan_of(name)
    chunks = tuple(experiment.plan.chunks())
    assert len(chunks) > 5
    with Jumbled(4) as pool:
        jumbled = gather(experiment.measurements, experiment.plan, crew=Crew(pool, 8, None))
        assert pool.order != tuple(astuple(chunk) for chunk in chunks)
    assert bits(jumbled) == bits(gather(experiment.measurements, experiment.plan))


def test_a_target_stops_at_the_same_chunk_whoever_draws():
    experiment = plan_of("kernels")
    plan = replace(experiment.plan, trials=2000, target=0.1)
    one = gather(KernelMeasurements, plan)
    assert one.trials("ntk") < 2000
    with Jumbled(4) as pool:
        assert bits(gather(KernelMeasurements, plan, crew=Crew(pool, 8, None))) == bits(one)


def test_processes_give_the_same_bits(tmp_path):
    run_of("kernels", tmp_path / "one")
    run_of("kernels", tmp_path / "two", jobs=2)
    assert compare(load_run(tmp_path / "one"), load_run(tmp_path / "two"))["identical"]


@pytest.mark.parametrize("name", CASES)
def test_parts_put_together_are_the_whole(tmp_path, name):
    whole = run_of(name, tmp_path / "whole")
    for k in (1, 2, 3):
        part = run_of(name, tmp_path / f"part{k}", shard=(k, 3))
        assert (part.verdict, part.checks) == ("undecided", ())
    missing = merge([tmp_path / "part3", tmp_path / "part1"], tmp_path / "merged")
    assert missing.missing == load_run(tmp_path / "part2").done > 0
    with pytest.raises(StoreError, match="a folder of its own"):
        merge([tmp_path / "part1", tmp_path / "part2"], tmp_path / "part1", force=True)
    made = merge([tmp_path / f"part{k}" for k in (3, 1, 2)], tmp_path / "merged", force=True)
    assert (made.missing, made.environments) == (0, 1)
    assert resume(tmp_path / "merged", ALONE).checks == whole.checks
    assert compare(load_run(tmp_path / "merged"), load_run(tmp_path / "whole"))["identical"]


def test_parts_of_different_runs_are_not_put_together(tmp_path):
    run_of("kernels", tmp_path / "a", shard=(1, 2))
    run_of("kernels", tmp_path / "b", shard=(2, 2), nu_W=0.5)
    with pytest.raises(StoreError, match="setting"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_a_chunk_with_two_values_in_one_environment_is_refused_and_in_two_is_told(tmp_path):
    for name in ("a", "b"):
        run_of("kernels", tmp_path / name, shard=(1, 2))
    b = load_run(tmp_path / "b")
    store, chunk = b.folder.chunks, b.wanted[0]
    other = store.read(chunk.name)
    store.write(chunk.name, encoded(chunk, replace(other, kept=other.kept + 1.0)))
    with pytest.raises(StoreError, match="altered"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c")
    session = b.record["sessions"][0]
    b.folder.update(sessions=[session | {"environment": session["environment"] | {"processor": "another"}}])
    assert merge([tmp_path / "a", tmp_path / "b"], tmp_path / "c", force=True).environments == 2


class Counted:
    """How many chunks were drawn."""

    def __init__(self, kind, monkeypatch):
        self.chunks, draw = [], kind.draw

        def counted(plan, chunk):
            self.chunks.append(chunk)
            return draw(plan, chunk)

        monkeypatch.setattr(kind, "draw", staticmethod(counted))


def test_a_finished_run_is_judged_again_without_a_draw(tmp_path, monkeypatch):
    first = run_of("kernels", tmp_path)
    drawn = Counted(KernelMeasurements, monkeypatch)
    assert run_of("kernels", tmp_path).checks == resume(tmp_path, ALONE).checks == first.checks
    assert drawn.chunks == []


@pytest.mark.parametrize(("name", "kind"), [("kernels", KernelMeasurements), ("lines", LineMeasurements)])
def test_more_trials_draw_only_what_is_new_and_end_as_a_run_of_so_many(tmp_path, monkeypatch, name, kind):
    run_of(name, tmp_path / "long", trials=400)
    run_of(name, tmp_path / "run")
    drawn, before = Counted(kind, monkeypatch), {chunk.name for chunk in load_run(tmp_path / "run").wanted}
    extend(tmp_path / "run", ALONE, trials=400)
    after = {chunk.name for chunk in load_run(tmp_path / "run").wanted}
    assert {chunk.name for chunk in drawn.chunks} == after - before
    assert compare(load_run(tmp_path / "run"), load_run(tmp_path / "long"))["identical"]


def test_more_widths_draw_only_the_new_width(tmp_path, monkeypatch):
    run_of("kernels", tmp_path)
    drawn = Counted(KernelMeasurements, monkeypatch)
    found = extend(tmp_path, ALONE, width=32)
    assert {chunk.width for chunk in drawn.chunks} == {32}
    assert found.measurements.plan.widths == (2, 4, 8, 16, 32)


def test_what_cannot_be_extended_is_refused(tmp_path):
    run_of("kernels", tmp_path / "run")
    for options in ({}, {"trials": 100}, {"width": 8}):
        with pytest.raises(ParameterError):
            extend(tmp_path / "run", ALONE, **options)
    run_of("kernels", tmp_path / "part", shard=(1, 2))
    with pytest.raises(ParameterError, match="Merge the parts first"):
        extend(tmp_path / "part", ALONE, trials=1000)


def test_a_damaged_chunk_is_drawn_again(tmp_path, monkeypatch):
    first = run_of("kernels", tmp_path)
    victim = sorted((tmp_path / "chunks").iterdir())[3]
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(bytes(raw))
    drawn = Counted(KernelMeasurements, monkeypatch)
    assert resume(tmp_path, ALONE).checks == first.checks
    assert [chunk.name for chunk in drawn.chunks] == [victim.name.split(".")[0]]


def test_a_folder_of_another_run_is_refused(tmp_path):
    run_of("kernels", tmp_path)
    before = sorted(path.name for path in (tmp_path / "chunks").iterdir())
    for change in ({"trials": 150}, {"width": 32}, {"nu_W": 0.5}, {"shard": (1, 2)}):
        with pytest.raises(StoreError, match="a run with"):
            run_of("kernels", tmp_path, **change)
    assert sorted(path.name for path in (tmp_path / "chunks").iterdir()) == before
    run_of("kernels", tmp_path, trials=60, force=True)
    assert load_run(tmp_path).done == 10


@pytest.mark.parametrize(("options", "said"), [
    ({"shard": (3, 2)}, "shard: part"), ({"shard": 2}, "shard"), ({"shard": (1, 2), "out": None}, "shard"),
    ({"shard": (1, 2), "budget": 0.1}, "shard"), ({"jobs": 0}, "jobs"), ({"executor": 3}, "executor"),
    ({"jobs": 2, "scheduler": "tcp://127.0.0.1:1"}, "jobs, executor, scheduler"),
])  # fmt: skip
def test_options_that_mean_nothing_are_refused_before_a_folder_is_made(tmp_path, options, said):
    with pytest.raises(ParameterError) as caught:
        run_of("kernels", **{"out": tmp_path / "run"} | options)
    assert caught.value.where == said
    assert not (tmp_path / "run").exists()


def test_a_run_opens_in_pandas_and_xarray(tmp_path):
    pandas, xarray = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    found = run_of("kernels", tmp_path / "run")
    run = load_run(tmp_path / "run")
    frame = run.to_dataframe()
    assert list(frame.estimate) == [check.estimate for check in found.checks]
    table = pandas.read_csv(tmp_path / "run" / "checks.csv")
    assert list(table.estimate) == list(frame.estimate)
    data = run.to_xarray()
    moments = found.measurements.moments["ntk", 16]
    assert np.array_equal(data.ntk.sel(width=16), moments.mean)
    assert np.allclose(data.ntk_stderr.sel(width=16)[:, 0], moments.feature(0).stderr, rtol=1e-12)
    assert set(data.ntk_count.values) == {110}
    run.export(tmp_path / "all.nc")
    with xarray.open_dataset(tmp_path / "all.nc", engine="scipy") as again:
        assert np.array_equal(again.ntk, data.ntk)


def test_an_unfinished_run_is_loaded_as_far_as_it_is(tmp_path):
    def stop(done, total):
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        run_of("kernels", tmp_path, progress=stop)
    assert f"7 of 15 chunks are kept in {tmp_path}; go on with: wideproof runs resume" in str(caught.value)
    run = load_run(tmp_path)
    assert (run.done, run.record["stage"], run.record["verdict"]) == (7, "stopped", None)
    assert run.measured.moments["ntk", 1].count == 110
    assert len(run.to_dataframe()) == 0


# ---- killed -----------------------------------------------------------------------------------------
LONG = ("validate", "elman", "--width", 64, "--trials", 1500, "--seed", 5)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    validate(models.elman(), width=64, trials=1500, seed=5, out=folder)
    return load_run(folder)


def test_killed_at_any_moment_it_goes_on_with_the_same_bits(tmp_path, uninterrupted):
    """Killed six times at moments of chance, by one and by two workers."""
    assert killed(tmp_path / "run", LONG, 6) == 6
    kept = load_run(tmp_path / "run").done
    assert 3 <= kept < len(uninterrupted.wanted)  # each of three kills came after a chunk more, at least
    resume(tmp_path / "run", ALONE)
    assert compare(load_run(tmp_path / "run"), uninterrupted)["identical"]


@pytest.mark.parametrize(("number", "code", "word"), [
    (signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted"),
])  # fmt: skip
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_signal_ends_it_cleanly_and_says_what_is_kept(tmp_path, number, code, word, jobs, uninterrupted):
    child = command(*LONG, "--json", "--out", tmp_path / "run", "--jobs", jobs)
    wait_for(child, tmp_path / "run", 9)
    child.send_signal(number)
    out, err = child.communicate(timeout=120)
    assert (child.returncode, out) == (code, "")
    assert err.startswith(word)
    assert f"chunks are kept in {tmp_path / 'run'}; go on with: wideproof runs resume {tmp_path / 'run'}" in err
    assert "Traceback" not in err
    run = load_run(tmp_path / "run")
    assert run.record["stage"] == "stopped"
    assert 9 <= run.done < len(run.wanted)


def test_a_worker_that_dies_is_replaced_and_changes_nothing(tmp_path, uninterrupted):
    killed = []

    def kill(done, total):
        if done == 20 and not killed:
            killed.append(children()[-1])
            os.kill(killed[0], signal.SIGKILL)

    validate(models.elman(), width=64, trials=1500, seed=5, out=tmp_path, jobs=2, progress=kill)
    assert killed
    assert compare(load_run(tmp_path), uninterrupted)["identical"]


def children():
    """The workers that this process has spawned."""
    return [child.pid for child in multiprocessing.active_children()]


def test_a_dask_cluster_gives_the_same_bits_though_a_worker_is_killed(tmp_path, uninterrupted):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                                  silence_logs=50) as cluster:  # fmt: skip
        killed = []

        def kill(done, total):
            if done == 20 and not killed:
                killed.append(next(iter(cluster.workers.values())).pid)
                os.kill(killed[0], signal.SIGKILL)

        validate(models.elman(), width=64, trials=1500, seed=5, out=tmp_path, scheduler=cluster.scheduler_address,
                 progress=kill)  # fmt: skip
    assert killed
    assert compare(load_run(tmp_path), uninterrupted)["identical"]
