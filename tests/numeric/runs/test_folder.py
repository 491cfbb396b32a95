"""The folder of a run: written first, gone on with by the same run, refused to another."""

from __future__ import annotations

import json
import os

import pytest

from wideproof.derive.language.errors import StoreError
from wideproof.numeric.runs.folder import open_run, take_folder

IDENTITY = {"command": "validate", "experiment": {"plan": {"trials": 10, "seed": 1}}, "shard": None}
OTHER = IDENTITY | {"experiment": {"plan": {"trials": 20, "seed": 1}}}


def test_the_record_is_there_before_anything_is_drawn(tmp_path):
    take_folder(tmp_path / "run", IDENTITY, {"seed": 1}, False)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["experiment"] == IDENTITY["experiment"]
    assert (record["stage"], record["sessions"], record["verdict"]) == ("planned", [], None)


def test_what_a_kill_leaves_before_the_record_is_no_other_run(tmp_path):
    (tmp_path / ".run.json.123.part").write_text("{")
    assert take_folder(tmp_path, IDENTITY, {}, False).record["stage"] == "planned"


def test_a_session_says_where_and_with_what(tmp_path):
    run = take_folder(tmp_path, IDENTITY, {}, False)
    run.begin("numpy", 2)
    run.end("done", verdict="holds")
    (session,) = open_run(tmp_path).record["sessions"]
    assert {"started", "ended", "environment", "hardware", "versions", "git", "workers"} == set(session)
    assert {"versions", "processor", "compiled"} <= set(session["environment"])


def test_the_same_run_goes_on_and_another_is_refused_by_field(tmp_path):
    take_folder(tmp_path, IDENTITY, {"seed": 1}, False).update(stage="done")
    assert take_folder(tmp_path, IDENTITY, {}, False).record["stage"] == "done"
    with pytest.raises(StoreError) as caught:
        take_folder(tmp_path, OTHER, {}, False)
    assert (caught.value.expected, caught.value.got) == ("a run with trials = 20", "trials = 10")
    assert "extend" in caught.value.hint


def test_force_replaces_a_run_and_no_other_file(tmp_path):
    take_folder(tmp_path, IDENTITY, {}, False)
    (tmp_path / "chunks").mkdir()
    (tmp_path / "chunks" / "a.nc").write_bytes(b"old")
    (tmp_path / "notes.txt").write_text("mine")
    take_folder(tmp_path, IDENTITY, {}, True)
    assert (tmp_path / "chunks" / "a.nc").exists()  # the same run loses nothing
    take_folder(tmp_path, OTHER, {}, True)
    assert not (tmp_path / "chunks").exists()
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert open_run(tmp_path).record["experiment"] == OTHER["experiment"]


def test_force_replaces_the_monte_carlo_of_a_report_with_it(tmp_path):
    """Else the next report stops at draws of another model, with the hint to use the force that was used."""
    take_folder(tmp_path, IDENTITY, {}, False)
    take_folder(tmp_path / "monte-carlo", IDENTITY, {}, False)
    take_folder(tmp_path, OTHER, {}, True)
    assert take_folder(tmp_path / "monte-carlo", OTHER, {}, False).record["stage"] == "planned"


def test_a_folder_of_other_files_is_not_taken(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(StoreError, match="other files"):
        take_folder(tmp_path, IDENTITY, {}, False)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("text", ["", "[]", '{"format": "another 3"}', "null"])
def test_a_record_of_another_program_is_refused(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StoreError):
        open_run(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_read_only_place_is_told(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        take_folder(tmp_path / "run", IDENTITY, {}, False)


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match="Not a directory"):
        take_folder(tmp_path / "file" / "run", IDENTITY, {}, False)
