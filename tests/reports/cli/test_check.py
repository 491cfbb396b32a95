"""The verb `check`: the verdict as an exit code, where a formula differs, and formulas that begin with a minus."""

from __future__ import annotations

import json

import pytest

from tests.command_line import CliRunner
from wideproof.reports.cli.app import app

RHO = "nu_W**j*(nu_C+nu_F) + j*nu_C*nu_F*nu_W**(j-1)"


def run(*words, code=0):
    result = CliRunner().invoke(app, ["check", *words], prog_name="wideproof")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


def test_the_formula_of_the_paper_holds():
    told = run("linear-rnn", "scale-factors", RHO).stdout
    assert told.startswith("holds")
    assert "replayed and audited" in told


def test_with_one_lag_too_many_it_is_refuted_with_a_counterexample():
    told = run("linear-rnn", "scale-factors", RHO.replace("j*nu_C", "(j+1)*nu_C"), code=1).stdout
    assert "At j = 0, nu_C = 1, nu_F = 1, nu_W = 1 the formula has the value 3, the derived one is 2." in told
    assert "Formula minus derived: nu_C*nu_F*nu_W**(j - 1)." in told


def test_json_says_all():
    found = json.loads(run("linear-rnn", "stability", "nu_W", "--json", code=1).stdout)
    assert (found["verdict"], found["point"], found["derived"]) == ("refuted", {"nu_W": "1/2"}, "sqrt(nu_W)")
    assert found["values"]["formula"] == "1/2"
    assert found["steps"] > 3
    none = json.loads(run("elman", "nngp", "nu_C", "--activation", "tanh", "--json", code=3).stdout)
    assert (none["verdict"], none["values"], none["steps"]) == ("undecided", {"formula": None, "derived": None}, 0)


def test_symbols_are_options_with_exact_numbers():
    words = ("linear-rnn", "scale-factors", "3*nu_W**j/2 + j*nu_W**(j-1)/2", "--nu-F", "1")
    assert run(*words, "--nu-C", "1/2").stdout.startswith("holds")
    assert run(*words, "--nu-C", "0.5").stdout.startswith("holds")
    assert "refuted" in run(*words, "--nu-C", "0.501", code=1).stdout
    assert "--nu-X" in run(*words, "--nu-X", "1", code=2).stderr
    assert "nu-C" in run(*words, "--nu-C", "half", code=2).stderr


@pytest.mark.parametrize("formula", ["-1/log(nu_W)", "-(1/log(nu_W))"])
def test_a_formula_may_begin_with_a_minus(formula):
    assert run("linear-rnn", "memory", formula).stdout.startswith("holds")


@pytest.mark.parametrize(("words", "hint"), [
    (("linear-rnn", "scale-factor", RHO), "Did you mean scale-factors"),
    (("linear-rn", "scale-factors", RHO), "linear-rnn"),
    (("linear-rnn", "scale-factors", "nu_W^j"), "Write nu_W**j"),
    (("elman", "scale-factors", RHO), "linear recursion"),
    (("linear-rnn", "scale-factors"), "FORMULA"),
])  # fmt: skip
def test_what_is_wrong_is_said_with_a_way_out(words, hint):
    assert hint in run(*words, code=2).stderr
