"""report.tex to one HTML page: MathML, figures inside, nothing fetched."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from wideproof.reports.document.assets import read, templates
from wideproof.reports.render.pandoc import convert

STYLES = "/* report.css */"
PICTURE = re.compile(r'src="(figures/[A-Za-z0-9-]+\.svg)"')


def html(folder: Path, seconds: float) -> str:
    """The page of `report.tex` in a scratch folder that holds its figures.  Errors: as `pandoc.convert`."""
    options = ["--mathml", "--number-sections", "--shift-heading-level-by=1"]
    if (folder / "refs.bib").exists():
        options += ["--citeproc", "--csl", str(templates() / "numeric.csl"), "--metadata=link-citations:true"]
    page = convert(folder, "html5", seconds, *options).replace(STYLES, read("report.css"), 1)
    return PICTURE.sub(lambda match: f'src="{_data(folder / match[1])}"', page)


def _data(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
