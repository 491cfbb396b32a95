"""Imports point one way: derive <- numeric <- reports, seen from a fresh process."""

import subprocess
import sys

import pytest

FORBIDDEN = {"derive": ("numeric", "reports", "matplotlib", "cupy"), "numeric": ("reports", "cupy")}
CHECK = "import sys; import {room}; print(*sorted(set({forbidden}) & set(sys.modules)))"


def loaded(room, forbidden, before=""):
    code = before + CHECK.format(room=room, forbidden=repr(forbidden))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("room", FORBIDDEN)
def test_a_room_imports_none_of_the_later_ones(room):
    assert loaded(room, FORBIDDEN[room]) == []


def test_the_check_can_fail():
    assert loaded("derive", FORBIDDEN["derive"], "import numeric; ") != []
