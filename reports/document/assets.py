"""The templates and how files are written."""

from __future__ import annotations

import os
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


def write_atomically(path: Path, data: str | bytes) -> Path:
    """Replace `path` in one step: a reader sees the old file or the new one, never half of one."""
    raw = data.encode("utf-8") if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(raw)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
