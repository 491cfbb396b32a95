"""The licences of what wideproof depends on, read from the metadata of what is installed."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

PROJECT = Path(__file__).parents[2] / "pyproject.toml"
HEAD = """# Licences

wideproof is under the MIT licence; the vendored recordings are under BSD-3-Clause. What it depends on is installed, not
shipped, and stands under licences of its own. This table is made at the build of these pages from the metadata of the
installed packages.

| package | needed for | licence | version here |
|---|---|---|---|
"""


def write(folder: Path) -> None:
    """Write the page: every dependency of pyproject.toml, the extras too."""
    rows, seen = [], set()
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]
    groups = {"everything": project["dependencies"]}
    groups |= {f"`[{extra}]`": needs for extra, needs in project["optional-dependencies"].items()}
    for group, needs in groups.items():
        for name in (re.match(r"[\w.-]+", need)[0] for need in needs):
            if name not in seen:
                seen.add(name)
                rows.append((name, group, *_licence(name)))
    folder.mkdir(parents=True, exist_ok=True)
    text = HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows)
    (folder / "licences.md").write_text(text, encoding="utf-8")


def _licence(name: str) -> tuple[str, str]:
    """The licence and the version of an installed package, in the words of its metadata."""
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "not installed where these pages were built", "–"
    classifiers = [c.rpartition(" :: ")[2] for c in found.get_all("Classifier") or () if c.startswith("License ::")]
    said = found.get("License-Expression") or ", ".join(classifiers) or (found.get("License") or "").split("\n")[0]
    return (said.replace("|", "/") or "not stated in its metadata"), found["Version"]
