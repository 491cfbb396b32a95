"""A document to files: the .tex always, the PDF and the HTML page by the engines at hand."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.latex.text import DocumentError
from wideproof.numeric.core.files import write_atomically
from wideproof.reports.document.blocks import Document, citations, figures
from wideproof.reports.render import html_page, pandoc, pdftex
from wideproof.reports.render.bibliography import extract
from wideproof.reports.render.latex_subset import lint_tex
from wideproof.reports.render.subprocesses import MissingEngine, RenderError
from wideproof.reports.render.typeset import typeset

Engine: TypeAlias = Literal["auto", "pdflatex", "typst"]
ENGINES = {"pdflatex": pdftex, "typst": pandoc}
NO_ENGINE = f"no PDF: run {pandoc.INSTALL} (no TeX needed), or {pdftex.INSTALL}"


@dataclass(frozen=True)
class Rendered:
    """What was written, the engine that set the PDF, and why anything is missing."""

    tex: Path
    pdf: Path | None
    html: Path | None
    engine: str | None
    notices: tuple[str, ...]


def render(document: Document, out_dir: Path, engine: Engine = "auto", seconds: float = 120) -> Rendered:
    """Write `report.tex`, then `report.pdf` and `report.html`; equal documents give equal bytes.

    "auto" takes pdflatex where it is on the path and runs, else Typst; a missing engine is then a notice,
    and an error where it was asked for by name.  Errors: `DocumentError`, `MissingEngine`, `RenderError`.
    """
    if engine not in ("auto", *ENGINES):
        raise ParameterError("render", "auto, pdflatex or typst", repr(engine), "Choose one of the three.")
    tex = _write_source(document, out_dir)
    lint_tex(tex.read_text(encoding="utf-8"))
    notices: list[str] = []
    used = _pdf(out_dir, engine, seconds, notices)
    page = _html(out_dir, seconds, notices)
    return Rendered(tex, out_dir / "report.pdf" if used else None, page, used, tuple(notices))


def _write_source(document: Document, out_dir: Path) -> Path:
    """report.tex, with refs.bib and figures/ beside it; an older PDF or page is removed."""
    source = typeset(document)
    for name in ("report.pdf", "report.html", "refs.bib"):
        (out_dir / name).unlink(missing_ok=True)
    tex = write_atomically(out_dir / "report.tex", source)
    if keys := citations(document):
        write_atomically(out_dir / "refs.bib", extract(keys))
    for figure in figures(document):
        for suffix in (".pdf", ".svg", ".csv"):
            _copy_figure(figure.stem.with_name(figure.stem.name + suffix), out_dir / "figures")
    return tex


def _copy_figure(source: Path, folder: Path) -> None:
    if not source.is_file():
        raise DocumentError(
            "Figure.stem",
            "a .pdf, a .svg and a .csv of that name",
            source,
            "Save it by wideproof.reports.write.picture.",
        )
    if source.resolve() != (folder / source.name).resolve():
        write_atomically(folder / source.name, source.read_bytes())


@contextmanager
def _scratch(out_dir: Path) -> Iterator[Path]:
    """A fresh folder with copies of the source, its figures and its bibliography, and nothing else."""
    with tempfile.TemporaryDirectory(prefix="wideproof-") as name:
        folder = Path(name)
        for part in ("report.tex", "refs.bib"):
            if (out_dir / part).exists():
                shutil.copyfile(out_dir / part, folder / part)
        if (out_dir / "figures").is_dir():
            shutil.copytree(out_dir / "figures", folder / "figures", copy_function=shutil.copyfile)
        yield folder


def _pdf(out_dir: Path, engine: Engine, seconds: float, notices: list[str]) -> str | None:
    """The engine that wrote report.pdf, or None with a notice."""
    found = [name for name in ENGINES if ENGINES[name].available()]
    names = found if engine == "auto" else [engine]
    for name in names:
        try:
            with _scratch(out_dir) as folder:
                write_atomically(out_dir / "report.pdf", ENGINES[name].pdf(folder, seconds))
            return name
        except RenderError as error:
            if engine != "auto" or (name == names[-1] and not isinstance(error, MissingEngine)):
                raise
            notices.append(str(error))
    notices.append(NO_ENGINE)
    return None


def _html(out_dir: Path, seconds: float, notices: list[str]) -> Path | None:
    """report.html, or None with a notice where pandoc is missing."""
    try:
        with _scratch(out_dir) as folder:
            return write_atomically(out_dir / "report.html", html_page.html(folder, seconds))
    except MissingEngine as error:
        notices.append(f"no HTML page: {error}")
        return None
