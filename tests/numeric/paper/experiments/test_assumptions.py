"""Choices: every field of an experiment has a meaning, and is read from text as its own type."""

from __future__ import annotations

from dataclasses import fields

import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.paper.experiments import DelaySetting, Ladder, Protocol, Setting, Sizes, choices, chosen

KINDS = (Setting, Sizes, Ladder, DelaySetting, Protocol)


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_a_choice_with_a_meaning(kind):
    found = choices(kind())
    assert [c.name for c in found] == [f.name for f in fields(kind)]
    assert all(len(c.meaning) > 10 for c in found)


@pytest.mark.parametrize("kind", KINDS)
def test_every_choice_is_read_back_from_its_own_text(kind):
    start = kind()
    assert chosen(start, {c.name: c.text for c in choices(start)}) == start


def test_only_what_the_paper_states_is_called_stated():
    assert [c.name for c in choices(Setting()) if c.stated] == ["teacher", "sequences", "snr_db"]
    assert not any(c.stated for kind in KINDS[1:] for c in choices(kind()))


def test_changes_take_numbers_lists_and_powers_of_ten():
    assert chosen(Sizes(), {"curve_width": "1e9"}).curve_width == 10**9
    assert chosen(Sizes(), {"widths": "100,1e4,1e6"}).widths == (100, 10**4, 10**6)
    assert chosen(Protocol(), {"nu_W": "0.5"}).nu_W == (0.5,)
    assert chosen(Setting(), {"nu_W": "0.5", "delays": "3"}).nu_W == 0.5
    assert type(chosen(Setting(), {"steps": "20"}).steps) is int


@pytest.mark.parametrize(("name", "text"), [("steps", "many"), ("steps", "1.5"), ("nu_W", "a"), ("steps", "")])
def test_text_that_is_no_such_number_is_refused_by_name(name, text):
    with pytest.raises(ParameterError) as caught:
        chosen(Setting(), {name: text})
    assert caught.value.where == f"--set {name}"


@pytest.mark.parametrize("kind", [DelaySetting, Protocol])
def test_widths_that_cannot_be_held_are_refused(kind):
    with pytest.raises(ParameterError) as caught:
        chosen(kind(), {"width": "1e9"})
    assert "figure 1" in caught.value.hint
