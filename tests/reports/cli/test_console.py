from __future__ import annotations

import errno
import json
import time
from dataclasses import dataclass

import numpy as np
import pytest
import sympy as sp
import typer
from rich.console import Console

from wideproof.derive import ntk, scale_factors, state_evolution
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.notation import j
from wideproof.derive.models import linear_rnn
from wideproof.derive.proof.claims import Equation
from wideproof.numeric.core.checks import Claim, Level, judge
from wideproof.numeric.runs import heartbeat
from wideproof.numeric.runs.signals import INTERRUPTED, TERMINATED, Stopped
from wideproof.numeric.validation.judged import Validation
from wideproof.reports.cli import console
from wideproof.reports.cli.console import Stages, describe, errors, plain, print_json, said, table
from wideproof.reports.cli.runs.verdict import verdict


def test_numbers_of_every_kind_become_plain_json_and_odd_ones_null(capsys):
    print_json({"a": np.arange(2), "b": np.float64(0.1), "c": [float("nan"), np.inf, 1], 3: (True, None, "ν")})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": [0, 1], "b": 0.1, "c": [None, None, 1], "3": [True, None, "ν"]}
    assert "NaN" not in text


def test_a_table_prints_words_as_they_are(capsys):
    table(("head [b]", "x"), [("[red]x[/]", ":smile:"), ("[/]", "holds")])
    out = capsys.readouterr().out
    for word in ("head [b]", "[red]x[/]", ":smile:", "[/]", "holds"):
        assert word in out
    assert "\x1b" not in out


def test_every_field_of_an_error_is_printed_as_it_is(capsys):
    with pytest.raises(typer.Exit) as caught, errors():
        raise ParameterError("[bold]where", "[x]", "[/]", ":hint:")
    assert caught.value.exit_code == 2
    assert capsys.readouterr().err.splitlines() == [
        "error in [bold]where: expected [x], got [/]", "  :hint:",
    ]  # fmt: skip


def test_what_a_terminal_should_not_get_is_written_out(capsys):
    error = ParameterError("a\x1b[31m", "b\x07", "c\ud800", "d\ne\u202e")
    error.add_note("first \x9b\nsecond")
    with pytest.raises(typer.Exit), errors():
        raise error
    assert capsys.readouterr().err.splitlines() == [
        "first \\x9b", "second", "error in a\\x1b[31m: expected b\\x07, got c\\ud800", "  d\\ne\\u202e",
    ]  # fmt: skip


def test_files_interruptions_and_closed_pipes(capsys):
    with pytest.raises(typer.Exit) as caught, errors():
        raise PermissionError(errno.EACCES, "Permission denied", "/x[y]")
    assert caught.value.exit_code == 2
    assert "error in /x[y]" in capsys.readouterr().err
    with pytest.raises(typer.Exit) as caught, errors():
        raise KeyboardInterrupt
    assert caught.value.exit_code == 130
    with pytest.raises(typer.Exit) as caught, errors():
        raise Stopped(code=TERMINATED)
    assert caught.value.exit_code == 143
    assert capsys.readouterr().err == "interrupted\nterminated\n"
    with pytest.raises(typer.Exit) as caught, errors():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert caught.value.exit_code == 141
    assert capsys.readouterr() == ("", "")
    with pytest.raises(ZeroDivisionError), errors():  # a defect of ours stays one
        raise ZeroDivisionError


def test_stages_print_their_names_where_there_is_no_terminal(capsys):
    with Stages() as stages, stages("recording [x].csv") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == "… recording [x].csv\n"
    with Stages(quiet=True) as stages, stages("x") as progress:
        progress(1, 2)
    assert capsys.readouterr() == ("", "")


def test_a_stage_without_a_terminal_says_a_line_a_minute_and_a_quiet_one_nothing(monkeypatch, capsys):
    monkeypatch.setattr(heartbeat, "EVERY", 0.005)
    said, deadline = "", time.monotonic() + 20
    with Stages() as stages, stages("table1"), stages("training") as progress:
        progress(1, 4)
        while "1 of 4 done" not in said and time.monotonic() < deadline:
            time.sleep(0.01)
            said += capsys.readouterr().err
    assert said.startswith("… table1\n… training\n")
    assert "table1: " not in said  # the stage that holds it has nothing to add
    assert "… training: 1 of 4 done, " in said
    capsys.readouterr()
    with Stages(quiet=True) as stages, stages("training"):
        time.sleep(0.05)
    assert capsys.readouterr() == ("", "")


def test_stages_draw_bars_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    shown = Stages()
    with shown as stages:
        for total in (4, 0):
            with stages("count [x]") as progress:
                progress(1, total)
        assert [task.finished for task in shown.progress.tasks] == [True, True]
    assert "count [x]" in capsys.readouterr().err


@pytest.mark.parametrize("derive", [scale_factors, ntk, state_evolution])
def test_a_description_has_every_step_on_lines_of_its_own(derive, capsys):
    derivation = derive(linear_rnn())
    describe(derivation, with_proof=True)
    out = capsys.readouterr().out
    for step in derivation.proof.steps:
        assert all(line in out for line in said(step.claim))
    describe(derivation, with_proof=False)
    assert len(capsys.readouterr().out.splitlines()) < 8


def test_sums_are_not_multiplied_out_and_differences_are():
    formula = ntk(linear_rnn()).formula
    assert plain(formula.expr).startswith("Sum(")
    assert "PowerDD" not in plain(formula.expr)


def test_a_claim_of_a_new_kind_is_still_told():
    @dataclass(frozen=True)
    class New:
        left: int
        note: str

    assert said(New(3, "x")) == ["left: 3", "note: x"]
    assert said(Equation(sp.Symbol("a"), j)) == ["a = j"]


def validation(estimate, trials=1000):
    claims = [Claim("second-moment", lag, (8,), trials, 1.0, estimate, 0.01, "m") for lag in range(2)]
    claims += [Claim("correlation", (k, 0), (8,), trials, 0.0, 0.0, 0.01, "m") for k in (1, 2, 3)]
    checks = judge(claims, Level())
    return Validation("[dense]", checks, None)


def test_a_verdict_shows_lags_the_other_kinds_and_what_went_wrong(capsys):
    verdict(validation(1.0), every=False)
    out, err = capsys.readouterr()
    assert (out.count("second-moment"), out.count("correlation")) == (2, 1)
    assert "samplers: [dense]" in out
    assert err == ""
    verdict(validation(1.0), every=True)
    assert capsys.readouterr().out.count("correlation") == 3
    verdict(validation(1.2), every=False)
    out, err = capsys.readouterr()
    assert err.startswith("refuted: second-moment at lag 0: p = ")
    assert len(err.splitlines()) == 1


def test_exit_codes_are_those_of_the_contract():
    assert console.EXIT == {"holds": 0, "refuted": 1, "undecided": 3}
    assert (console.USAGE, console.DEFECT, INTERRUPTED, console.UNREAD, TERMINATED) == (2, 70, 130, 141, 143)


def test_a_table_that_does_not_fit_is_a_list_and_no_word_of_it_is_cut(monkeypatch, capsys):
    heads, rows = ("quantity", "prediction", "verdict"), [("second-moment", "0.984688123", "undecided")] * 2
    for width in (80, 30):
        monkeypatch.setattr(console, "out", Console(width=width))
        table(heads, rows)
        shown = capsys.readouterr().out
        assert "…" not in shown
        assert all(word in shown for word in (*heads, *rows[0]))
        assert ("prediction  0.984688123" in shown) == (width == 30)
