"""A section is one file in the folder of its kind: found there, in its place, absent where it has nothing to tell."""

from __future__ import annotations

import pytest

from wideproof.reports.sections.report import ALTERNATING, LINEAR, NONLINEAR
from wideproof.reports.sections.section import Draft, sections_in

FILE = """
from wideproof.reports.document.blocks import Paragraph
from wideproof.reports.sections.section import section

@section("{title}", "sec:{title}", {place}, does="says {title}")
def told(run, draft):
    return (Paragraph("{title}"),) if run else ()
"""


def test_a_file_in_the_folder_is_a_section_of_the_report(tmp_path, monkeypatch):
    folder = tmp_path / "some_sections"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for file, title, place in (("a", "second", 20), ("b", "first", 10)):
        (folder / f"{file}.py").write_text(FILE.format(title=title, place=place))
    (folder / "c.py").write_text("from some_sections.a import told\n")  # read by another, still one section
    monkeypatch.syspath_prepend(tmp_path)
    found = sections_in("some_sections")
    assert [one.label for one in found] == ["sec:first", "sec:second"]
    assert found[0].written(True, Draft(tmp_path)).title == "first"
    assert found[0].written(False, Draft(tmp_path)) is None


@pytest.mark.parametrize("kind", [ALTERNATING, LINEAR, NONLINEAR], ids=["alternating", "linear", "nonlinear"])
def test_sections_of_a_kind_have_places_and_labels_of_their_own(kind):
    assert len({one.place for one in kind.sections}) == len({one.label for one in kind.sections}) == len(kind.sections)
    assert {"sec:limit", "sec:confirmation"} <= {one.label for one in kind.sections}
