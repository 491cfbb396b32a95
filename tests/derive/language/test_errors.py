"""Messages of errors are of bounded length, whatever formula they refuse; their fields hold all of it."""

import inspect
import pickle

import pytest

from wideproof.derive import LanguageError, Recursion
from wideproof.derive.language import errors
from wideproof.derive.language.errors import LONGEST, LONGEST_HINT, DeriveError, TooLarge
from wideproof.derive.language.notation import TAKEN

KINDS = [x for _, x in inspect.getmembers(errors, inspect.isclass) if issubclass(x, DeriveError) and x is not TooLarge]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", range(4))
def test_a_message_is_bounded_and_says_how_much_it_leaves_out(kind, place):
    parts: list[object] = ["where", "expected", "got", "Do this."]
    parts[place] = "x" * 100_000
    error = kind(*parts)
    assert len(str(error)) < LONGEST + LONGEST_HINT + 200
    assert f"({100_000 - (LONGEST_HINT if place == 3 else LONGEST // 3)} characters left out)" in str(error)
    assert (error.where, error.expected, error.got, error.hint) == tuple(parts)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    if place < 3:
        assert str(error).endswith("Do this.")


def test_a_short_message_is_whole():
    assert str(DeriveError("here", "a", 3, "Do this.")) == "here: expected a, got 3. Do this."


def test_the_list_of_names_that_are_taken_is_never_cut():
    with pytest.raises(LanguageError) as caught:
        Recursion("r").matrix("W", "seed")
    assert all(name in str(caught.value) for name in TAKEN)
    assert "left out" not in str(caught.value)
