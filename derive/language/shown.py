"""How objects and the words of a user show themselves: a line of text, a page in a notebook."""

from __future__ import annotations

import importlib
import unicodedata

LINE = 200
"""Letters of one part of a line, such as an update, beyond which it is cut."""
NOTEBOOK = "wideproof.derive.latex.notebook"
"""What writes HTML, by name: it prints mathematics, and this room reads no printer."""


def cut(text: object, most: int = LINE) -> str:
    """The text on one line, its end left out where it is longer than `most` letters."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories that a terminal obeys or hides: controls, directions of writing, surrogates, line separators."""


def visible(text: object, most: int | None = None, *, lines: bool = False) -> str:
    r"""The text with every character that a terminal would obey or hide as its escape, \x1b for the escape byte.

    `most` cuts it after so many characters and says how many are left out; `lines` lets line ends stand.
    """
    given = str(text)
    shown = given if most is None else given[:most]
    if not shown.isprintable():
        shown = "".join(_seen(c, lines) for c in shown)
    if most is None or len(given) <= most:
        return shown
    return f"{shown}… ({len(given) - most} characters left out)"


def _seen(character: str, lines: bool) -> str:
    if unicodedata.category(character) not in UNSEEN or (lines and character in "\n\t"):
        return character
    return character.encode("unicode_escape").decode("ascii")


class InNotebooks:
    """Shows itself in a notebook as `derive.latex.notebook` writes it."""

    def _repr_html_(self) -> str:
        text: str = importlib.import_module(NOTEBOOK).written(self)
        return text
