"""The reference: every public name by its docstring, every verb by its help, every source by its entry."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import wideproof as wp
from wideproof.reports.render.bibliography import entries

GROUPS = {
    "Recursions": "derive.language.recursion derive.language.program derive.language.alternating derive.model_files",
    "Activations": "derive.language.activations",
    "Limits": "derive.limits derive.memory_horizon derive.alternating",
    "Linear recursions": "derive.linear",
    "Finite width": "derive.width_expansion",
    "Formulas and proofs": "derive.emit derive.proof derive.referee",
    "Kernels and prediction": "numeric.kernels numeric.memory_horizon numeric.core.enclosures",
    "Networks of a finite width": "numeric",
    "Reports": "reports",
    "Errors": "derive.language.errors",
}
"""Heading -> the rooms, or modules, whose public names stand under it; the first that holds a name."""
VERBS = ("models", "derive", "check", "eval", "memory", "validate", "report", "certify", "reproduce", "bench", "runs")
ROUTING = "set_fit_request, set_predict_request, set_score_request"
"""Methods that scikit-learn adds, with texts of its own."""
ACCENTS = {'"': "\u0308", "'": "\u0301", "`": "\u0300", "^": "\u0302", "~": "\u0303", "=": "\u0304", ".": "\u0307",
           "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "d": "\u0323", "k": "\u0328"}  # fmt: skip
ACCENTED = re.compile(r"""\\(["'`^~=.]|[uvHcdk](?![a-zA-Z])) ?\{?(\\?\w)\}?""")
LABEL = re.compile(r"(?:^|(?<=[.:]) {1,2}|(?<=\n))(Shapes?|Units?|Errors?|Options|Sources?): ", re.MULTILINE)
KEY = re.compile(r"\b[a-z]{2,}(?:1[89]|20)\d{2}[a-z]+\d?\b")


def write(folder: Path) -> None:
    """Write the pages of the reference and of the bibliography."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "python.rst").write_text(_python(), encoding="utf-8")
    (folder / "models.rst").write_text(_models(), encoding="utf-8")
    (folder / "commands.md").write_text(_commands(), encoding="utf-8")
    (folder / "references.md").write_text(_references(), encoding="utf-8")


def _titled(title: str, line: str = "=") -> str:
    return f"{title}\n{line * len(title)}\n\n"


def _python() -> str:
    text = _titled("Python") + (
        "Every name is reached as ``import wideproof as wp``; examples also know ``import numpy as np`` and\n"
        "``import sympy as sp``, and are run by the tests.\n\n"
    )
    listed: dict[str, list[str]] = {heading: [] for heading in GROUPS}
    for name in wp.__all__:
        if name not in ("derive", "numeric", "reports", "models"):
            listed[_heading(name)].append(name)
    for heading, names in listed.items():
        text += _titled(heading, "-") + "".join(map(_entry, names))
    return text


def _heading(name: str) -> str:
    """Where a public name stands, by the room of its module."""
    place = f"{getattr(wp, name).__module__.removeprefix('wideproof.')}."
    return next(heading for heading, rooms in GROUPS.items() if place.startswith(tuple(f"{x}." for x in rooms.split())))


def _entry(name: str) -> str:
    thing = getattr(wp, name)
    if not isinstance(thing, type):
        return f".. autofunction:: wideproof.{name}\n\n"
    error = issubclass(thing, Exception)
    members = f"   :members:\n   :exclude-members: {ROUTING}\n   :member-order: bysource\n"
    kind, below = ("exception", "") if error else ("class", members)
    return f".. auto{kind}:: wideproof.{name}\n{below}\n"


def _models() -> str:
    names = wp.models.__all__
    text = _titled("Models") + "The functions of ``wideproof.models``; the gallery shows their limits.\n\n"
    return text + "".join(f".. autofunction:: wideproof.models.{name}\n\n" for name in names)


def _commands() -> str:
    from typer.testing import CliRunner

    from wideproof.reports.cli.app import app

    text = "# Commands\n\nEvery verb as it explains itself; `wideproof VERB MODEL --help` adds the options and the "
    text += "symbols of the model.\n\n"
    for words in ([], *([verb] for verb in VERBS)):
        env = {"TERMINAL_WIDTH": "80", "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
        shown = CliRunner(env=env).invoke(app, [*words, "--help"], prog_name="wideproof").stdout
        shown = re.sub(r"\x1b\[[0-9;]*m", "", shown)
        text += f"## {' '.join(['wideproof', *words])}\n\n```{{code-block}} none\n{shown.strip(os.linesep)}\n```\n\n"
    return text


def _references() -> str:
    text = "# References\n\nThe sources that rules and docstrings name, by their keys.\n\n"
    for key, entry in sorted(entries().items()):
        fields = dict(re.findall(r"^\s*(\w+) = \{(.*)\},?$", entry, re.MULTILINE))
        where = fields.get("journal") or fields.get("booktitle") or fields.get("publisher") or fields.get("note", "")
        said = f"{fields.get('author', '')}: *{fields.get('title', '')}*. {where} {fields.get('year', '')}."
        said = ACCENTED.sub(lambda m: unicodedata.normalize("NFC", m[2].strip("\\") + ACCENTS[m[1]]), said)
        said = re.sub(r"[{}\\$]", "", said).replace("--", "–").replace(" .", ".")
        link = f" [doi:{fields['doi']}](https://doi.org/{fields['doi']})" if "doi" in fields else ""
        arxiv = re.search(r"arXiv:(\d{4}\.\d{4,5}|[a-z-]+/\d{7})", entry)
        link += f" [{arxiv[0]}](https://arxiv.org/abs/{arxiv[1]})" if arxiv else ""
        text += f"({key})=\n**{key}** {said}{link}\n\n"
    return text


# ---- docstrings ---------------------------------------------------------------------------------------
def docstring(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring of ours into reStructuredText: code between backticks, labels in bold, sources as links."""
    prose, examples = [], []
    for part in "\n".join(lines).strip().split("\n\n"):
        (examples if part.lstrip().startswith(">>>") else prose).append(part)
    lines[:] = [*"\n\n".join([*map(_prose, prose), *examples]).splitlines(), ""]


def signature(app: Any, what: str, name: str, thing: Any, options: Any, args: str | None, back: str | None) -> Any:
    """Leave out of a signature what a builder keeps for itself."""
    return (re.sub(r", _\w+=<factory>|, _\w+=\w+", "", args), back) if args else None


def _prose(part: str) -> str:
    split = part.split("`")
    plain = [_escaped(text) if k % 2 == 0 else f"``{' '.join(text.split())}``" for k, text in enumerate(split)]
    for k in range(0, len(plain) - 1, 2):
        plain[k] += "\\ " if plain[k] and plain[k][-1] not in " \n(" else ""
    for k in range(2, len(plain), 2):
        plain[k] = ("\\ " if plain[k] and plain[k][0].isalnum() else "") + plain[k]
    return LABEL.sub(lambda m: f"\n\n**{m[1]}.** ", "".join(plain))


def _escaped(text: str) -> str:
    text = re.sub(r"([\\*|])", r"\\\1", text)
    text = re.sub(r"_(?![a-zA-Z0-9])", r"\\_", text)
    known = entries()
    return KEY.sub(lambda m: f":ref:`{m[0]} <{m[0]}>`" if m[0] in known else m[0], text)
