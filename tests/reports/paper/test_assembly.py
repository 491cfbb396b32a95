"""The paper item by item: complete, judged, told once, and refuted where it should be."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from tests.command_line import CliRunner
from wideproof.derive import ProofError, equivalent_convolution, scale_factor_bound, scale_factors
from wideproof.derive.latex.text import plain
from wideproof.numeric.validation.convergence import gaussian_distance
from wideproof.reports.cli.app import app
from wideproof.reports.paper import ITEMS, reproduce
from wideproof.reports.paper.assembly import document
from wideproof.reports.paper.item import Context, PaperClaim, theorem, verified, worst
from wideproof.reports.paper.width_gaps import at_most, exact, rate
from wideproof.reports.render.render import render
from wideproof.reports.write.prose import Known

WANTED = [
    "prop-2.1a",
    "prop-2.1b",
    "prop-3.1",
    "thm-3.2",
    "thm-3.3a",
    "thm-3.3b",
    "eq-22",
    "thm-4.1",
    "lemma-b.1",
    "lemma-c.1",
    "fig1",
    "fig2",
    "fig3",
    "fig4",
    "table1",
    "E1",
    "E2",
    "E3",
    "E4",
    "E5",
    "E6",
    "E7",
    "E8",
    "E9",
    "E10",
    "E11",
    "E12",
]
CHEAP = ["prop-2.1a", "prop-2.1b", "thm-3.2", "eq-22", "lemma-b.1", "E8", "E10"]


@contextmanager
def silent(name):
    yield lambda done, total: None


@pytest.fixture
def context(tmp_path):
    return Context(silent, tmp_path / "figures", quick=True)


def test_every_item_of_the_paper_is_there():
    assert set(WANTED) == set(ITEMS)


def test_cheap_items_hold_and_make_one_document(context, tmp_path):
    context.changes = {"widest": "256", "trials": "3000"}  # of lemma B.1
    made = reproduce(CHEAP, context)
    assert [item.name for item, _ in made.made] == CHEAP
    assert made.verdict == "holds"
    assert {claim["item"] for claim in made.claims()} == set(CHEAP)
    done = render(document(made), tmp_path, "typst")
    source = done.tex.read_text()
    assert "sec:eq-22" in source
    assert "??" not in source
    opened, *_, ended, _ = document(made).sections
    assert (opened.title, ended.title) == ("Introduction", "Conclusion")
    assert plain(opened.body[0].text).count(". ") == 4  # five sentences
    assert source.count("auditor that shares no rule") == 1
    assert "Together: holds" in source
    (item, result), *rest = made.made
    wrong = replace(made, made=((item, replace(result, claims=(PaperClaim("x", "refuted"),))), *rest))
    assert "sec:prop-2-1a" in plain(document(wrong).sections[-2].body[0].text)
    assert "Together: refuted" in plain(document(wrong).abstract)


def test_a_proof_told_before_is_not_told_again(context):
    first, second = equivalent_convolution(context.rnn), scale_factor_bound(context.rnn, "paper")
    alone = theorem(replace(context, known=Known()), "two", "", second, "")
    theorem(context, "one", "", first, "")
    after = theorem(context, "two", "", second, "")
    assert "are those of a proof above" in str(after)
    assert len(str(after)) < 0.5 * len(str(alone))


def test_verdicts_join():
    assert worst(["holds", "refuted", "undecided"]) == "refuted"
    assert worst(["holds", "undecided"]) == "undecided"
    assert worst([]) == "undecided"
    assert worst(["holds"]) == "holds"


def test_a_rate_is_refuted_where_the_slope_is_off():
    assert rate("", -0.5, 0.01).verdict == "holds"
    assert rate("", -0.45, 0.01).verdict == "refuted"
    assert rate("", -0.5, 0.4).verdict == "undecided"
    assert rate("", -0.5, 0.05).verdict == "undecided"  # an error of 0.1 would not be seen


def test_a_bound_on_a_rate_is_tested_from_both_sides():
    assert at_most("", -0.9, 0.1, -0.5).verdict == "holds"
    assert at_most("", -0.1, 0.1, -0.5).verdict == "refuted"
    assert at_most("", -0.5, 0.1, -0.5).verdict == "undecided"


def test_exactness_sees_a_thousandth():
    assert exact("", 1e-12).verdict == "holds"
    assert exact("", 1e-3).verdict == "refuted"


def test_an_altered_proof_is_not_called_verified(context):
    derivation = scale_factors(context.rnn)
    proof = replace(derivation.proof, steps=derivation.proof.steps[:-1])
    with pytest.raises(ProofError):
        verified("", replace(derivation, proof=proof))


def test_reproduce_prints_one_json_document(tmp_path):
    done = CliRunner().invoke(app, ["reproduce", "E8", "--quick", "--json", "-o", str(tmp_path)])
    assert done.exit_code == 0
    data = json.loads(done.stdout)
    assert {"item", "section", "verdict", "stderr"} <= set(data["claims"][0])
    assert json.loads((tmp_path / "run.json").read_text())["claims"]


def test_a_refuted_claim_exits_1(monkeypatch, tmp_path):
    made = ITEMS["E8"]
    wrong = replace(made, make=lambda c: replace(made.make(c), claims=(PaperClaim("x", "refuted"),)))
    monkeypatch.setitem(ITEMS, "E8", wrong)
    done = CliRunner().invoke(app, ["reproduce", "E8", "--json", "-o", str(tmp_path)])
    assert done.exit_code == 1


def test_an_unknown_item_names_the_known_ones():
    done = CliRunner().invoke(app, ["reproduce", "E13"])
    assert done.exit_code == 2
    assert "thm-4.1" in done.stderr


def test_the_distance_of_gaussians():
    a, b = np.diag([1.0, 4.0]), np.diag([4.0, 1.0])
    assert gaussian_distance(a, b) == pytest.approx(2**0.5)
    assert gaussian_distance(a, a) == pytest.approx(0, abs=1e-7)
