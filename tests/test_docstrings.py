"""Public names say what they claim and where it comes from; every source is in the bibliography."""

import inspect
import re
from pathlib import Path

import pytest

from wideproof import derive

PUBLIC = [getattr(derive, name) for name in derive.__all__ if callable(getattr(derive, name))]
ROOT = Path(__file__).parents[1]
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
