"""The page on proofs names every theorem that a rule cites, with its source."""

from pathlib import Path

from wideproof import derive
from wideproof.derive.proof.rules import Rule

PAGE = (Path(__file__).parents[1] / "docs" / "proofs.md").read_text(encoding="utf-8")


def cited():
    for name in derive.__all__:
        getattr(derive, name)
    return {name: rule for name, rule in Rule.registry.items() if rule.status == "cited"}


def test_the_page_lists_each_cited_theorem_and_no_other():
    rows = [line.strip("| ").split(" | ") for line in PAGE.partition("## Theorems")[2].splitlines() if "|" in line][2:]
    assert {row[0]: row[1] for row in rows} == {name: rule.source for name, rule in cited().items()}
    assert all(len(row) == 3 for row in rows)


def test_the_page_explains_each_status():
    assert all(f"| {status} |" in PAGE for status in ("assumed", "proved", "cited", "numeric"))
