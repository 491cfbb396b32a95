"""The command line of `amp`: listed, derived with a verified proof, and held against finite widths."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from reports.cli import app


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_amp_is_listed_and_its_corrections_are_derived():
    assert "amp" in [row["name"] for row in json.loads(run("models", "--json").stdout)["models"]]
    (found,) = json.loads(run("derive", "amp", "--json").stdout)["derivations"]
    assert found["quantity"] == "corrections"
    assert "transposed-product" in [step["rule"] for step in found["steps"]]
    assert "corrections of amp" in run("derive", "amp").stdout


def test_validate_amp_says_what_it_sees_and_refutes_nothing_true():
    answer = run("validate", "amp", "--width", "128", "--trials", "40", "--json")
    found = json.loads(answer.stdout)
    assert found["verdict"] in ("holds", "undecided")
    assert answer.exit_code == {"holds": 0, "undecided": 3}[found["verdict"]]
    assert [check["quantity"] for check in found["checks"]] == ["mean-square", "mean-square"]
    assert all(check["stderr"] > 0 for check in found["checks"])


def test_what_amp_does_not_have_is_refused():
    for arguments in (("derive", "amp", "ntk"), ("validate", "amp", "--width", "8"),
                      ("validate", "amp", "--method", "matrix-free"), ("validate", "amp", "--nu-W", "1")):
        assert run(*arguments).exit_code not in (0, 1, 3)
