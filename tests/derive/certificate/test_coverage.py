"""The table of what certificates cover: each row has a certificate, and what is believed is cited."""

from __future__ import annotations

from functools import partial

import pytest

from wideproof.derive import models
from wideproof.derive.certificate.certificate import certify
from wideproof.derive.certificate.coverage import COVERED, UNCOVERED, believed
from wideproof.derive.language.errors import NotCertified, NotClosed, NotLinear
from wideproof.derive.proof.rules import Rule
from wideproof.derive.referee.quantities import quantity_named


@pytest.mark.parametrize("row", COVERED, ids=lambda row: f"{row.model}-{row.quantity}")
def test_each_row_has_a_certificate_whose_goal_is_its_last_theorem(row):
    made = row.certificate()
    theorems = [lemma for _, lemma in made.lemmas if lemma.word == "Theorem"]
    assert [lemma.name for lemma in theorems] == [made.goal]
    assert made.lemmas[-1][1].script


@pytest.mark.parametrize("row", UNCOVERED, ids=lambda row: row.what)
def test_what_is_listed_as_not_covered_is_refused_by_name(row):
    proof = row.make().proof
    with pytest.raises(NotCertified):
        certify(proof)


def test_every_cited_rule_that_is_covered_says_what_is_believed():
    cited = {name for name, rule in Rule.registry.items() if rule.status == "cited"}
    covered = {step.rule for row in COVERED[:8] for step in row.proof().steps} & cited
    assert covered - {"lemma-c1", "tensor-programs"} <= set(believed())


KERNELS, CARRIED = {"nngp", "state-evolution"}, {"stability", "memory"}
ALL = KERNELS | {"adjoint"}
GALLERY = {
    models.linear_rnn: set(),
    models.deep_linear: {"stability"},
    models.feed_forward: set(),
    models.elman: set(),
    models.stacked: {"memory"},
    models.leaky: KERNELS,
    models.residual: KERNELS,
    partial(models.leaky, "identity"): CARRIED,
    partial(models.residual, "identity"): CARRIED,
    models.bidirectional: ALL | {"memory"},
    models.mgu: ALL,
    models.gru: ALL,
    models.lstm: ALL,
}
"""What of each model no certificate covers; every kind stands in UNCOVERED."""


@pytest.mark.parametrize("make", GALLERY, ids=lambda make: getattr(make, "__name__", None) or make.func.__name__)
def test_through_the_gallery_what_is_not_exported_is_what_is_said(make):
    refused = set()
    for quantity in ("nngp", "state-evolution", "adjoint", "stability", "memory"):
        try:
            proof = quantity_named(quantity)(make()).proof
        except (NotClosed, NotLinear):
            continue
        try:
            certify(proof)
        except NotCertified:
            refused.add(quantity)
    assert refused == GALLERY[make]
