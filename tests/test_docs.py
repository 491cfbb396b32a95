"""The pages of docs/ run: all Python blocks of a page in one namespace, and they print what the page says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_runs_and_prints_what_it_says(page, capsys):
    text = page.read_text(encoding="utf-8")
    names: dict[str, object] = {"__name__": "page"}
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(compile(block, str(page), "exec"), names)
    said = re.findall(r"^```text\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert capsys.readouterr().out == "".join(said)
