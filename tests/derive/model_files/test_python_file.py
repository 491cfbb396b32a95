"""A user's Python file runs as under `python FILE`, leaves no trace, and its errors lead to its own lines."""

from __future__ import annotations

import sys

import pytest

from wideproof.derive import LanguageError, ShapeError
from wideproof.derive.model_files.python_file import module_named, module_of_file

RNN = """
import wideproof as wp
rnn = wp.Recursion("mine")
F, C, h = rnn.input_map("F"), rnn.readout("C"), rnn.state("h")
rnn.update(h, F @ rnn.x)
rnn.output(C @ h)
"""


@pytest.fixture
def write(tmp_path):
    def written(text, name="my_rnn.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return written


def notes(error):
    return "\n".join(getattr(error, "__notes__", ()))


def test_a_file_runs_beside_its_neighbours_and_the_path_is_as_before(write):
    write("GAIN = 7", "helper.py")
    write("import helper\nDOUBLE = 2 * helper.GAIN", "inner/__init__.py")
    before = list(sys.path)
    module = module_of_file(write("import helper, inner\ngain = helper.GAIN + inner.DOUBLE\nname = __name__"))
    assert module.gain == 21
    assert module.name != "__main__"
    assert sys.path == before
    assert "helper" not in sys.modules


def test_two_files_with_neighbours_of_one_name_each_have_their_own(write):
    for folder in ("one", "two"):
        write(f"WHERE = {folder!r}", f"{folder}/helper.py")
        write(f"WHERE = {folder!r}", f"{folder}/space/part.py")
    text = "import helper, space.part\nfound = helper.WHERE, space.part.WHERE"
    assert [module_of_file(write(text, f"{folder}/my_rnn.py")).found for folder in ("one", "two")] == [
        ("one", "one"), ("two", "two"),
    ]  # fmt: skip


def test_what_was_imported_before_stays(write):
    import wideproof.derive.models as before

    module_of_file(write("import json, wideproof.derive.models"))
    assert sys.modules["wideproof.derive.models"] is before
    assert "json" in sys.modules


def test_a_changed_file_is_read_again_and_no_compiled_one_is_left(write):
    path = write("value = 1")
    assert module_of_file(path).value == 1
    write("value = 2")  # of the same size, within the same second
    assert module_of_file(path).value == 2
    assert list(path.parent.iterdir()) == [path]


def test_dataclasses_of_a_file_are_made(write):
    text = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int = 1\n"
    )
    assert module_of_file(write(text)).A().x == 1


BROKEN = {
    "a name that is not there": ("x = 1\ny = undefined_name\n", "line 2", "NameError: name 'undefined_name'"),
    "deeper": ("def f():\n    return 1 / 0\n\nx = f()\n", "line 2", "ZeroDivisionError: division by zero"),
    "no Python": ("x = 1\nrnn = (\n", "my_rnn.py", "SyntaxError: '(' was never closed"),
    "a zero byte": ("x = 1\0", "my_rnn.py", "null byte"),
    "a missing package": ("import no_such_package\n", "line 1", "ModuleNotFoundError"),
    "an exit": ("import sys\nsys.exit(1)\n", "line 2", "SystemExit: 1"),
    "an error of many lines": ("raise ValueError('first\\nsecond' + 'x' * 999)\n", "line 1", "ValueError: first"),
    "an error without words": ("raise ValueError\n", "line 1", "ValueError"),
    "an error that cannot be told": (
        "class E(Exception):\n    def __str__(self):\n        raise ValueError\nraise E\n", "line 4", "E"),
    "a file of its own": ("open('/no/such/file')\n", "line 1", "FileNotFoundError"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_does_not_run_is_told_by_its_line(name, write):
    text, where, got = BROKEN[name]
    before = set(sys.modules)
    with pytest.raises(LanguageError) as caught:
        module_of_file(write(text))
    assert where in caught.value.where
    assert str(caught.value.got).startswith(got) or got in str(caught.value.got)
    assert "\n" not in str(caught.value)
    own = notes(caught.value)
    assert "importlib" not in own
    assert "python_file.py" not in own
    if "line" in where:
        assert f'my_rnn.py", {where}' in own
    assert set(sys.modules) <= before


def test_an_error_of_a_neighbour_names_the_neighbour(write):
    write("x = 1\ny = undefined_name\n", "helper.py")
    with pytest.raises(LanguageError, match=r"helper\.py line 2") as caught:
        module_of_file(write("import helper\n"))
    assert [line.split('"')[1].rsplit("/", 1)[1] for line in notes(caught.value).splitlines() if "File" in line] == [
        "my_rnn.py", "helper.py",
    ]  # fmt: skip


def test_an_error_of_the_language_keeps_its_fields_and_gets_the_line(write):
    with pytest.raises(ShapeError) as caught:
        module_of_file(write(RNN.replace("F @ rnn.x", "rnn.x")))
    assert "my_rnn.py, line 5: update of h" in caught.value.where
    assert "F @ rnn.x" in caught.value.hint
    assert "rnn.update(h, rnn.x)" in notes(caught.value)


def test_an_interruption_and_a_lack_of_memory_pass(write):
    for error in (KeyboardInterrupt, MemoryError):
        with pytest.raises(error):
            module_of_file(write(f"raise {error.__name__}"))


def test_a_module_is_found_from_the_working_folder(write, monkeypatch):
    monkeypatch.chdir(write(RNN, "pack_of_models/elman.py").parents[1])
    assert module_named("pack_of_models.elman").rnn.name == "mine"
    with pytest.raises(LanguageError, match=r"no module pack_of_models\.other"):
        module_named("pack_of_models.other")
    with pytest.raises(LanguageError, match="no module no_such_package"):
        module_named("no_such_package.models")
    write("import no_such_package\n", "pack_of_models/broken.py")
    with pytest.raises(LanguageError, match="line 1: expected Python that runs"):
        module_named("pack_of_models.broken")
