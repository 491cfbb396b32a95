"""A user's model anywhere a gallery name goes: options, help, completion, and errors that lead to the user's line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.command_line import CliRunner
from wideproof.derive import Proof
from wideproof.derive.language.grammar import DEEPEST, LONGEST
from wideproof.derive.model_files import toml_form
from wideproof.derive.model_files.expression_size import NODES, TERMS
from wideproof.reports.cli.app import app
from wideproof.reports.sections import report as report_module
from wideproof.reports.sections.report import Report

MINE = '''
from fractions import Fraction
import wideproof as wp
print("my own words")

def make(activation="tanh", layers: int = 1, leak: float = 0.5, bias=True, gain=Fraction(1, 2), hidden_size: "int" = 3,
         shape=(1, 2)):
    """A recursion whose options become those of the command line."""
    assert isinstance(layers, int) and isinstance(leak, float) and isinstance(bias, bool), (layers, leak, bias)
    assert isinstance(gain, Fraction) and isinstance(hidden_size, int) and shape == (1, 2)
    rnn = wp.Recursion(f"mine {layers} {leak} {bias} {gain} {hidden_size}".replace(".", "-").replace("/", "-"))
    W, F, C = rnn.matrix("W", variance="nu_W"), rnn.input_map("F", variance="nu_F"), rnn.readout("C", variance="nu_C")
    h, b = rnn.state("h"), rnn.bias("b", variance="nu_b", mean="mu_b") if bias else 0
    rnn.update(h, wp.activation(activation)(gain * W @ h + F @ rnn.x + b))
    rnn.output(C @ h)
    return rnn

def needs(layers: int, name):
    return make(layers=layers, activation=name)

def clashing(json=False):
    return make()

def looks_alike(nu_W=1):
    return make()

def broken():
    return undefined_name

rnn = wp.models.linear_rnn()
amp = wp.models.amp(1)
'''
TOML = """
name = "declared"
symbols = { alpha = {} }
matrices = { W = { variance = "nu_W" } }
input_maps = { F = { variance = "nu_F" } }
readouts = { C = { variance = "nu_C" } }
states = { h = { initial = "nu_h", shared = true } }
updates = { h = "alpha * W @ h + F @ x" }
output = "C @ h"
"""
NU = ("--nu-W", "0.3", "--nu-F", "1", "--nu-C", "1")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with a user's files, where the user stands."""
    (tmp_path / "my_rnn.py").write_text(MINE)
    (tmp_path / "m.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def unverified(monkeypatch):
    """Proofs are believed: each of their steps is tested in tests/derive."""
    monkeypatch.setattr(Proof, "verify", lambda self: None)


def run(*words, code=0):
    result = CliRunner().invoke(app, list(words), prog_name="wideproof", env={"COLUMNS": "200"})
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


@pytest.mark.parametrize("model", ["./my_rnn.py:rnn", "my_rnn:rnn", "linear-rnn"])
def test_a_file_a_module_and_the_gallery_give_the_same_numbers(model):
    made = run("eval", model, "scale-factors", *NU, "--lags", "2", "--json")
    assert json.loads(made.stdout) == {"values": [2.0, 1.6]}
    assert ("my own words" in made.stderr) is (model != "linear-rnn")


def test_every_verb_takes_a_file(folder, monkeypatch):
    assert "nngp of declared" in run("derive", "m.toml", "nngp").stdout
    assert "horizon" in run("memory", "my_rnn.py:rnn", "--nu-W", "0.81").stdout
    run("certify", "my_rnn.py:rnn", "scale-factors", "-o", "made", code=0 if _has_coqc() else 3)
    assert [path.name for path in (folder / "made").iterdir()] == ["linear-rnn-scale-factors.v"]
    at = ("--alpha", "0.5", "--nu-h", "1")
    found = run("validate", "m.toml", "--width", "32", "--trials", "20", *at, "--json", code=3)
    assert json.loads(found.stdout)["verdict"] == "undecided"
    made = json.loads(run("derive", "my_rnn.py:amp", "corrections", "--json").stdout)
    assert made["derivations"][0]["quantity"] == "corrections"
    assert "Recursion" in run("memory", "my_rnn.py:amp", code=2).stderr
    seen = []
    monkeypatch.setattr(
        report_module, "report", lambda model, folder, **_: seen.append(model) or Report("holds", (), ())
    )
    run("report", "m.toml", "-o", "report", "--data", "none")
    run("report", "my_rnn.py:amp", "-o", "report", "--data", "none")
    assert [model.name for model in seen] == ["declared", "amp"]


def _has_coqc():
    from shutil import which

    return which("coqc") is not None


def test_arguments_of_a_function_are_options_read_as_their_defaults():
    words = ("--layers", "120", "--leak", "0.25", "--bias", "false", "--gain", "3/10", "--hidden-size=-7")
    assert "nngp of mine 120 0-25 False 3-10 -7" in run("derive", "my_rnn.py:make", "nngp", *words).stdout
    assert "tanh" in run("derive", "my_rnn.py:needs", "nngp", "--layers", "2", "--name", "tanh").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("my_rnn.py:make", "--layers", "1.5"), "--layers: expected a whole number"),
        (("my_rnn.py:make", "--layers", "9" * 5000), "--layers: expected a whole number"),
        (("my_rnn.py:make", "--leak", "much"), "--leak: expected a finite number"),
        (("my_rnn.py:make", "--bias", "no"), "--bias: expected true or false"),
        (("my_rnn.py:make", "--gain", "1e999999999"), "--gain: expected a fraction"),
        (("my_rnn.py:make", "--gain", "1/0"), "--gain: expected a fraction"),
        (("my_rnn.py:make", "--shape", "3"), "--shape"),
        (("my_rnn.py:make", "--layer", "3"), "Did you mean --layers?"),
        (("elman", "--activaton", "relu"), "Did you mean --activation?"),
        (("my_rnn.py:needs", "--layers", "2"), "the options name"),
        (("my_rnn.py:clashing",), "--json"),
        (("my_rnn.py:looks_alike",), "symbols of other names than its options, got --nu-W"),
        (("my_rnn.py:rnm",), "Did you mean rnn?"),
        (("my_rnn.py",), "2 of them are models"),
        (("no_such.py:rnn",), "nothing there"),
        (("no_such:rnn",), "no module no_such"),
        (("\x1b[31m.py:rnn",), "\\x1b[31m.py"),
        (("\x1b]0;title\x07.toml",), "\\x1b]0;title\\x07.toml"),
        (("x\ny.toml",), "x\\ny.toml"),
        (("elmann.txt",), "FILE.py:NAME or FILE.toml"),
    ],
)
def test_a_mistake_is_told_and_nothing_raw_reaches_the_terminal(words, said):
    err = run("derive", words[0], "nngp", *words[1:], code=2).stderr
    assert said in err
    assert all(line.isprintable() for line in err.splitlines())
    assert "Traceback" not in err


def test_an_error_in_the_users_code_shows_the_users_line_and_no_other():
    err = run("derive", "my_rnn.py:broken", "nngp", code=2).stderr.splitlines()
    number = MINE.splitlines().index("    return undefined_name") + 1
    assert err[-2].startswith(f"error in my_rnn.py:broken, line {number}: expected Python that runs, got NameError")
    assert "return undefined_name" in "\n".join(err)
    assert sum("File" in line for line in err) == 1


def test_an_error_in_a_toml_file_shows_no_raw_byte(folder):
    (folder / "m.toml").write_text(TOML.replace("W @ h", "W @ \x9b"), encoding="utf-8")
    err = run("derive", "m.toml", code=2).stderr
    assert all(line.isprintable() for line in err.splitlines())
    assert "updates.h" in err


# ---- help and completion ------------------------------------------------------------------------
def test_help_lists_the_options_and_the_symbols_of_a_model():
    text = " ".join(run("eval", "./my_rnn.py:make", "ntk", "--help").stdout.replace("│", " ").split())
    for words in (
        "--activation TEXT tanh if left out", "--layers INTEGER 1 if left out", "--hidden-size INTEGER",
        "--bias true|false True if left out", "--nu-W NUMBER variance of W", "--mu-b NUMBER mean of b",
    ):  # fmt: skip
        assert words in text
    text = " ".join(run("validate", "m.toml", "-h").stdout.replace("│", " ").split())
    assert "--alpha NUMBER a coefficient" in text
    assert "--nu-h NUMBER variance of the start of h" in text
    assert "--nu-b" not in run("eval", "my_rnn.py:make", "ntk", "--bias", "false", "--help").stdout
    assert "--layers INTEGER required" in " ".join(run("eval", "my_rnn.py:needs", "--help").stdout.split())
    assert "--theta-0" in run("eval", "amp", "--help").stdout


def test_help_stays_help_where_the_model_is_broken():
    for words in (("my_rnn.py:broken",), ("no_such.toml",), ("transformer",), ()):
        result = run("eval", *words, "--help")
        assert "--lags" in result.stdout
        assert ("error in" in result.stderr) is (words in (("my_rnn.py:broken",), ("no_such.toml",)))


def complete(words, last):
    more = {"_WIDEPROOF_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(last)}
    code = "from wideproof.reports.cli.app import app; app(prog_name='wideproof')"
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | more, capture_output=True, text=True)
    return done.stdout.split()


def test_the_shell_completes_files_options_and_symbols_and_runs_no_file(folder):
    (folder / "my_rnn.py").write_text("open('RUN', 'w').close()\n" + MINE)
    assert complete("wideproof derive m", 2) == ["mgu", "m.toml", "my_rnn.py"]
    assert complete("wideproof eval m.toml ntk --nu", 4) == ["--nu-C", "--nu-F", "--nu-W", "--nu-h"]
    assert complete("wideproof eval my_rnn.py:make ntk --nu", 4) == []
    assert "--readout" in complete("wideproof eval my_rnn.py:make ntk --", 4)
    assert complete("wideproof eval elman ntk --act", 4) == ["--activation"]
    assert not (folder / "RUN").exists()
    run("eval", "my_rnn.py:make", "--help")
    assert (folder / "RUN").exists()  # the check can fail: help does run the file


# ---- the page -----------------------------------------------------------------------------------
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "models.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("line", [line for block in blocks("sh") for line in block.splitlines()])
def test_a_line_of_the_page_runs_on_the_files_of_the_page(line, folder, unverified):
    (folder / "my_rnn.py").write_text(blocks("python")[0], encoding="utf-8")
    (folder / "two-gain.toml").write_text(blocks("toml")[0], encoding="utf-8")
    np.save(folder / "sequences.npy", np.ones((2, 3, 1)))
    program, verb, *words = line.split()
    assert program == "wideproof"
    run(verb, *words, *(["--help"] if verb == "validate" else []))


def test_the_page_states_the_limits_as_they_are():
    for words in (
        f"at most {toml_form.BYTES // 1024} kB, {toml_form.NAMED} declared names, {toml_form.STATES} states",
        f"{LONGEST} characters, {DEEPEST} brackets",
        f"{NODES}\noperations and {TERMS} terms",
        *(f"`{table}`" for table in toml_form.KEYS[1:]),
    ):
        assert words in PAGE, words
