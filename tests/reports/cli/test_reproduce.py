"""`report` and `reproduce` as runs: killed, gone on with, listed, shown; another run keeps its folder."""

from __future__ import annotations

import json
import signal

import pytest

from tests.command_line import CliRunner
from tests.kills import WORDS, command, killed, pieces, same, wait_for
from wideproof.derive.language.errors import StoreError
from wideproof.numeric import load_run
from wideproof.reports.cli.app import app

FIG3 = tuple(map(str, WORDS["reproduce"](9)))


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture(scope="module", autouse=True)
def unprinted():
    """Source and record alone: what makes the PDF is not under test."""
    with pytest.MonkeyPatch.context() as patch:
        for engine in ("_pdf", "_html"):
            patch.setattr(f"wideproof.reports.render.render.{engine}", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A figure of the paper at toy size, left alone."""
    folder = tmp_path_factory.mktemp("whole") / "fig3"
    done = CliRunner().invoke(app, [*FIG3, "--out", str(folder), "--json"])
    assert done.exit_code in (0, 1, 3), done.output
    return folder


def test_a_figure_that_is_killed_goes_on_with_the_same_bits(tmp_path, whole):
    torn = tmp_path / "torn"
    assert killed(torn, FIG3, 2, seed=2) == 2
    assert 0 < len(pieces(torn)) < len(pieces(whole))
    assert json.loads((torn / "run.json").read_text())["stage"] != "done"
    run("runs", "resume", torn, "--json", code=CliRunner().invoke(app, ["runs", "resume", str(whole)]).exit_code)
    assert same(torn, whole)["identical"]


def test_termination_says_what_is_kept_and_what_goes_on(tmp_path):
    child = command(*FIG3, "--out", tmp_path / "run")
    wait_for(child, tmp_path / "run", 2)
    child.send_signal(signal.SIGTERM)
    _, said = child.communicate(timeout=100)
    assert child.returncode == 143, said
    assert f"pieces are kept in {tmp_path / 'run'}; go on with: wideproof runs resume {tmp_path / 'run'}" in said
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (record["command"], record["stage"]) == ("reproduce", "stopped")
    assert record["inputs"]["items"] == ["fig3"]


def test_a_reproduction_is_listed_and_shown(whole):
    (row,) = json.loads(run("runs", "list", whole, "--json").stdout)["runs"]
    assert (row["command"], row["stage"], row["chunks"]) == ("reproduce", "done", str(len(pieces(whole))))
    said = run("runs", "show", whole).stdout
    assert "teachers of growing delay" in said
    assert json.loads(run("runs", "show", whole, "--json").stdout)["results"]["delays"]
    with pytest.raises(StoreError, match="a run of validate"):
        load_run(whole)


def test_the_folder_of_another_run_is_kept_without_force(whole):
    said = run(*FIG3, "--seed", "9", "--out", whole, code=2).stderr
    assert "expected a run with seed = 9, got seed = 0" in said


def test_parts_are_merged_into_the_run_of_one_place_and_one_that_lacks_is_named(tmp_path, whole):
    for k in (1, 2):
        said = run(*FIG3, "--out", tmp_path / str(k), "--shard", f"{k}/2", code=3).stderr
        assert f"part {k} of 2 is done: {len(pieces(tmp_path / str(k)))} pieces are kept" in said
        assert not (tmp_path / str(k) / "report.tex").exists()
    half = run("runs", "merge", tmp_path / "2", "-o", tmp_path / "half", code=3)
    assert "missing: part 1/2 is not among them" in half.stderr
    assert f"wideproof runs resume {tmp_path / 'half'}" in half.stdout.replace("\n", "")
    done = CliRunner().invoke(app, [str(x) for x in ("runs", "merge", *map(tmp_path.joinpath, "12"), "-o",
                                                     tmp_path / "merged")])  # fmt: skip
    assert done.exit_code == CliRunner().invoke(app, ["runs", "resume", str(whole)]).exit_code
    assert same(tmp_path / "merged", whole)["identical"]
    assert json.loads(run("runs", "compare", tmp_path / "merged", whole, "--json").stdout)["identical"] is True
    assert "Add --out DIR" in run(*FIG3, "--shard", "1/2", code=2).stderr
