"""report.tex to PDF by pdflatex, which sees nothing but copies of the files it needs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from wideproof.reports.render.subprocesses import MissingEngine, RenderError, run

INSTALL = "apt-get install --no-install-recommends texlive-latex-recommended lmodern"
FLAGS = (
    "-no-shell-escape", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error", "-jobname=report",
)  # fmt: skip
NO_DATES = r"\pdfinfoomitdate=1\pdftrailerid{}\input{report.tex}"
MOST_RUNS = 5
RERUN = re.compile(r"Rerun to get|Rerun LaTeX|rerun LaTeX")
MISSING_FILE = re.compile(r"File `([^']+)' not found")


def environment() -> Mapping[str, str]:
    """An environment in which TeX reads and writes below its own folder only, and starts no shell."""
    return {
        "PATH": os.environ.get("PATH", os.defpath), "HOME": "/nonexistent", "TEXMFHOME": "/nonexistent",
        "openin_any": "p", "openout_any": "p", "shell_escape": "f", "max_print_line": "1000",
        "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", "0"), "FORCE_SOURCE_DATE": "1",
    }  # fmt: skip


def available() -> bool:
    """Whether pdflatex is on the path."""
    return shutil.which("pdflatex") is not None


def pdf(folder: Path, seconds: float) -> bytes:
    """The PDF of `report.tex` in a scratch folder, run until its references settle.

    Errors: `MissingEngine` without pdflatex or one of its packages, `RenderError` where it stops or hangs.
    """
    if not available():
        raise MissingEngine("pdflatex", "pdflatex on PATH", "none", f"Run: {INSTALL}")
    _latex(folder, seconds)
    if (folder / "refs.bib").exists():
        status, output = run(["bibtex", "report"], folder, seconds, environment())
        if status:
            raise RenderError("bibtex", "exit 0", status, output.strip()[-500:])
        _latex(folder, seconds)
    for _ in range(MOST_RUNS):
        if not RERUN.search(_latex(folder, seconds)):
            return (folder / "report.pdf").read_bytes()
    raise RenderError("pdflatex", f"rest after {MOST_RUNS} runs", "Rerun", "Read report.tex: a reference moves.")


def _latex(folder: Path, seconds: float) -> str:
    status, output = run(["pdflatex", *FLAGS, NO_DATES], folder, seconds, environment())
    if missing := MISSING_FILE.search(output):
        raise MissingEngine("pdflatex", "its standard packages", f"no {missing[1]}", f"Run: {INSTALL}")
    if status:
        lines = [line for line in output.splitlines() if re.match(r"!|.*:\d+: |l\.\d+", line)]
        raise RenderError("pdflatex", "exit 0", status, " ".join(lines)[-500:] or output[-500:])
    log = folder / "report.log"
    return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
