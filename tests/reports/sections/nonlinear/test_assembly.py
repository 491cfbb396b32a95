"""The report of any recursion: its parts, its numbers, and what it says where something does not exist."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from wideproof.derive import Proof, models
from wideproof.derive.latex.text import Math, Ref, plain
from wideproof.reports.document import blocks as doc
from wideproof.reports.document.numbers import value
from wideproof.reports.render.latex_subset import lint_tex
from wideproof.reports.render.typeset import typeset
from wideproof.reports.sections import report as report_module
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Making, ReportRun
from wideproof.reports.sections.nonlinear import assembly, confirmation, memory, training
from wideproof.reports.sections.nonlinear.confirmation import curves, distance
from wideproof.reports.sections.nonlinear.limit import gradient, gradients, limits
from wideproof.reports.sections.nonlinear.memory import Remembered, remembered
from wideproof.reports.sections.nonlinear.run import nngp, ntk
from wideproof.reports.sections.nonlinear.tied import comparison, tied
from wideproof.reports.sections.nonlinear.training import descents
from wideproof.reports.sections.report import document, made as make, report
from wideproof.reports.sections.section import Draft

NU = {"nu_W": 0.6, "nu_b": 0.2}
VERIFIED = []  # goals of the proofs that the run sent to be verified; tests/derive verifies them


@pytest.fixture(scope="module", autouse=True)
def coarse():
    """A phase diagram of few cells."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "CELLS", (6, 4))
        yield


@pytest.fixture(scope="module")
def small():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(confirmation, "DISTANCE_WIDTHS", (32, 64, 128))
        patch.setattr(training, "TRAINED_WIDTHS", (32, 64, 128))
        patch.setattr(confirmation, "CURVE_WIDTH", 128)
        patch.setattr(confirmation, "CURVE_TRIALS", 60)
        patch.setattr(Proof, "verify", lambda self: VERIFIED.append(self.goal))
        yield make(models.elman("erf"), seed=3, width=256, trials=150, **NU)


@pytest.fixture(scope="module")
def made(small, tmp_path_factory):
    """The document of the small run, and the folder of its figures."""
    folder = tmp_path_factory.mktemp("report")
    return document(small, folder), folder


def sections(made):
    return [node for node in doc.walk(made) if isinstance(node, doc.Section)]


def said(node):
    return " ".join(plain(x.text) for x in doc.walk(node) if isinstance(x, doc.Paragraph))


def test_every_part_is_there_and_typesets(made):
    made, folder = made
    assert [section.label for section in sections(made)] == [
        f"sec:{name}" for name in ("introduction", "model", "limit", "gradients", "confirmation", "untied", "memory",
                                   "training", "conclusion", "provenance")
    ]  # fmt: skip
    assert {node.label for node in doc.walk(made) if isinstance(node, doc.Theorem)} == {
        "thm:nngp", "thm:ntk", "thm:adjoint", "thm:memory"
    }  # fmt: skip
    stems = {figure.stem.name for figure in doc.figures(made)}
    assert stems == {"correlation", "kernel-error", "tied", "phase", "training"}
    assert all((folder / "figures" / f"{stem}.pdf").exists() for stem in stems)
    labels = doc.labels(made)
    assert all(node.label in labels for node in doc.walk(made) if isinstance(node, Ref))
    lint_tex(typeset(made))


def test_every_proof_of_the_report_is_verified(small):
    maps = small[remembered].maps
    for derivation in (small[nngp], small[ntk], small[gradient], maps, *maps.parts.values()):
        assert derivation.proof.goal in VERIFIED


def test_the_numbers_of_the_tables_are_those_of_the_checks(small, made):
    tables = {node.label: node for node in doc.walk(made[0]) if isinstance(node, doc.Table)}
    steps = small[validation].measurements.plan.horizon
    assert len(tables["tab:kernels"].rows) == 2 * steps
    first = next(c for c in small[validation].checks if c.quantity == "nngp" and c.lag == (0, 0, 0, 0))
    assert f"{first.prediction:.4g}" in str(tables["tab:kernels"].rows[0][2].body)
    assert sum(int(row[1]) for row in tables["tab:verdicts"].rows) == len(small[validation].checks)
    text = said(sections(made[0])[-1])
    assert "seed is 3" in text


def test_the_untied_limit_is_refuted_between_times_and_the_tied_one_is_not(small, undrawn, tmp_path):
    found = small[comparison]
    apart = found.apart()
    assert len(apart) == 48
    assert all(a.lag[1] != a.lag[3] for a, _ in apart)
    assert not any(a.verdict == "refuted" for a, _ in apart)
    assert sum(b.verdict == "refuted" for _, b in apart) > 24
    assert "differ in 48 of 72 entries, all of them between different times" in said(
        tied.blocks(small, Draft(tmp_path))
    )
    same = small.having({comparison: replace(found, other=found.truth)})
    assert "both limits coincide" in said(tied.blocks(same, Draft(tmp_path)))


def test_measured_curves_lie_on_their_limits(small):
    for found in (small[curves].correlation, small[curves].lag):
        for curve in found.values():
            spread = 5 * curve.stderr + 5 / small[curves].width  # the bias of that width
            assert np.all(np.abs(curve.measured - curve.limit) < spread)
    slope = np.polyfit(np.log(small[distance].widths), np.log(small[distance].error), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.2)
    assert small[descents].gaps[2] < small[descents].gaps[0] < 1


def test_networks_train_as_the_limit_says_and_not_at_another_step_size(small, monkeypatch):
    assert small[descents].check.verdict == "holds"
    descent = training._descent
    monkeypatch.setattr(training, "_descent", lambda K, start, step: descent(K, start, step / 2))
    monkeypatch.setattr(training, "TRAINED_WIDTHS", (32, 64, 128))
    wrong = Making(small.program, small.nu, 3)[descents]
    assert wrong.check.verdict == "refuted"
    changed = small.having({descents: wrong})
    assert (small.verdict, changed.verdict) == (small[validation].verdict, "refuted")


def test_sections_that_do_not_apply_are_absent_and_what_is_not_derived_is_said(small, undrawn, tmp_path):
    bare = small.having({comparison: None, remembered: Remembered()})
    made = document(bare, tmp_path)
    assert not {"sec:memory", "sec:untied"} & {section.label for section in sections(made)}
    assert "memory" not in said(made)
    doc.labels(made)  # every reference resolves
    gated = document(bare.having({remembered: Remembered(reason="Gates have none.")}), tmp_path)
    assert "Not derived here is the memory horizon. Gates have none." in said(gated)
    assert Making(models.feed_forward().program(), {})[remembered] == Remembered()
    assert "gate" in Making(models.gru().program(), {})[remembered].reason


def test_abstract_introduction_and_conclusion_state_theorem_verdict_and_numbers(small, made):
    made, _ = made
    abstract = plain(made.abstract)
    checks = small[validation].checks
    holds = sum(c.verdict == "holds" for c in checks)
    assert f"of {len(checks)} kernel entries {holds} hold" in abstract
    assert f"proved in {len(small[nngp].proof.steps)} and {len(small[ntk].proof.steps)} steps" in abstract
    assert value(small[descents].check.estimate, small[descents].check.stderr).body in abstract.replace("$", "")
    assert abstract.endswith(f"Together: {small.verdict}.")
    introduction, conclusion = sections(made)[0], sections(made)[-2]
    assert len(re.findall(r"\.(?: |$)", said(introduction))) == 5
    assert f"Of {len(checks)} kernel entries {holds} hold" in said(conclusion)
    other = [replace(c, verdict="refuted") for c in checks]
    changed = small.having({validation: replace(small[validation], checks=tuple(other))})
    assert f"all {len(checks)} kernel entries are refuted" in plain(assembly._abstract(changed))


def test_report_writes_all_files(small, tmp_path, monkeypatch):
    monkeypatch.setattr(report_module, "made", lambda *_, **__: small)
    made = report(models.elman("erf"), tmp_path, engine="typst", **NU)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["inputs"]["nu"] == small.nu
    assert record["results"]["verdict"] == made.verdict == small.verdict
    assert len(record["results"]["validation"]) == 72
    assert {"curves", "distance", "training", "memory", "untied"} <= set(record["results"])
    assert {path.name for path in made.files} >= {"report.tex", "report.html", "run.json"}


def breadth(body):
    """The longest left side of a display beside its longest line, in letters."""
    from wideproof.derive.latex.displays import width

    rows = [row.replace(r"\begin{aligned}", "").partition("&") for row in body.split("\\\\\n")]
    return max(width(left) for left, _, _ in rows) + max(width(right) for _, _, right in rows)


@pytest.mark.parametrize("make", [models.gru, models.stacked, models.leaky], ids=["gru", "stacked", "leaky"])
def test_limits_of_gates_layers_and_sums_fit_the_page(make, tmp_path):
    """No display is wider than the page, none of several equations taller than a part of it, and all are labelled."""
    from wideproof.derive.latex.displays import FULL, TALL, width

    program = make().program()
    making = Making(program, {})
    part = ReportRun(program, {}, made={need: making[need] for need in (nngp, ntk, gradient)})
    made = doc.Document("t", "a", tuple(one.written(part, Draft(tmp_path)) for one in (limits, gradients)), "w")
    assert {"eq:nngp", "eq:ntk", "eq:adjoint"} <= set(doc.labels(made))
    bodies = [node.body for node in doc.walk(made) if isinstance(node, doc.Equation)]
    for body in bodies:
        assert body.count("&=") <= 1 or len(body.split(r"\\")) <= 1.5 * TALL
        assert breadth(body) <= 1.15 * FULL, body
    formulas = [node.body for node in doc.walk(made) if isinstance(node, Math)]
    assert all(width(body) < FULL / 2 for body in formulas), max(formulas, key=width)
