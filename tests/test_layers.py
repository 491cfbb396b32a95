"""Imports point one way: floor by floor in a fresh process, and room by room as the files are written."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FORBIDDEN = {
    "derive": ("wideproof.numeric.core", "wideproof.reports.document", "matplotlib", "cupy"),
    "numeric": ("wideproof.reports.document", "cupy"),
}
CHECK = """import sys
from wideproof import {floor}
for name in {floor}.__all__:
    getattr({floor}, name)
print(*sorted(set({forbidden}) & set(sys.modules)))"""
ROOMS = {
    "derive": (
        "language", "models", "model_files", "algebra", "proof", "expectation", "calculus", "latex", "emit",
        "alternating", "limits", "polynomial_recursions", "width_expansion", "linear", "memory_horizon", "referee",
        "audit", "certificate",
    ),
    "numeric": (
        "core", "runs", "recordings", "sampling", "networks", "process", "kernels", "linear_rnn", "memory_horizon",
        "validation", "paper", "benchmarks",
    ),
    "reports": ("document", "render", "write", "sections", "paper", "cli"),
}  # fmt: skip
"""The rooms of each floor, from the ground up: a room reads those before it, never those after."""


def loaded(floor, before=""):
    code = before + CHECK.format(floor=floor, forbidden=repr(FORBIDDEN[floor]))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("floor", FORBIDDEN)
def test_a_floor_imports_none_of_the_later_ones(floor):
    assert loaded(floor) == []


def test_the_check_of_floors_can_fail():
    assert loaded("derive", "import wideproof.numeric.core.arrays; ") != []


def imports(text):
    """Every module of ours that a file names in an import, wherever it stands."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def upward(floor, room, text):
    """Imports in a file of `room` that lead to a room after it, to a later floor, or to a floor's public face."""
    floors, found = list(ROOMS), []
    for name in imports(text):
        head, *path = name.split(".")
        if head != "wideproof" or not path:
            continue
        if path[0] != floor:
            if path[0] not in floors or floors.index(path[0]) > floors.index(floor):
                found.append(name)
        elif path[1] not in ROOMS[floor] or ROOMS[floor].index(path[1]) > ROOMS[floor].index(room):
            found.append(name)
    return found


@pytest.mark.parametrize(("floor", "room"), [(floor, room) for floor, rooms in ROOMS.items() for room in rooms])
def test_a_room_reads_only_those_before_it(floor, room):
    place = ROOT / floor / room
    files = sorted(place.rglob("*.py")) or [place.with_suffix(".py")]
    wrong = {str(file): upward(floor, room, file.read_text()) for file in files}
    assert {file: names for file, names in wrong.items() if names} == {}


@pytest.mark.parametrize("text", [
    "from wideproof.derive.audit.world import World",
    "def late():\n    from wideproof.derive.calculus import moments",
    "import wideproof.numeric.core.arrays",
    "from wideproof.derive import ntk",
])  # fmt: skip
def test_the_check_of_rooms_can_fail(text):
    assert upward("derive", "proof", text) != []
    assert upward("derive", "proof", "from wideproof.derive.language.errors import ProofError") == []


@pytest.mark.parametrize("floor", ROOMS)
def test_every_room_is_listed_and_holds_at_most_fourteen_modules(floor):
    held = {path.stem for path in (ROOT / floor).iterdir() if path.suffix == ".py" or path.is_dir()}
    assert held - {"__pycache__", "__init__", "templates"} == set(ROOMS[floor])
    for folder in [ROOT / floor, *(path for path in (ROOT / floor).rglob("*") if path.is_dir())]:
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 14, folder


def test_a_test_file_bears_the_name_of_its_module():
    strays = []
    for floor in ROOMS:
        for path in (ROOT / "tests" / floor).rglob("test_*.py"):
            module = ROOT / path.parent.relative_to(ROOT / "tests") / f"{path.stem.removeprefix('test_')}.py"
            strays += [] if module.is_file() else [path]
    assert strays == []
