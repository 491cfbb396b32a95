"""Faults of the machine while a run is under way: told with the place, nothing lost, the same bits after it."""

from __future__ import annotations

import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from wideproof.derive import models
from wideproof.derive.language.errors import StoreError
from wideproof.numeric import load_run, validate
from wideproof.numeric.core.files import write_atomically
from wideproof.numeric.runs import folder as folders
from wideproof.numeric.runs.chunks import ChunkFolder
from wideproof.numeric.runs.crew import ALONE
from wideproof.numeric.validation.runs import compare, resume

SIZE = {"width": 16, "trials": 110, "seed": 3}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed."""
    path = tmp_path_factory.mktemp("whole")
    validate(models.elman("erf"), out=path, **SIZE)
    return path


def run(path):
    return validate(models.elman("erf"), out=path, **SIZE)


def same(path, whole):
    """Whether a run has the bits of the one that nothing disturbed."""
    told = compare(load_run(path), load_run(whole))
    return told["identical"] and told["numbers"] and told["checks"]


@contextmanager
def files_of_at_most(size):
    """No file of this process grows beyond so many bytes, as on a disk that is full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def after(count, act, monkeypatch):
    """Do something when so many chunks are written."""
    write, seen = ChunkFolder.write, []

    def counted(self, name, raw):
        write(self, name, raw)
        seen.append(name)
        if len(seen) == count:
            act()

    monkeypatch.setattr(ChunkFolder, "write", counted)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_disk_that_fills_in_mid_run_is_told_and_the_run_goes_on_when_there_is_room(tmp_path, whole, monkeypatch):
    limit = files_of_at_most(200)
    after(4, limit.__enter__, monkeypatch)
    try:
        with pytest.raises(StoreError, match=r"chunks.*File too large.*runs resume"):
            run(tmp_path)
    finally:
        limit.__exit__(None, None, None)
    monkeypatch.undo()
    assert load_run(tmp_path).done == 4
    assert not list(tmp_path.rglob("*.part"))
    resume(tmp_path, ALONE)
    assert same(tmp_path, whole)


@pytest.mark.parametrize("part", ["", "chunks"])
def test_a_folder_that_vanishes_in_mid_run_is_told_and_not_made_again(tmp_path, whole, monkeypatch, part):
    """It was made again, and held the chunks drawn after that alone, under a record that said "done"."""
    path = tmp_path / "run"
    after(4, lambda: shutil.move(path / part, tmp_path / "away"), monkeypatch)
    with pytest.raises(StoreError, match="vanished"):
        run(path)
    monkeypatch.undo()
    assert not (path / part).exists()
    shutil.move(tmp_path / "away", path / part)
    resume(path, ALONE)
    assert same(path, whole)


def test_two_runs_in_one_folder_at_once_end_as_one(tmp_path, whole):
    together = threading.Barrier(2)
    folders.take_folder(tmp_path, *_record(whole), False)

    def one(_):
        together.wait()
        return run(tmp_path)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(one, range(2))
    assert first.checks == second.checks
    assert same(tmp_path, whole)


def _record(whole):
    record = folders.open_run(whole).record
    identity = {key: record[key] for key in ("command", "experiment", "shard") if key in record}
    return identity, {key: value for key, value in record.items() if key not in {*identity, "sessions"}}


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, whole, monkeypatch):
    hours = iter(range(23, 0, -1))
    monkeypatch.setattr(folders, "now", lambda: f"2020-01-01T{next(hours):02}:00:00+00:00")
    with monkeypatch.context() as until:
        after(4, lambda: (_ for _ in ()).throw(KeyboardInterrupt), until)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    resume(tmp_path, ALONE)
    record = folders.open_run(tmp_path).record
    assert record["updated"] < record["started"]
    assert same(tmp_path, whole)


def test_writers_of_one_file_at_once_leave_one_of_theirs_whole(tmp_path):
    """Half of the figures saved at once failed: all wrote beside the file under one name."""
    texts = [letter * 200_000 for letter in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda text: [write_atomically(tmp_path / "x", text) for _ in range(20)], texts))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_text() in texts
