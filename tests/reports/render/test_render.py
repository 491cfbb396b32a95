import collections
import dataclasses
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pypdf
import pytest

from wideproof.derive.language.errors import DeriveError
from wideproof.derive.latex.text import Cite, DocumentError, Latex
from wideproof.reports.document.assets import read
from wideproof.reports.document.blocks import Document, Equation, Paragraph, Section, Table
from wideproof.reports.render import pandoc, pdftex, render as module
from wideproof.reports.render.bibliography import entries
from wideproof.reports.render.render import render
from wideproof.reports.render.subprocesses import MissingEngine, RenderError, run

NEEDS_TEX = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not on PATH")
HOSTILE = r"\input{/etc/passwd} \write18{touch pwned} \immediate\openout3=x ^^5cinput #{read} @x <b> $\loop$"


def text_of(pdf: Path) -> str:
    return "\n".join(page.extract_text() for page in pypdf.PdfReader(pdf).pages)


def numbers_of(pdf: Path) -> collections.Counter:
    """Decimal numbers with their errors; the bibliography, which each engine words differently, left out."""
    return collections.Counter(re.findall(r"\d+\.\d+(?:\(\d+\))?", text_of(pdf).split("References")[0]))


def test_typst_pdf_and_page_hold_the_numbers_and_resolved_references(illustrated, tmp_path):
    done = render(illustrated, tmp_path, "typst")
    assert (done.engine, done.notices) == ("typst", ())
    text, page = text_of(done.pdf), re.sub(r"\s+", " ", done.html.read_text())
    for wanted in ("Theorem 2 (Scale factors [a_b])", "Lemma 1", "Table 1", "Figure 1", "0.3010(21)", "(1)", "50%"):
        assert wanted in text.replace("\xa0", " "), wanted
    assert "??" not in text
    assert "[eq:" not in text
    for wanted in ('href="#thm:rho">2</a>', 'href="#eq:rho">(1)</a>', 'href="#tab:check">1</a>',
                   'href="#fig:decay">1</a>',
                   'id="eq:rho"', "data:image/svg+xml;base64,", "<math", 'class="qed"', "Theorem 3.3"):  # fmt: skip
        assert wanted in page, wanted
    assert not re.search(r'(src|href)="(?!#|data:|https://(?:arxiv|doi)\.org/)', page)
    assert "[eq:" not in page
    assert "??" not in page


def test_the_same_document_gives_the_same_bytes(illustrated, tmp_path):
    engines = ["typst"] + ["pdflatex"] * (shutil.which("pdflatex") is not None)
    for engine in engines:
        first, second = (render(illustrated, tmp_path / f"{engine}{i}", engine) for i in range(2))
        for name in ("tex", "pdf", "html"):
            assert getattr(first, name).read_bytes() == getattr(second, name).read_bytes(), (engine, name)
    changed = dataclasses.replace(illustrated, abstract="Another.")
    assert render(changed, tmp_path / "c", "typst").pdf.read_bytes() != (tmp_path / "typst0/report.pdf").read_bytes()


@NEEDS_TEX
def test_both_engines_print_the_same_numbers(small, tmp_path):
    tex = render(small, tmp_path / "tex", "pdflatex").pdf
    typ = render(small, tmp_path / "typ", "typst").pdf
    assert numbers_of(tex) == numbers_of(typ)
    assert len(numbers_of(tex)) > 5
    assert "??" not in text_of(tex)
    (section,) = small.sections
    body = [dataclasses.replace(b, rows=b.rows[1:]) if isinstance(b, Table) else b for b in section.body]
    mutant = dataclasses.replace(small, sections=(dataclasses.replace(section, body=tuple(body)),))
    assert numbers_of(render(mutant, tmp_path / "bad", "typst").pdf) != numbers_of(tex)


@NEEDS_TEX
def test_pdflatex_sets_every_line_within_the_margins(illustrated, tmp_path, monkeypatch):
    logs = []
    latex = pdftex._latex
    monkeypatch.setattr(pdftex, "_latex", lambda *args: logs.append(latex(*args)) or logs[-1])
    render(illustrated, tmp_path, "pdflatex")
    assert "Overfull" not in logs[-1]
    assert not re.search(r"LaTeX Warning: (Reference|Citation|There were undefined)", logs[-1])


@pytest.mark.parametrize("engine", ["typst", pytest.param("pdflatex", marks=NEEDS_TEX)])
def test_hostile_words_are_only_printed(engine, tmp_path):
    body = (Paragraph((HOSTILE, " ", Cite("nitime", HOSTILE))), Paragraph("中文 ν ∈ ℝ é ß “q” – €"))
    done = render(Document(HOSTILE, HOSTILE, (Section(HOSTILE, body),), HOSTILE), tmp_path, engine)
    assert "root:" not in text_of(done.pdf) + done.html.read_text()
    assert "/etc/passwd" in text_of(done.pdf)
    assert not list(tmp_path.rglob("*pwned*"))


@pytest.mark.parametrize("body", [r"\input{/etc/passwd}", r"\write18{touch pwned}", r"x \tag{3}"])
def test_hostile_latex_is_refused_and_the_source_stays(body, tmp_path):
    hostile = Document("T", "A", (Section("S", (Equation(Latex(body)),)),))
    with pytest.raises(DocumentError):
        render(hostile, tmp_path)
    assert (tmp_path / "report.tex").exists()
    assert not (tmp_path / "report.pdf").exists()


@NEEDS_TEX
def test_tex_itself_cannot_leave_its_folder(tmp_path):
    head, tail = "\\documentclass{article}\\begin{document}x", "\\end{document}"
    folder = tmp_path / "scratch"
    folder.mkdir()
    (tmp_path / "secret.tex").write_text("secret")
    for attack in (r"\input{/etc/passwd}", r"\input{../secret}"):
        (folder / "report.tex").write_text(head + attack + tail)
        with pytest.raises(RenderError):
            pdftex.pdf(folder, 20)
    (folder / "report.tex").write_text(head + r"\immediate\write18{touch pwned}" + tail)
    pdftex.pdf(folder, 20)
    assert not (folder / "pwned").exists()
    (folder / "report.tex").write_text(head + r"\loop\iftrue\repeat" + tail)
    with pytest.raises(RenderError) as caught:
        pdftex.pdf(folder, 0.5)
    assert "0.5 s" in caught.value.expected


def test_without_any_engine_the_source_stays_and_the_line_to_run_is_named(small, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(pandoc.importlib.util, "find_spec", lambda name: None)
    done = render(small, tmp_path)
    assert (done.pdf, done.html, done.engine) == (None, None, None)
    assert done.tex.exists()
    assert any("pip install 'wideproof[pdf]'" in notice and "apt-get install" in notice for notice in done.notices)
    for engine, line in (("typst", "pip install 'wideproof[pdf]'"), ("pdflatex", "texlive-latex-recommended lmodern")):
        with pytest.raises(MissingEngine) as caught:
            render(small, tmp_path, engine)
        assert line in caught.value.hint
        assert isinstance(caught.value, DeriveError)


def test_auto_falls_back_to_typst_with_a_notice(small, tmp_path, monkeypatch):
    fail = type("Engine", (), {"available": staticmethod(lambda: True), "pdf": staticmethod(_broken)})
    monkeypatch.setitem(module.ENGINES, "pdflatex", fail)
    done = render(small, tmp_path)
    assert done.engine == "typst"
    assert "booktabs" in done.notices[0]
    with pytest.raises(RenderError):
        render(small, tmp_path, "pdflatex")


def _broken(folder: Path, seconds: float) -> bytes:
    raise RenderError("pdflatex", "its standard packages", "no booktabs.sty", "Install them.")


def test_a_warning_of_pandoc_is_an_error(tmp_path):
    (tmp_path / "report.tex").write_text("\\begin{document}\\eqref{a} $\\surd x \\end y$\\end{document}")
    with pytest.raises(RenderError):
        pandoc.convert(tmp_path, "html5", 20, "--mathml")


def test_time_out_kills_the_whole_group(tmp_path):
    code = 'import subprocess, sys, time; subprocess.Popen([sys.executable, \'-c\', \'import time, os; open("pid", "w")'
    code += ".write(str(os.getpid())); time.sleep(60)']); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(RenderError):
        run([sys.executable, "-c", code], tmp_path, 4)
    assert time.monotonic() - start < 40  # the program itself sleeps for 60
    pid = int((tmp_path / "pid").read_text())
    time.sleep(0.2)
    assert not _alive(pid)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_gets_no_input_and_its_output_comes_back(tmp_path):
    assert run([sys.executable, "-c", "print(repr(input.__name__)); input()"], tmp_path, 10)[0] == 1
    assert run([sys.executable, "-c", "print('x')"], tmp_path, 10, dict(os.environ)) == (0, "x\n")


def test_every_entry_of_the_bibliography_is_closed_and_found():
    bib = read("refs.bib")
    assert len(entries(bib)) == len(re.findall(r"^@", bib, re.MULTILINE))
    assert all(entry.count("{") == entry.count("}") for entry in entries(bib).values())
    assert len(entries(bib.replace("\n}\n", "\n", 1))) < len(entries(bib))  # one that is open swallows the next
