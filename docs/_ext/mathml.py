"""Mathematics as MathML, set by pandoc at build: no script and no font is fetched when a page is read."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from typing import Any

import pypandoc
from docutils import nodes

DOLLARS = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+)\$", re.DOTALL)
RULE = "\n\nENDOFONEFORMULA\n\n"


@cache
def markup(formulas: tuple[tuple[str, bool], ...]) -> tuple[str, ...]:
    """The MathML of each (LaTeX, displayed).  Errors: ValueError for what pandoc cannot read."""
    text = RULE.join(f"\\[{tex.strip()}\\]" if wide else f"\\({tex.strip()}\\)" for tex, wide in formulas)
    args = [pypandoc.get_pandoc_path(), "-f", "latex", "-t", "html", "--mathml", "--wrap=none", "--fail-if-warnings"]
    done = subprocess.run(args, input=text, capture_output=True, text=True, check=False)
    found = re.findall(r"<math.*?</math>", done.stdout, re.DOTALL)
    if done.returncode or len(found) != len(formulas):
        raise ValueError(f"pandoc cannot set one of {formulas}: {done.stderr}")
    return tuple(found)


def _displayed(math: str) -> str:
    return f'<div class="formula" tabindex="0">{math}</div>'


def typeset(app: Any, doctree: Any, docname: str) -> None:
    """Replace all formulas of a page, those in the HTML of executed cells too, by their MathML."""
    if app.builder.format != "html":
        return
    found = list(doctree.findall(lambda node: isinstance(node, nodes.math | nodes.math_block)))
    wanted = tuple((node.astext(), isinstance(node, nodes.math_block)) for node in found)
    for node, math in zip(found, markup(wanted) if wanted else (), strict=True):
        wide = isinstance(node, nodes.math_block)
        node.replace_self(nodes.raw("", _displayed(math) if wide else math, format="html"))
    for node in [n for n in doctree.findall(nodes.raw) if "$" in n.astext() and "html" in n["format"]]:
        text = node.astext()
        tex = tuple((_plain(m[1] or m[2]), m[1] is not None) for m in DOLLARS.finditer(text))
        done = iter(zip(markup(tex), tex, strict=True)) if tex else iter(())
        text = DOLLARS.sub(
            lambda _, it=done: (lambda pair: _displayed(pair[0]) if pair[1][1] else pair[0])(next(it)), text
        )
        node.replace_self(nodes.raw("", text, format="html"))


def _plain(escaped: str) -> str:
    return escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx."""
    skip = (lambda translator, node: None, None)
    app.add_html_math_renderer("mathml", skip, skip)
    app.connect("doctree-resolved", typeset)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
