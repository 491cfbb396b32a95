"""The certificate beside a theorem: the file, the verdict where coqc is present, and the reason where there is none."""

from __future__ import annotations

import shutil

import pytest

from wideproof.derive import models, realization, stability
from wideproof.reports.paper import certificates
from wideproof.reports.paper.certificates import certified, unasked

coqc = pytest.mark.skipif(shutil.which("coqc") is None, reason="coqc is not installed: the file cannot be checked")


@coqc
def test_a_theorem_names_its_file_and_what_coqc_says(tmp_path):
    derivation = realization([1, 2])
    told = str(certified(tmp_path / "certificates", {"prop-21b": derivation.proof}, asked=True))
    assert "certificates/prop-21b.v" in told
    assert "coqc accepts it" in told
    assert (tmp_path / "certificates" / "prop-21b.v").read_text(encoding="utf-8") == derivation.proof.coq()


def test_without_coqc_the_file_is_there_and_not_checked(tmp_path, monkeypatch):
    monkeypatch.setattr(certificates.shutil, "which", lambda name: None)
    told = str(certified(tmp_path, {"prop-21b": realization([1, 2]).proof}, asked=True))
    assert "coqc accepts" not in told
    assert "coqc was not found" in unasked(quick=False)
    assert (tmp_path / "prop-21b.v").exists()


def test_what_is_not_covered_says_why(tmp_path):
    told = str(certified(tmp_path, {"stability": stability(models.leaky("identity")).proof}, asked=True))
    assert "has no certificate" in told
    assert "not covered yet" in told
    assert list(tmp_path.iterdir()) == []
