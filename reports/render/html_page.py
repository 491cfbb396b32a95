"""report.tex to one HTML page: MathML, figures inside, nothing fetched."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from wideproof.reports.document.assets import read, templates
from wideproof.reports.render.pandoc import convert

PARTS = ("report.css", "report.js")
PICTURE = re.compile(r'<img src="figures/([A-Za-z0-9-]+)\.svg"(.*?)</figcaption>', re.DOTALL)
HEAD = re.compile(r"<th(?=[ >])(?! scope)")
ARXIV = re.compile(r"arXiv:(\d+\.\d+)(?![^<]*</a>)")


def html(folder: Path, seconds: float) -> str:
    """The page of `report.tex` in a scratch folder that holds its figures.  Errors: as `pandoc.convert`."""
    options = ["--mathml", "--toc", "--toc-depth=3", "--number-sections", "--shift-heading-level-by=1"]
    if (folder / "refs.bib").exists():
        options += ["--citeproc", "--csl", str(templates() / "numeric.csl"), "--metadata=link-citations:true"]
    page = convert(folder, "html5", seconds, *options)
    page = HEAD.sub('<th scope="col"', PICTURE.sub(lambda found: _picture(folder / "figures" / found[1], found), page))
    page = ARXIV.sub(r'<a href="https://arxiv.org/abs/\1">arXiv:\1</a>', page)
    for part in PARTS:
        page = page.replace(f"/* {part} */", read(part), 1)
    return page


def _picture(stem: Path, found: re.Match[str]) -> str:
    """A picture inside the page, and below its caption the numbers that it shows."""
    name = found[1]
    numbers = _inside(stem.with_name(f"{name}.csv"), "text/csv")
    link = f' <a class="data" download="{name}.csv" href="{numbers}">Data of this figure (CSV)</a>'
    drawn = _inside(stem.with_name(f"{name}.svg"), "image/svg+xml")
    return f'<img src="{drawn}"{found[2]}{link}</figcaption>'


def _inside(path: Path, kind: str) -> str:
    return f"data:{kind};base64," + base64.b64encode(path.read_bytes()).decode("ascii")
