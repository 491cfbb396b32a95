"""Attacks on pandoc and Typst as they are run: no file outside, no network, no endless work."""

from __future__ import annotations

import subprocess
import sys

import pypandoc
import pypdf
import pytest

from wideproof.reports.render import pandoc
from wideproof.reports.render.subprocesses import RenderError, run

pytestmark = pytest.mark.skipif(not pandoc.available(), reason="pandoc or Typst is not installed")
SECRET = "swordfish"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "secret.tex").write_text(SECRET)
    (tmp_path / "scratch").mkdir()
    return tmp_path / "scratch"


@pytest.mark.parametrize("body", [r"\input{TMP/secret.tex}", r"\input{../secret}", r"\include{../secret}",
                                  r"\lstinputlisting{TMP/secret.tex}", r"\verbatiminput{TMP/secret.tex}"])  # fmt: skip
@pytest.mark.parametrize("target", ["typst", "html5"])
def test_pandoc_reads_no_other_file(body, target, folder):
    source = body.replace("TMP", str(folder.parent))
    (folder / "report.tex").write_text(rf"\documentclass{{article}}\begin{{document}}x {source} y\end{{document}}")
    try:
        made = pandoc.convert(folder, target, 20)
    except RenderError as error:
        made = str(error)
    assert SECRET not in made
    if "input{" in body and "verbatim" not in body:  # the negative control: without --sandbox it is read
        done = subprocess.run([pypandoc.get_pandoc_path(), "-f", "latex", "-t", "plain", "report.tex"], cwd=folder,
                              capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
        assert SECRET in done.stdout


def compiled(folder, source, seconds=20.0):
    """Typst as `pandoc.pdf` runs it."""
    (folder / "report.typ").write_text(source)
    status, output = run([sys.executable, "-P", "-c", pandoc.COMPILE], folder, seconds)
    return status, output


def words(path):
    return "".join(page.extract_text() for page in pypdf.PdfReader(path).pages)


@pytest.mark.parametrize("source", ['#read("TMP/secret.tex")', '#read("../secret.tex")', '#include "../secret.tex"',
                                    '#image("../secret.tex")', '#read("/../secret.tex")'])  # fmt: skip
def test_typst_reads_nothing_outside_its_folder(source, folder):
    status, output = compiled(folder, source.replace("TMP", str(folder.parent)))
    assert status != 0
    assert SECRET not in output
    (folder / "own.txt").write_text(SECRET)
    assert compiled(folder, '#read("own.txt")') == (0, "")
    assert SECRET in words(folder / "report.pdf")  # the negative control: it does read


@pytest.mark.parametrize(
    "source", ["#while true {}", "#let f(n) = f(n + 1)\n#f(0)", "#let x = (1,)\n#while true { x += x }"]
)
def test_typst_ends(source, folder):
    try:
        status, _ = compiled(folder, source, 10)
    except RenderError:
        return
    assert status != 0


def test_we_emit_no_import_that_needs_the_network(folder, small):
    from wideproof.reports.document.assets import read

    assert "@preview" not in read("report.typ")
    (folder / "report.tex").write_text(r"\documentclass{article}\begin{document}\#import "
                                       r"``@preview/x:1.0.0'' y\end{document}")  # fmt: skip
    made = pandoc.convert(folder, "typst", 20)
    assert "#import" not in made.replace("\\#import", "")


@pytest.mark.parametrize(("lines", "cut"), [(5, False), (12, True)], ids=["short", "long"])
def test_a_short_display_is_not_cut_by_the_end_of_a_page(lines, cut, folder):
    rows = " \\\\\n".join("x &= y" for _ in range(lines))
    words_before = "\n\n".join(["word"] * 39)  # room for three lines
    (folder / "report.tex").write_text(
        rf"\documentclass{{article}}\begin{{document}}{words_before}"
        f"\n\\[\n\\begin{{aligned}}\n{rows}\n\\end{{aligned}}\n\\]\n\\end{{document}}"
    )
    assert compiled(folder, pandoc.convert(folder, "typst", 20)) == (0, "")
    found = [page.extract_text().count("=") for page in pypdf.PdfReader(folder / "report.pdf").pages]
    assert (sum(found), found[0] > 0) == (lines, cut)
