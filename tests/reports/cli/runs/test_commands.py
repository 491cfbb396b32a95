"""`validate --out` and `runs`: listed, shown, compared, gone on with, extended, put together, exported."""

from __future__ import annotations

import json

import pytest

from tests.command_line import CliRunner
from wideproof.reports.cli.app import app

SMALL = ("validate", "elman", "--width", "16", "--trials", "110", "--seed", "3")


def run(*words, code=0):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done


def json_of(*words, code=0):
    return json.loads(run(*words, "--json", code=code).stdout)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """One run whole, and in two parts."""
    folder = tmp_path_factory.mktemp("runs")
    run(*SMALL, "--out", folder / "whole", code=3)
    for k in (1, 2):
        run(*SMALL, "--out", folder / f"part{k}", "--shard", f"{k}/2", code=3)
    return folder


def test_parts_are_merged_compared_and_listed(parts):
    whole = json_of(*SMALL, "--out", parts / "whole", code=3)
    merged = json_of("runs", "merge", parts / "part2", parts / "part1", "-o", parts / "merged", code=3)
    assert merged == whole
    assert json_of("runs", "compare", parts / "whole", parts / "merged")["identical"] is True
    rows = json_of("runs", "list", parts)["runs"]
    assert [(row["chunks"], row["shard"]) for row in rows] == [("15/15", None), ("8/8", "1/2"), ("7/7", "2/2"),
                                                               ("15/15", None)]  # fmt: skip


def test_a_part_alone_lacks_chunks_that_resume_draws(parts):
    found = json_of("runs", "merge", parts / "part1", "-o", parts / "half", code=3)
    assert found["missing"] == 7
    assert json_of("runs", "resume", parts / "half", code=3) == json_of("runs", "resume", parts / "whole", code=3)
    assert json_of("runs", "compare", parts / "half", parts / "whole")["identical"] is True


def test_more_trials_are_shown_and_make_another_run(parts):
    for name in ("longer", "more"):
        run("runs", "merge", parts / "part1", parts / "part2", "-o", parts / name, code=3)
    found = json_of("runs", "extend", parts / "longer", "--trials", "150", code=3)
    assert {check["trials"] for check in found["checks"]} == {150}
    assert json_of("runs", "compare", parts / "longer", parts / "more", code=1)["identical"] is False
    shown = run("runs", "show", parts / "longer").stdout
    assert "trials = 150" in shown
    assert "h' = erf(F@x + W@h + b)" in shown
    assert json_of("runs", "show", parts / "longer")["chunks"] == {"done": 15, "of": 15}


@pytest.mark.parametrize("kind", ["nc", "csv", "json"])
def test_a_run_is_handed_on_as_one_file(parts, kind):
    if kind == "nc":
        pytest.importorskip("xarray")
    run("runs", "export", parts / "whole", "-o", parts / f"out.{kind}")
    assert (parts / f"out.{kind}").stat().st_size > 1000


@pytest.mark.parametrize(("words", "where"), [
    (("runs", "show", "nowhere"), "nowhere"),
    ((*SMALL, "--shard", "2"), "--shard"),
    ((*SMALL, "--shard", "1/2"), "shard"),
    ((*SMALL, "--scheduler", "tcp://127.0.0.1:1", "--jobs", "2"), "jobs, executor, scheduler"),
    (("runs", "export", "nowhere", "-o", "x.pdf"), "--out"),
])  # fmt: skip
def test_what_goes_wrong_is_told_in_our_words(words, where):
    assert f"error in {where}: expected" in run(*words, code=2).stderr


def test_another_run_keeps_its_folder(parts):
    said = run(*SMALL, "--trials", "120", "--out", parts / "whole", code=2).stderr
    assert "expected a run with trials = 120, got trials = 110" in said
