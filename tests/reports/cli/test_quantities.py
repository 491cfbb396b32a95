"""Quantities of both kinds of programs on the command line; `amp` listed, derived, and held against finite widths."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import CliRunner
from wideproof.reports.cli.app import app


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_amp_is_listed_and_its_corrections_are_derived():
    assert "amp" in [row["name"] for row in json.loads(run("models", "--json").stdout)["models"]]
    found, evolution = json.loads(run("derive", "amp", "--steps", "1", "--json").stdout)["derivations"]
    assert found["quantity"] == "corrections"
    assert "transposed-product" in [step["rule"] for step in found["steps"]]
    assert evolution["quantity"] == "state-evolution"
    assert "line-limit" in [step["rule"] for step in evolution["steps"]]
    assert "corrections of amp" in run("derive", "amp", "corrections", "--steps", "1").stdout


NUMBERS = ("--delta", "0.5", "--epsilon", "0.25", "--nu-w", "0.2", "--theta-0", "0.8")


def test_the_state_evolution_of_amp_is_evaluated_for_any_number_of_steps():
    one = json.loads(run("eval", "amp", "state-evolution", "--steps", "1", *NUMBERS, "--json").stdout)
    assert one["names"] == ["error_0"]
    assert one["values"] == [pytest.approx(0.2105941451605, rel=1e-10)]
    text = run("eval", "amp", "corrections", "--steps", "2", *NUMBERS, "--theta-1", "0.7").stdout
    assert "Coefficient(2, 1)" in text
    for wrong in (
        ("ntk", "--steps", "1", *NUMBERS),
        ("state-evolution", "--steps", "1"),
        ("state-evolution", "--steps", "none", *NUMBERS),
        ("state-evolution", "--lags", "3", *NUMBERS),
    ):
        assert run("eval", "amp", *wrong).exit_code == 2


def test_the_report_of_amp_states_corrections_evolution_and_verdicts(tmp_path):
    answer = run("report", "amp", "--steps", "2", "--width", "64", "--trials", "12", "-o", str(tmp_path), "--json")
    found = json.loads(answer.stdout)
    assert answer.exit_code == {"holds": 0, "refuted": 1, "undecided": 3}[found["verdict"]]
    text = (tmp_path / "report.tex").read_text()
    for words in ("Corrections", "State evolution", "Stein", r"M_{2}", "tab:errors", "fig:course", "fig:parts"):
        assert words in text
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["results"]["verdict"] == found["verdict"]
    assert record["inputs"]["nu"]["theta_1"] == 0.7
    assert f"{record['results']['validation'][0]['prediction']:.4g}" in text
    assert all(Path(name).exists() for name in found["files"])


def test_validate_amp_says_what_it_sees_and_refutes_nothing_true():
    answer = run("validate", "amp", "--width", "128", "--trials", "40", "--json")
    found = json.loads(answer.stdout)
    assert found["verdict"] in ("holds", "undecided")
    assert answer.exit_code == {"holds": 0, "undecided": 3}[found["verdict"]]
    assert [check["quantity"] for check in found["checks"]] == ["mean-square", "mean-square"]
    assert all(check["stderr"] > 0 for check in found["checks"])


def test_what_amp_does_not_have_is_refused():
    for arguments in (
        ("derive", "amp", "ntk"),
        ("validate", "amp", "--width", "8"),
        ("validate", "amp", "--method", "matrix-free"),
        ("validate", "amp", "--nu-W", "1"),
    ):
        assert run(*arguments).exit_code not in (0, 1, 3)
