"""How `make docs` builds the pages: MyST, executed notebooks, our docstrings, mathematics as MathML, no network."""

import hashlib
import os
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_ext"), str(HERE.parent)]
os.environ["PYTHONPATH"] = os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])  # of notebooks

import gallery  # noqa: E402
import licences  # noqa: E402
import reference  # noqa: E402

import wideproof  # noqa: E402

project, author, copyright = "wideproof", "The wideproof authors", "The wideproof authors, MIT licence"
version = release = wideproof.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "mathml"]
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nb_execution_mode, nb_execution_raise_on_error, nb_execution_timeout = "cache", True, 120
SOURCES = sorted(path for room in ("derive", "numeric", "reports") for path in (HERE.parent / room).rglob("*.py"))
DIGEST = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:16]
nb_execution_cache_path = str(HERE / "_build" / f"notebooks-{DIGEST}")  # a page shows what this code prints
autodoc_typehints = "none"
autodoc_preserve_defaults = True
default_role = "code"
exclude_patterns = ["_build", "_ext"]
html_theme, html_title, html_math_renderer = "pydata_sphinx_theme", "wideproof", "mathml"
html_static_path, html_css_files = ["_static"], ["site.css"]
html_theme_options = {"show_toc_level": 2, "navigation_with_keys": False, "secondary_sidebar_items": ["page-toc"],
                      "show_prev_next": True, "header_links_before_dropdown": 6}  # fmt: skip
html_show_sourcelink = False
ELSEWHERE = {"(../SECURITY.md": "(security.md", "(SECURITY.md": "(security.md"}
"""Links of pages that are also read in the repository, to files that are pages here."""


def _links(app: object, docname: str, source: list[str]) -> None:
    for written, here in ELSEWHERE.items():
        source[0] = source[0].replace(written, here)


def _read_included(app: object, relative: object, parent: str, content: list[str]) -> None:
    _links(app, parent, content)


def _reachable(app: object, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    if "body" in context:  # what scrolls is reached by keys
        context["body"] = context["body"].replace('<table class="', '<table tabindex="0" class="')


def _generate(app: Any) -> None:
    folder = HERE / "generated"
    for module in (licences, reference):
        module.write(folder)
    if app.config.wideproof_gallery:
        gallery.write(folder)
    elif not (folder / "gallery.md").exists():
        (folder / "gallery.md").write_text("# Gallery\n\nLeft out of this build.\n", encoding="utf-8")


def setup(app: Any) -> None:
    """Register what pages are made of."""
    app.add_config_value("wideproof_gallery", True, "env")
    app.connect("builder-inited", _generate)
    app.connect("source-read", _links)
    app.connect("include-read", _read_included)
    app.connect("html-page-context", _reachable)
    app.connect("autodoc-process-docstring", reference.docstring)
    app.connect("autodoc-process-signature", reference.signature)
