"""The page: contents, pictures with their numbers, heads of columns, links to what is cited; no barrier to a reader.

`make accessible` fetches axe and runs the last test, which is skipped without it.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pypdf
import pytest

from wideproof.reports.render.render import render

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
AXE = os.environ.get("WIDEPROOF_AXE")


@pytest.fixture(scope="module")
def wide():
    """A display that no telephone is wide enough for, and one that is broken into lines."""
    from wideproof.derive.latex.text import Latex
    from wideproof.reports.document.blocks import Equation

    line = " + ".join(f"x_{{{k}}}" for k in range(60))
    return Equation(Latex(rf"\begin{{aligned}} a &= {line} \\ aaa &= b \end{{aligned}}"), "eq:wide")


@pytest.fixture
def written(illustrated, wide, tmp_path):
    more = replace(illustrated.sections[-1], body=(*illustrated.sections[-1].body, wide))
    sections = (*illustrated.sections[:-1], more)
    cited = ("bolthausen2014iterative",)
    return render(replace(illustrated, sections=sections, bibliography=cited), tmp_path, "typst")


def test_the_page_has_contents_scopes_links_and_the_numbers_of_its_figures(written):
    page = written.html.read_text()
    contents = re.search(r'<nav class="contents".*?</nav>', page, re.DOTALL)[0]
    for title, label in (("Statement", "sec:statement"), ("Inner", "sec:inner"), ("Figures", None)):
        assert title in contents
        assert label is None or f'href="#{label}"' in contents
    heads = re.findall(r"<th\b[^>]*>", page)
    assert len(heads) == 4
    assert all('scope="col"' in head for head in heads)
    assert 'href="https://arxiv.org/abs/2101.07833"' in page
    assert 'href="https://doi.org/10.1007/s00220-013-1862-3"' in page
    assert 'alt="a falling line [x]"' in page
    assert '<mtd columnalign="right"' in page
    assert 'mtd[columnalign="right"] { text-align: -webkit-right' in page
    numbers = re.search(r'download="decay.csv" href="data:text/csv;base64,([^"]*)"', page)[1]
    assert base64.b64decode(numbers) == (written.html.parent / "figures" / "decay.csv").read_bytes()


def test_the_pdf_of_typst_is_tagged_and_says_that_it_is_accessible(written):
    reader = pypdf.PdfReader(written.pdf)
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert b"pdfuaid:part" in reader.trailer["/Root"]["/Metadata"].get_data()
    assert reader.trailer["/Root"]["/Lang"] == "en"


@pytest.mark.skipif(not AXE or not CHROMIUM, reason="make accessible fetches axe for it; it needs Chromium")
def test_axe_finds_nothing_on_a_page_of_either_width(written):
    """And it would: the page without its script has parts that scroll and no key reaches."""
    bare = written.html.with_name("bare.html")
    bare.write_text(re.sub(r"<script>.*?</script>", "", written.html.read_text(), flags=re.DOTALL))
    script = Path(__file__).with_name("axe.mjs")
    done = subprocess.run(["node", script, CHROMIUM, written.html, bare], capture_output=True, text=True, check=True,
                          timeout=120)  # fmt: skip
    found = json.loads(done.stdout)
    own, others = found[:2], found[2:]
    assert {page["width"] for page in own} == {390, 1200}
    assert [page["violations"] or page["wide"] for page in own] == [[], []]
    assert any("scrollable-region-focusable" in str(page["violations"]) for page in others)
