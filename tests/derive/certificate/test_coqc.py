"""The check by coqc: verdicts, what they rest on, and what a user without coqc is told."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from sympy import Rational

from wideproof.derive import models, moments
from wideproof.derive.certificate.certificate import Certificate, certify
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
def test_a_script_that_fails_is_undecided_and_its_lemma_named():
    for statement, script in (("1 <= a + a", "lra"), ("0 <= a * a", "ring")):  # a false claim, and a true one
        found = check(certificate(statement, script))
        assert found.verdict == "undecided"
        assert found.reason.startswith("twice: ")
        assert "no numbers against it" in found.reason


@coqc
def test_a_lemma_is_refuted_where_the_audit_has_numbers_against_it():
    proof = moments(models.linear_rnn(), lag=1).proof
    index = len(proof.steps) - 1
    claim = replace(proof.goal, right=proof.goal.right * Rational(1001, 1000))
    wrong = replace(proof, goal=claim, steps=(*proof.steps[:-1], replace(proof.steps[index], claim=claim)))
    found = check(certify(wrong))
    assert found.verdict == "refuted"
    assert "So does the audit: " in found.reason


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
