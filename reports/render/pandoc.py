"""report.tex to Typst and HTML by pandoc, which may read only the files it is given."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from wideproof.reports.document.assets import read, templates
from wideproof.reports.render.subprocesses import MissingEngine, RenderError, run

INSTALL = "pip install 'wideproof[pdf]'"
FLAGS = ("--sandbox", "--fail-if-warnings", "-f", "latex", "-s")
COMPILE = """
import typst
made = {"output": "report.pdf", "ignore_system_fonts": True}
try:
    typst.compile("report.typ", **made, pdf_standards="ua-1")
except typst.TypstError as error:
    if "PDF/UA" not in str(error):
        raise
    typst.compile("report.typ", **made)
"""
"""Accessible (PDF/UA-1); a document that cannot be, with a letter that no font of ours has, is tagged all the same."""


def require(*modules: str) -> None:
    """Errors: `MissingEngine` naming the line that installs the first of these wheels that is missing."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise MissingEngine(module, f"the {module} wheel", "none", f"Run: {INSTALL}")


def available() -> bool:
    """Whether pandoc and Typst are both installed."""
    return all(importlib.util.find_spec(module) is not None for module in ("pypandoc", "typst"))


def convert(folder: Path, target: str, seconds: float, *options: str) -> str:
    """`report.tex` of a folder in another format ("typst" or "html5"), by our filter and our template.

    Errors: `MissingEngine`, and `RenderError` for any warning: what pandoc cannot read it drops.
    """
    require("pypandoc")
    import pypandoc

    suffix = {"typst": "typ", "html5": "html"}[target]
    out = folder / f"report.{suffix}"
    filters = ("--lua-filter", str(templates() / "report.lua"), "--template", str(templates() / out.name))
    args = [pypandoc.get_pandoc_path(), *FLAGS, "-t", target, *filters, *options, "report.tex", "-o", out.name]
    status, output = run(args, folder, seconds)
    if status:
        raise RenderError("pandoc", "exit 0 and no warning", status, output.strip()[-800:])
    return out.read_text(encoding="utf-8")


def pdf(folder: Path, seconds: float) -> bytes:
    """The PDF of `report.tex` in a scratch folder, without TeX.  Errors: `MissingEngine`, `RenderError`."""
    require("pypandoc", "typst")
    convert(folder, "typst", seconds)
    (folder / "numeric.csl").write_text(read("numeric.csl"), encoding="utf-8")
    status, output = run([sys.executable, "-P", "-c", COMPILE], folder, seconds)
    if status:
        raise RenderError("typst", "exit 0", status, output.strip()[-800:])
    return (folder / "report.pdf").read_bytes()
