"""The verb `certify`: the file, the verdict as an exit code, and what is believed."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.command_line import CliRunner
from wideproof.derive import impulse_response, models
from wideproof.derive.certificate.coqc import INSTALL
from wideproof.reports.cli.app import app
from wideproof.reports.cli.certify import _is_theorem

coqc = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed: the file cannot be checked")
WORDS = ("certify", "linear-rnn", "scale-factors")


def run(*words, code=0):
    result = CliRunner().invoke(app, list(words), prog_name="wideproof")
    assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
    return result


@coqc
def test_a_certificate_holds_and_prints_its_axioms(tmp_path):
    told = run("certify", "linear-rnn", "impulse-response", "-o", str(tmp_path)).stdout
    assert "holds" in told
    assert "emami2021implicit_lemma_C1" in told
    text = (tmp_path / "linear-rnn-impulse-response.v").read_text(encoding="utf-8")
    assert text == impulse_response(models.linear_rnn()).proof.coq()


def test_the_theorems_that_are_printed_as_believed_are_all_that_are_cited():
    cited = "emami2021implicit_lemma_C1", "isserlis1918formula", "price1958useful", "stein1981estimation_twice"
    assert all(map(_is_theorem, (*cited, "dual_activation", "dual_activation_")))
    assert not any(map(_is_theorem, ("E_plus", "nu_W", "h_definition", "unit_impulses")))


def test_without_coqc_the_file_is_written_and_the_verdict_is_undecided(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = json.loads(run(*WORDS, "-o", str(tmp_path / "made"), "--json", code=3).stdout)
    assert found["verdict"] == "undecided"
    assert INSTALL in found["certificates"][0]["reason"]
    assert (tmp_path / "made" / "linear-rnn-scale-factors.v").exists()


def test_what_is_not_covered_is_refused_by_the_name_of_its_step(tmp_path):
    told = run("certify", "deep-linear", "stability", "-o", str(tmp_path), code=2).stderr
    assert "variance-profile" in told


def test_a_quantity_is_needed(tmp_path):
    assert "QUANTITY" in run("certify", "linear-rnn", "-o", str(tmp_path), code=2).stderr
