"""The check by coqc: verdicts, what they rest on, and what a user without coqc is told."""

from __future__ import annotations

import shutil

import pytest

from wideproof.derive.certificate.certificate import Certificate
from wideproof.derive.certificate.coqc import INSTALL, check
from wideproof.derive.certificate.lemmas import Lemma

coqc = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed: the file cannot be checked")


def certificate(statement, script="lra"):
    lemma = Lemma("twice", statement, f"{script}.", "Theorem")
    return Certificate("a sum", "Variable a : R. Hypothesis sign : 0 <= a.", (("", lemma),), "twice")


@coqc
def test_a_true_lemma_holds_with_what_it_rests_on():
    found = check(certificate("0 <= a + a"))
    assert (found.verdict, found.lemmas) == ("holds", 1)
    assert set(found.assumed) == {"a", "sign"}
    assert "ClassicalDedekindReals.sig_forall_dec" in found.axioms


@coqc
def test_a_false_lemma_is_refuted_by_name():
    found = check(certificate("1 <= a + a"))
    assert found.verdict == "refuted"
    assert found.reason.startswith("twice: ")


@coqc
def test_a_slow_check_is_undecided():
    found = check(certificate("0 <= a + a"), seconds=0.01)
    assert found.verdict == "undecided"
    assert "0.01 s" in found.reason


def test_without_coqc_the_check_is_undecided_and_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    found = check(certificate("0 <= a + a"))
    assert found.verdict == "undecided"
    assert INSTALL in found.reason
