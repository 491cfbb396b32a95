"""Attacks by LaTeX on a real pdflatex: each is blocked as we run it, and shown to be one without our guard."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pypdf
import pytest

from wideproof.reports.render import pdftex
from wideproof.reports.render.subprocesses import RenderError

pytestmark = pytest.mark.skipif(not pdftex.available(), reason="pdflatex is not installed")
HEAD, TAIL = "\\documentclass{article}\\begin{document}start\n", "\n\\end{document}"
SECRET = "swordfish"


def scratch(tmp_path, body):
    folder = tmp_path / "scratch"
    folder.mkdir(exist_ok=True)
    (tmp_path / "secret.tex").write_text(SECRET)
    (folder / "report.tex").write_text(HEAD + body.replace("TMP", str(tmp_path)) + TAIL)
    return folder


def words(path):
    return "".join(page.extract_text() for page in pypdf.PdfReader(path).pages) if path.exists() else ""


def guarded(folder, seconds=20.0):
    """As wideproof runs it; what it refuses is as good as what it leaves out."""
    try:
        pdftex.pdf(folder, seconds)
    except RenderError:
        return
    assert SECRET not in words(folder / "report.pdf")


def unguarded(folder, *flags):
    """As a user runs it by hand, in an environment without ours."""
    env = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    subprocess.run(["pdflatex", "-interaction=nonstopmode", *flags, "report.tex"], cwd=folder, env=env, timeout=60,
                   stdin=subprocess.DEVNULL, capture_output=True, check=False)  # fmt: skip


READS = {
    "input of an absolute path": (r"\input{TMP/secret.tex}", ()),
    "input of a parent's file": (r"\input{../secret}", ()),
    "openin of an absolute path": (r"\newread\f\openin\f=TMP/secret.tex \read\f to\x \x", ()),
    "input of a command": (r'\input|"cat ../secret.tex"', ("-shell-escape",)),
}


@pytest.mark.parametrize("attack", READS)
def test_no_file_outside_reaches_the_page(attack, tmp_path):
    body, flags = READS[attack]
    folder = scratch(tmp_path, body)
    guarded(folder)
    unguarded(folder, *flags)
    assert SECRET in words(folder / "report.pdf")  # the negative control: it is an attack


@pytest.mark.parametrize("command", [r"\immediate\write18{touch pwned}", r"\input|{touch pwned}"])
def test_no_command_is_started(command, tmp_path):
    folder = scratch(tmp_path, command)
    guarded(folder)
    assert not (folder / "pwned").exists()
    unguarded(folder, "-shell-escape")
    assert "write18" not in command or (folder / "pwned").exists()


@pytest.mark.parametrize("place", ["TMP/pwned.tex", "../pwned.tex", ".pwned"])
def test_nothing_is_written_outside_or_hidden(place, tmp_path):
    folder = scratch(tmp_path, rf"\newwrite\f\immediate\openout\f={place}\immediate\write\f{{x}}\immediate\closeout\f")
    guarded(folder)
    assert not list(Path(tmp_path).rglob("*pwned*"))
    inside = scratch(tmp_path, r"\newwrite\f\immediate\openout\f=note.tex\immediate\write\f{x}\immediate\closeout\f")
    guarded(inside)
    assert (inside / "note.tex").exists()  # the negative control: writing itself works


@pytest.mark.parametrize("body", [r"\loop\iftrue\repeat", r"\def\x{\x\x}\x", r"\def\x{x\par\x}\x"])
def test_no_loop_outlasts_its_time(body, tmp_path):
    folder = scratch(tmp_path, body)
    with pytest.raises(RenderError):
        pdftex.pdf(folder, 2)


def test_latexmk_and_its_perl_are_never_started(tmp_path, small):
    from wideproof.reports.render.render import render

    rc = tmp_path / "out" / ".latexmkrc"
    rc.parent.mkdir()
    rc.write_text(f"system('touch {tmp_path}/pwned');")
    assert render(small, tmp_path / "out", "pdflatex").engine == "pdflatex"
    assert not (tmp_path / "pwned").exists()
