"""Public names say what they claim and where it comes from; every source is in the bibliography."""

import inspect
import re
from pathlib import Path

import pytest

import derive
from derive.proof import Rule

PUBLIC = [getattr(derive, name) for name in derive.__all__ if callable(getattr(derive, name))]
BIBLIOGRAPHY = Path(derive.__file__).parents[1] / "templates" / "refs.bib"
PENDING = {"geman1986spectral", "bai1986limiting", "tao2010random"}  # cited by the circular law, entries to come
KEY = re.compile(r"\b[a-z]+\d{4}[a-z]*\d?\b")


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda thing: thing.__name__)
def test_the_first_line_is_a_sentence(thing):
    first = (inspect.getdoc(thing) or "").partition("\n")[0]
    assert len(first.split()) >= 3
    assert first[0].isupper() or first[0].isalpha()
    assert first.endswith((".", ":", ";")) or "  Source" in first or "," in first


def keys():
    texts = [inspect.getdoc(thing) or "" for thing in PUBLIC] + [rule.source for rule in Rule.registry.values()]
    return {key for text in texts for key in KEY.findall(text)}


def test_quantities_name_their_source():
    for name in ("impulse_response", "scale_factors", "equivalent_convolution", "ntk", "nngp", "state_evolution"):
        assert "Source: " in inspect.getdoc(getattr(derive, name)), name


@pytest.mark.skipif(not BIBLIOGRAPHY.exists(), reason="no bibliography yet")
def test_every_source_is_in_the_bibliography():
    listed = set(re.findall(r"@\w+\{([^,\s]+)", BIBLIOGRAPHY.read_text()))
    assert keys()
    assert keys() - listed <= PENDING
