"""CONTRIBUTING.md keeps its word: an activation, a model, a quantity of each kind of programs, in one or two files."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODEL = '''
def doubled(activation: str = "arctan") -> Recursion:
    """The recursion h_t = phi((W + V) h_{t-1} + F x_t) of two matrices."""
    rnn = Recursion("doubled")
    W, V = rnn.matrix("W", variance="nu_W"), rnn.matrix("V", variance="nu_V")
    F, C = rnn.input_map("F", variance="nu_F"), rnn.readout("C", variance="nu_C")
    h = rnn.state("h")
    rnn.update(h, named(activation)(W @ h + V @ h + F @ rnn.x))
    rnn.output(C @ h)
    return rnn


def residual('''
QUANTITY = '''"""The first scale factor."""

from __future__ import annotations

from typing import Any

from wideproof.derive.emit.derivation import Derivation, quantity, reads
from wideproof.derive.language.notation import j
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.convolution import Rho, scale_factors
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule


@quantity
def first_scale_factor(recursion: Recursion | Program) -> Derivation:
    """The scale factor of lag 0."""
    return Derivation("first-scale-factor", prove(scale_factors(recursion).program, "first-lag", Rho(0)))


reads("first-scale-factor")


@rule("first-lag", source="the closed form at lag 0", rank=295, says="at lag 0,")
def first_lag(subject: Any, ask: Ask) -> Claim:
    """The closed form at lag 0."""
    return Equation(subject, ask.equation("scale-factors", Rho(j)).right.subs(j, 0))
'''
LINE_QUANTITY = '''"""The first coefficient of an alternating program."""

from __future__ import annotations

from typing import Any

from wideproof.derive.alternating.terms import Coefficient
from wideproof.derive.emit.derivation import Derivation, of_kind, quantity_of, reads
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule


@quantity_of(AlternatingProgram)
def first_coefficient(alternating: Alternating | AlternatingProgram) -> Derivation:
    """The coefficient of the first line in the second."""
    return Derivation("first-coefficient", prove(of_kind(alternating, AlternatingProgram), "first", Coefficient(1, 0)))


reads("first-coefficient", of=AlternatingProgram)


@rule("first", source="the correction", rank=935, says="first,")
def first(subject: Coefficient, ask: Ask) -> Claim:
    """The correction of two lines."""
    return ask.equation("correction", subject)
'''
USE = """
import json
from pathlib import Path
import numpy as np
from typer.testing import CliRunner
import wideproof as wp
from wideproof.derive.language.activations import is_lipschitz
from wideproof.reports.cli.app import app

run = lambda *words: CliRunner().invoke(app, list(words))
asked = lambda words: {"_WIDEPROOF_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
completed = lambda words: CliRunner().invoke(app, [], env=asked(words), prog_name="wideproof").output.split()
X = np.ones((1, 2, 1))
nu = {"nu_W": 0.5, "nu_V": 0.2, "nu_F": 1.0, "nu_C": 1.0}
by_name = wp.Kernel(wp.models.doubled(), **nu).ntk(X)
own = wp.define("mine", "atan(z)")
Path("mine.toml").write_text(
    'name = "mine"\\nmatrices = { W = { variance = "nu_W" } }\\ninput_maps = { F = { variance = "nu_F" } }\\n'
    'readouts = { C = { variance = "nu_C" } }\\nstates = { h = {} }\\nupdates = { h = "arctan(W @ h + F @ x)" }\\n'
    'output = "C @ h"\\n'
)
values = ("--nu-W", "0.5", "--nu-F", "2", "--nu-C", "3")
of_amp = ("--delta", "0.5", "--epsilon", "0.1", "--nu-w", "0.01", "--theta-0", "0.5", "--theta-1", "0.5")
print(json.dumps({
    "public": [name in wp.__all__ and getattr(wp, name) is not None for name in (
        "arctan", "first_scale_factor", "first_coefficient")],
    "lipschitz": is_lipschitz("arctan"),
    "differ": float(abs(by_name - wp.Kernel(wp.models.doubled("mine"), **nu).ntk(X)).max()),
    "models": "doubled" in run("models").output,
    "completed": [completed("wideproof derive doub"), completed("wideproof derive linear-rnn first")],
    "toml": run("derive", "mine.toml", "nngp").exit_code,
    "help": run("derive", "doubled", "--help").output,
    "derived": run("derive", "linear-rnn", "first-scale-factor", "--proof").output,
    "value": json.loads(run("eval", "linear-rnn", "first-scale-factor", "--json", *values).output),
    "line": json.loads(run("eval", "amp", "first-coefficient", "--json", *of_amp).output),
    "called": float(wp.first_coefficient(wp.models.amp()).formula.expr),
    "lines": [run("derive", model, "first-coefficient").exit_code for model in ("amp", "linear-rnn")],
    "check": [run("check", "linear-rnn", "first-scale-factor", formula).exit_code for formula in (
        "nu_C + nu_F", "nu_C + 1001/1000*nu_F")],
}))
"""


def added(folder):
    """A copy of the package with an activation, a model and a quantity more, and what a session with it prints."""
    for room in ("derive", "numeric", "reports", "templates", "wideproof"):
        shutil.copytree(ROOT / room, folder / room, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    edits = {
        "derive/language/activations.py": ("\nNAMES = ", '\narctan = _named("arctan", sp.atan(Z))\nNAMES = '),
        "derive/models.py": ("\ndef residual(", MODEL),
        "derive/__init__.pyi": ("    cos as cos,\n", "    arctan as arctan,\n    cos as cos,\n"),
    }
    for name, (place, text) in edits.items():
        written = (folder / name).read_text(encoding="utf-8")
        assert written.count(place) == 1
        (folder / name).write_text(written.replace(place, text), encoding="utf-8")
    with (folder / "derive/__init__.pyi").open("a", encoding="utf-8") as stub:
        stub.write("from .linear.first_lag import first_scale_factor as first_scale_factor\n")
        stub.write("from .alternating.first_coefficient import first_coefficient as first_coefficient\n")
    (folder / "derive/linear/first_lag.py").write_text(QUANTITY, encoding="utf-8")
    (folder / "derive/alternating/first_coefficient.py").write_text(LINE_QUANTITY, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run([sys.executable, "-c", USE], cwd=folder, env=environment, capture_output=True, text=True)


def test_an_activation_a_model_and_a_quantity_that_are_added_work_everywhere(tmp_path):
    done = added(tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["public"] == [True, True, True]
    assert found["lipschitz"]
    assert found["differ"] < 1e-13
    assert found["models"]
    assert found["completed"] == [["doubled"], ["first-scale-factor", "first-coefficient"]]
    assert found["toml"] == 0
    assert "--nu-V" in found["help"]
    assert "first-scale-factor" in found["help"]
    assert "first-lag" in found["derived"]
    assert found["value"] == {"values": [5.0]}
    assert found["line"] == {"values": [1.0], "names": ["first_coefficient"]}
    assert found["called"] == 1.0
    assert found["lines"] == [0, 2]
    assert found["check"] == [0, 1]
