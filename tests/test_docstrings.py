"""Public names say what they claim and where it comes from; every source is in the bibliography."""

import doctest
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import wideproof as wp
from wideproof import derive

PUBLIC = [getattr(derive, name) for name in derive.__all__ if callable(getattr(derive, name))]
ROOT = Path(__file__).parents[1]
NAMES = [name for name in wp.__all__ if not inspect.ismodule(getattr(wp, name))]
SHOWN = {name: getattr(wp, name) for name in NAMES} | {f"models.{x}": getattr(wp.models, x) for x in wp.models.__all__}
CITATION = re.compile(r"\b[a-z]{2,}(?:1[89]|20)\d{2}[a-z]+\d?\b")  # such as emami2021implicit


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_the_first_line_is_a_sentence(thing):
    first = (inspect.getdoc(thing) or "").partition("\n")[0]
    assert len(first.split()) >= 3
    assert first[0].isupper() or first[0].isalpha()
    assert first.endswith((".", ":", ";")) or "  Source" in first or "," in first


def test_quantities_name_their_source():
    for name in ("impulse_response", "scale_factors", "equivalent_convolution", "ntk", "nngp", "state_evolution"):
        assert "Source: " in inspect.getdoc(getattr(derive, name)), name


@pytest.mark.parametrize("room", ["derive", "numeric", "reports"])
def test_every_source_is_in_the_bibliography(room):
    listed = set(re.findall(r"@\w+\{([^,\s]+)", (ROOT / "templates" / "refs.bib").read_text()))
    text = "\n".join(path.read_text() for path in sorted((ROOT / room).rglob("*.py")))
    cited = set(CITATION.findall(text))
    assert "emami2021implicit" in cited
    assert cited <= listed


def failures(thing, name):
    """How many examples of a docstring there are, and what was wrong with each that fails."""
    globs, wrong = {"wp": wp, "np": np, "sp": sp}, []
    (test,) = [t for t in doctest.DocTestFinder(recurse=False).find(thing, name, globs=globs) if t.name == name]
    doctest.DocTestRunner(verbose=False).run(test, out=wrong.append)
    return len(test.examples), "".join(wrong)


@pytest.mark.parametrize("name", SHOWN)
def test_every_public_name_has_an_example_that_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    examples, wrong = failures(SHOWN[name], name)
    assert examples > 0
    assert wrong == ""


def test_an_example_that_says_something_else_is_noticed():
    def false():
        """A sum.

        >>> 1 + 1
        3
        """

    assert "Expected:\n    3" in failures(false, "false")[1]
