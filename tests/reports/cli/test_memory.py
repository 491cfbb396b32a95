"""The verb `memory`: tables, JSON, the figure, verdicts and errors; and the phase diagram's two files."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest

from tests.command_line import CliRunner
from wideproof.derive import Proof, memory, models
from wideproof.numeric.memory_horizon.phase_diagram import phase_diagram
from wideproof.reports.cli.app import app
from wideproof.reports.write.phase_figure import phase_figure
from wideproof.reports.write.picture import save

RELU = ("memory", "elman", "--activation", "relu", "--nu-b", "0.1")


@pytest.fixture(autouse=True)
def believed(monkeypatch):
    """Proofs are believed: each of their steps is tested in tests/derive."""
    monkeypatch.setattr(Proof, "verify", lambda self: None)


def run(*words, code=0):
    result = CliRunner().invoke(app, list(words), prog_name="wideproof")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


def test_json_holds_formulas_fixed_points_and_the_critical_variance():
    found = json.loads(run(*RELU, "--nu-W", "1.2", "--json").stdout)
    assert found["formulas"]["chi"]["formula"] == "nu_W/2"
    (point,) = found["settings"][0]["points"]
    assert point["q"]["h"] == pytest.approx(0.125)
    assert point["horizon"] == pytest.approx(-1 / math.log(0.6))
    assert "tied" in found["reading"]


def test_without_nu_W_it_is_varied_around_the_critical_one():
    result = run("memory", "elman", "--activation", "erf", "--nu-b", "0", "--X", "0")
    for word in ("ordered", "critical", "chaotic", "infinite", "0.785398", "replayed and audited"):
        assert word in result.stdout
    diverges = run(*RELU, "--nu-W", "2.5")
    assert "diverges" in diverges.stdout


def test_the_untied_reading_has_the_same_formulas():
    tied, untied = (json.loads(run(*RELU, "--nu-W", "1", "--json", *more).stdout) for more in ((), ("--untied",)))
    assert tied["settings"] == untied["settings"]


def test_the_check_exits_with_its_verdict():
    words = (*RELU, "--nu-W", "1.2", "--nu-F", "1", "--check", "--seed", "2")
    run(*words, "--width", "512", "--trials", "400")
    undecided = run(*words, "--width", "64", "--trials", "20", code=3)
    assert "undecided" in undecided.stdout


@pytest.mark.parametrize(("words", "said"), [
    (("memory", "leaky", "--nu-W", "1"), "carries itself over"), (("memory", "elman"), "no --nu-b"),
    (("memory", "gru"), "gate"), (("memory", "nothing"), "wideproof models"),
    (("memory", "linear-rnn", "--activation", "tanh"), "got --activation"),
    ((*RELU, "--nu-W"), "a finite number"), ((*RELU, "--nu-W", "-1"), "nu_W: expected a finite number >= 0, got -1"),
    ((*RELU, "--check"), "no --nu-W"), ((*RELU, "--mu", "1"), "got --mu"),
])  # fmt: skip
def test_errors_say_what_to_do(words, said):
    result = run(*words, code=2)
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_the_figure_is_written_in_both_formats_and_holds_line_and_phases(tmp_path):
    run(*RELU, "--nu-W", "1", "--figure", str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["phase.csv", "phase.pdf", "phase.svg"]
    diagram = phase_diagram(memory(models.elman("erf")), np.linspace(0.2, 3, 20), np.linspace(0, 0.3, 12))
    drawn = [phase_figure(diagram) for _ in range(2)]
    axes = drawn[0].axes[0]
    assert {text.get_text() for text in axes.texts} == {"ordered", "chaotic"}
    assert axes.lines[0].get_xydata() == pytest.approx(diagram.line.T)
    a, b = (save(figure, tmp_path / str(i), "phase").with_suffix(".svg") for i, figure in enumerate(drawn))
    assert a.read_bytes() == b.read_bytes()


def test_a_missing_number_is_told_with_the_option_that_gives_it():
    done = run("memory", "residual", "--untied", code=2)
    assert "no --nu-b" in done.stderr
    assert "For example --nu-b 0.3." in done.stderr


def test_certified_prints_bounds_and_estimates_are_called_so():
    result = run(*RELU, "--nu-W", "1.25", "--certified")
    assert "estimates" in result.stdout
    assert re.search(r"proved: 0\.62\d+ <= chi <= 0\.62\d+$", result.stdout, re.MULTILINE)
    found = json.loads(run(*RELU, "--nu-W", "1.25", "--certified", "--json").stdout)
    (point,) = found["enclosures"][0]["points"]
    assert found["settings"][0]["errors"] == "estimates"
    assert point["horizon"]["lower"] <= -1 / math.log(0.625) * (1 + 1e-15)
    assert point["horizon"]["upper"] >= -1 / math.log(0.625) * (1 - 1e-15)
    assert json.loads(run(*RELU, "--nu-W", "1.25", "--json").stdout)["enclosures"] is None
    critical = run(*RELU[:3], "tanh", "--nu-b", "0", "--nu-W", "1", "--certified")
    assert "no bounds: enclosure of memory(elman): expected a slope on one side of 1" in critical.stdout.replace(
        "\n", " "
    )
