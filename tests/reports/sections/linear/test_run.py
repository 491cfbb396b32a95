"""The run behind a linear report: one seed, one set of variances for every experiment, recordings first."""

from __future__ import annotations

import dataclasses
import re
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from wideproof.derive import models
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.latex.text import plain
from wideproof.derive.proof.proof import Proof
from wideproof.reports.document.blocks import titled
from wideproof.reports.render.typeset import typeset
from wideproof.reports.sections.linear.recordings import _answer, _steps, compared, recording_blocks
from wideproof.reports.sections.linear.run import checks_of, lags_of
from wideproof.reports.sections.linear.training import descents, gaps
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Order
from wideproof.reports.sections.report import document, entitle, kind_of, made


@pytest.fixture
def small(shrunk):
    return {"seed": 2, "width": 64, "trials": 100, "data": ()}


@pytest.fixture
def unverified(monkeypatch):
    """Numbers are under test; `tiny_run` verifies the proofs of the report."""
    monkeypatch.setattr(Proof, "verify", lambda self: None)


def test_equal_seeds_give_equal_records(small, unverified, monkeypatch):
    run = made(models.linear_rnn(), **small)
    for need in kind_of(run.program).all_needs:
        if need.order is Order.DERIVED:  # no seed enters
            monkeypatch.setitem(vars(need), "make", lambda *_, value=run[need]: value)
    first = run.record()
    second, other = (made(models.linear_rnn(), **(small | {"seed": seed})).record() for seed in (2, 3))
    assert first == second
    assert all(other[part] != first[part] for part in ("validation", "kernel", "training"))


def test_the_variances_given_reach_every_experiment(small, unverified, filtered):
    nu = {"nu_W": 0.45, "nu_F": 0.9, "nu_C": 1.1}
    run = made(models.linear_rnn(), **(small | {"data": (str(filtered),)}), **nu)
    assert run.nu == nu
    plan = run[validation].measurements.plan
    for setting in (plan, run[descents].setting, run[gaps].setting):
        assert {name: getattr(setting, name) for name in nu} == nu
    protocol = run[compared][0].protocol
    assert (protocol.nu_F, protocol.nu_C) == (0.9, 1.1)
    assert 0.45 in protocol.nu_W  # among those that validation chooses from


def test_every_stage_is_announced_and_counts_to_its_end(small, unverified, filtered):
    seen = {}

    @contextmanager
    def stage(name):
        seen[name] = []
        yield lambda done, total: seen[name].append((done, total))

    made(models.linear_rnn(), stage, **(small | {"data": (str(filtered),)}))
    assert len(seen) == 7
    assert f"recording {filtered.name}" in seen
    assert all(steps and steps[-1][0] == steps[-1][1] for steps in seen.values()), seen


def test_a_missing_recording_is_told_before_anything_is_derived(small):
    def stage(name):
        pytest.fail(f"{name} before the recordings were read")

    with pytest.raises(ParameterError):
        made(models.linear_rnn(), stage, **(small | {"data": ("no/such.csv",)}))


def test_lags_and_checks_come_in_order(tiny_run):
    lags = list(lags_of(tiny_run))
    assert lags == [check.lag for check in checks_of(tiny_run, "second-moment")]
    assert lags == [check.lag for check in checks_of(tiny_run, "scale-factor")]
    assert list(checks_of(tiny_run, "nothing")) == []


def test_recordings_of_any_name_have_labels_and_files_of_their_own(tiny_run, undrawn, tmp_path):
    (one,) = tiny_run[compared]
    named = tuple(dataclasses.replace(one, recording=name) for name in ("a_50%.csv", "a__50.csv", "é", "漢字"))
    source = typeset(document(tiny_run.having({compared: named}), tmp_path))
    found = re.findall(r"\\label\{sec:([^}]*)\}", source)[-5:-1]
    assert len(set(found)) == 4
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) for name in found), found
    included = re.findall(r"\\includegraphics(?:\[[^]]*\])?\{figures/([^}]*)\}", source)
    assert len(set(included)) == len(included) == 6 + 2 * 4


def test_a_recording_leads_with_what_was_decided_and_why_the_rest_could_not_be(tiny_run):
    (one,) = tiny_run[compared]
    told = plain(recording_blocks(one, Path(), "x", curves=False, tables=False)[0].text)
    assert told.startswith(one.recording)  # without tables there are no verdicts to tell
    said = plain(_answer(one))
    decided = sum(j.verdict != "undecided" for j in one.judged)
    assert said.startswith(f"Of {len(one.judged)} statements {decided} ")
    moving = [j for j in one.judged if j.what.unsettled]
    assert all(j.verdict == "undecided" for j in moving)
    assert (f"{len(moving)} because a run" in said) is bool(moving)
    none = dataclasses.replace(one, judged=tuple(dataclasses.replace(j, verdict="undecided") for j in one.judged))
    assert plain(_answer(none)).startswith(f"None of {len(one.judged)} statements is decided. Undecided are ")
    every = dataclasses.replace(one, judged=tuple(dataclasses.replace(j, verdict="holds") for j in one.judged))
    assert "ndecided" not in plain(_answer(every))


def test_title_author_date_and_engine_are_those_given_and_stay_with_the_run(tiny_run, undrawn, tmp_path):
    whole = document(tiny_run, tmp_path)
    own = titled(whole, {"title": "A & B", "author": "", "date": "May 2026"})
    assert (own.title, own.author, own.date) == ("A & B", whole.author, "May 2026")
    assert r"\title{A \& B}" in typeset(own)
    record = {"titles": {"author": "N. N."}, "asked_engine": "typst"}
    run = SimpleNamespace(record=record, update=record.update)
    entitle(run, "A & B", "", "", "auto")
    assert record == {"titles": {"author": "N. N.", "title": "A & B"}, "asked_engine": "typst"}
    entitle(run, "", "", "", "pdflatex")
    assert record["asked_engine"] == "pdflatex"


@pytest.mark.parametrize(
    ("best", "improving", "said"),
    [
        ((17, 154), True, "17\N{EN DASH}154+"),
        ((34, 34), False, "34"),
        ((7, 4 * 10**10), False, "7\N{EN DASH}4 times 10^10"),
    ],
    ids=["range", "one", "large"],
)
def test_numbers_of_steps_are_printed_as_numbers(best, improving, said):
    assert plain(_steps(SimpleNamespace(best_steps=best, improving=improving))) == said
