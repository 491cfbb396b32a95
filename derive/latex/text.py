"""Text typed by trust: a plain `str` is always escaped, a `Latex` never is, and a sentence mixes both."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TypeAlias

from wideproof.derive.language.errors import DeriveError


class DocumentError(DeriveError, ValueError):
    """A document that cannot be typeset: a label used twice, a row too long, text where LaTeX is due."""


class Latex(str):
    """LaTeX source that is set as it stands.

    Construct it only from a SymPy printer or a template of ours, never from a user's words: joining it
    with `+` or `%` gives back a plain `str`, which is escaped again.
    """

    __slots__ = ()


@dataclass(frozen=True)
class Math:
    """A formula inside a line of text.  Errors: `DocumentError` unless the body is `Latex`."""

    body: Latex

    def __post_init__(self) -> None:
        require_latex("Math", self.body)


@dataclass(frozen=True)
class Ref:
    """The name and number of a labelled block: "Theorem 2", "Table 1", "(3)"."""

    label: str


@dataclass(frozen=True)
class Cite:
    """A citation of one entry of `refs.bib`; `note` says where in it, "Theorem 3.3"."""

    key: str
    note: str = ""


@dataclass(frozen=True)
class Emph:
    """Emphasised words."""

    text: str


@dataclass(frozen=True)
class Code:
    """Words of a program, in typewriter."""

    text: str


Inline: TypeAlias = str | Math | Ref | Cite | Emph | Code
Text: TypeAlias = Inline | tuple[Inline, ...]
"""One inline, or several set one after the other with nothing in between."""

# one pass, one character at a time.  Brackets and stars are braced because they would be read as an
# argument of a preceding \item or \\; a doubled - < > , ? ! is split because fonts join it into one glyph
SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%", "#": r"\#",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "`": r"\`{}", "\u00a0": "~",
    "[": "{[}", "]": "{]}", "*": "{*}",
}  # fmt: skip
LIGATURES = re.compile(r"(?<=([-<>,?!']))(?=[-<>,\\'])")


def clean(text: str) -> str:
    """The text without control characters, lone surrogates or runs of white space; Unicode form NFC."""
    composed = unicodedata.normalize("NFC", text)
    text = "".join(c for c in composed if c.isspace() or unicodedata.category(c)[0] != "C")
    return re.sub(r"[^\S\u00a0]+", " ", text)


def escape(text: str) -> Latex:
    """LaTeX that prints exactly `clean(text)`: no character of it is a command."""
    if isinstance(text, Latex):
        return text
    return Latex(LIGATURES.sub("{}", "".join(SPECIAL.get(c, c) for c in clean(text))))


def inlines(text: Text) -> tuple[Inline, ...]:
    """The inlines of a text, in order."""
    return text if isinstance(text, tuple) else (text,)


def marked(text: str) -> tuple[Inline, ...]:
    """A sentence of ours whose formulas stand between dollar signs; never a user's words."""
    parts = (Math(Latex(part)) if i % 2 else part for i, part in enumerate(text.split("$")))
    return tuple(part for part in parts if part)


def plain(text: Text) -> str:
    """The text without mark-up, for a bookmark, a window title or a reader of alternative text."""
    return clean("".join(_plain(part) for part in inlines(text)))


def _plain(part: Inline) -> str:
    match part:
        case Math(body):
            return re.sub(r"[\\{}]|\\(left|right|,|quad)", "", body)
        case Latex():
            return re.sub(r"\\[a-zA-Z]+|[\\{}$]", "", part)
        case str():
            return part
        case Emph(text) | Code(text):
            return text
        case Ref(name) | Cite(name):
            return name


def require_latex(where: str, body: object) -> None:
    """Refuse a formula given as a plain string.  Errors: `DocumentError`."""
    if not isinstance(body, Latex):
        raise DocumentError(where, "Latex", type(body).__name__, "Print it with wideproof.derive.latex.displays.")
