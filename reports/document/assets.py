"""The templates: every template, filter, style sheet and the bibliography."""

from __future__ import annotations

from pathlib import Path

from wideproof.derive.language.errors import DeriveError

MARK = "document.tex.j2"


def templates() -> Path:
    """The folder holding every template, filter, style sheet and `refs.bib`.

    Errors: `DeriveError` when the installation lost its data files.
    """
    place = Path(__file__).resolve().parents[1] / "templates"
    if not (place / MARK).is_file():
        raise DeriveError("templates", f"{MARK} in wideproof/reports/templates", place, "Reinstall wideproof.")
    return place


def read(name: str) -> str:
    """The text of one template file, UTF-8."""
    return (templates() / name).read_text(encoding="utf-8")
