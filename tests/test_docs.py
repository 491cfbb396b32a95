"""The pages of docs/ run: all Python blocks of a page in one namespace, and they print what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
FLOORS = ("derive", "numeric", "reports")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_prints_what_it_says(page, capsys):
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "page"}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    said = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out == "".join(said)


def test_the_architecture_names_what_exists():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    tree, walks = re.search(r"```\n(wideproof.*?)```(.*)", text, re.DOTALL).groups()
    paths, floor = [], ""
    for line in tree.splitlines():
        name = line.split()[0]
        floor = floor if line.startswith(" ") else name
        paths.append(floor + name if line.startswith(" ") else name)
    paths += re.findall(r"`([a-z_]+/[\w/.]+)`", walks)
    assert len(paths) > 50
    assert [path for path in paths if not (ROOT / path).exists()] == []
    rooms = {str(path.relative_to(ROOT)) for floor in FLOORS for path in (ROOT / floor).iterdir() if path.is_dir()}
    rooms -= {room for room in rooms if room.endswith(("__pycache__", "templates"))}
    assert {path.rstrip("/") for path in paths} >= rooms
