import dataclasses
from pathlib import Path

import jinja2
import pytest

from wideproof.derive.latex.text import Cite, DocumentError, Latex, Ref
from wideproof.reports.document.assets import templates
from wideproof.reports.document.blocks import (
    BLOCKS,
    Document,
    Equation,
    Figure,
    Listing,
    Paragraph,
    Section,
    Table,
    Theorem,
)
from wideproof.reports.render import typeset as module
from wideproof.reports.render.bibliography import entries, extract
from wideproof.reports.render.latex_subset import lint_tex
from wideproof.reports.render.typeset import environment, typeset

GOLDEN = Path(__file__).with_name("golden.tex")


def test_golden(small):
    assert typeset(small) == GOLDEN.read_text()


def test_the_source_is_in_the_subset_and_repeatable(illustrated):
    lint_tex(typeset(illustrated))
    assert typeset(illustrated) == typeset(illustrated)


def test_every_block_has_a_template():
    for block in BLOCKS:
        assert (templates() / f"{block.__name__.lower()}.tex.j2").is_file()


def test_templates_hold_no_formula():
    for path in templates().glob("*.tex.j2"):
        assert "$" not in path.read_text()
        assert r"\frac" not in path.read_text()


def test_a_missing_name_is_an_error():
    with pytest.raises(jinja2.UndefinedError):
        environment().from_string("<<missing>>").render()


def test_a_value_is_escaped_unless_it_is_latex():
    line = environment().from_string("<<x>> <<y>> <<z>>")
    assert line.render(x="a_b", y=Latex("a_b"), z=0.5) == r"a\_b a_b 0.5"


def test_without_finalize_the_escape_test_would_fail(monkeypatch):
    monkeypatch.setattr(module, "finalize", str)
    assert environment().from_string("<<x>>").render(x="a_b") == "a_b"


def document(*blocks) -> Document:
    return Document("T", "A", (Section("S", blocks),))


@pytest.mark.parametrize(
    ("make", "where"),
    [
        (lambda: typeset(document(Paragraph(Ref("thm:none")))), "Ref"),
        (lambda: typeset(document(Paragraph(Cite("nobody1900")))), "Cite"),
        (lambda: typeset(document(*[Equation(Latex("x"), "eq:a")] * 2)), "label"),
        (lambda: typeset(document(Equation(Latex("x"), r"eq:\a"))), "label"),
        (lambda: Equation("x"), "Equation"),
        (lambda: Theorem((), "claim"), "Theorem"),
        (lambda: Table(("a", "b"), (("1",),), "c"), "Table row 0"),
        (lambda: Table(("a", "b"), (), "c", align="l|r"), "Table.align"),
        (lambda: Figure(Path("a b}"), "c", "d"), "Figure.stem"),
        (lambda: Listing(r"\end{verbatim}\input{x}"), "Listing"),
    ],
)
def test_a_document_that_cannot_be_set_says_where(make, where):
    with pytest.raises(DocumentError) as caught:
        make()
    assert caught.value.where == where
    assert caught.value.hint


def test_blocks_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Paragraph("x").text = "y"


def test_the_bibliography_holds_the_keys_of_the_product():
    assert {"emami2021implicit", "bolthausen2014iterative", "bayati2011dynamics", "jacot2018neural", "nitime",
            "price1958useful", "isserlis1918formula", "stein1981estimation", "lee2019wide", "yang2019scaling",
            "yang2020tensor2", "baechlin2010wearable", "aeon2024"} <= set(entries())  # fmt: skip
    assert extract(["nitime"]).count("@") == 1
