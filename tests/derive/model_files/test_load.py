"""Where a model stands, what is found there, and what is said where it is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import wideproof as wp
from wideproof.derive import LanguageError, ParameterError, load_model, models
from wideproof.derive.model_files.load import ModelPlace, place_of

PLACES = {
    "./my_rnn.py:rnn": ("./my_rnn.py", "rnn", "python"),
    "my_rnn.py": ("my_rnn.py", "", "python"),
    "my_rnn.py:": ("my_rnn.py", "", "python"),
    r"C:\models\my.py:rnn": (r"C:\models\my.py", "rnn", "python"),
    r"C:\models\my.py": (r"C:\models\my.py", "", "python"),
    "C:/models/my.py:rnn": ("C:/models/my.py", "rnn", "python"),
    r"C:\models\my.toml": (r"C:\models\my.toml", "", "toml"),
    "a:b/my.py:rnn": ("a:b/my.py", "rnn", "python"),
    "MY.TOML": ("MY.TOML", "", "toml"),
    "package.module:rnn": ("package.module", "rnn", "module"),
    "module:rnn": ("module", "rnn", "module"),
    "folder/my_rnn": ("folder/my_rnn", "", "module"),
    "elman": None,
    "linear-rnn": None,
    "package.module": None,
    "-x:rnn": None,
    "": None,
    ":rnn": None,
}
MINE = '''
import wideproof as wp
from wideproof.derive import Alternating, models

def make(activation="erf", layers: int = 1, *, gain: float = 1.0):
    """A recursion of some layers."""
    rnn = wp.Recursion(f"mine-{layers}")
    F, C, h = rnn.input_map("F", "nu_F"), rnn.readout("C"), rnn.state("h")
    rnn.update(h, wp.activation(activation)(F @ rnn.x))
    rnn.output(C @ h)
    return rnn

def needs(layers):
    return make(layers=layers)

def late():
    import helper
    return make(layers=helper.LAYERS)

def nothing():
    return None

def fails():
    return 1 / 0

def positional(layers, /):
    return make(layers=layers)

half = wp.Recursion("half")
rnn = again = make()
amp = models.amp(1)
number = 3
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "my_rnn.py").write_text(MINE)
    (tmp_path / "helper.py").write_text("LAYERS = 4\n")
    (tmp_path / "only.py").write_text(MINE.replace("half =", "del Alternating; _ =").replace("amp =", "_ ="))
    (tmp_path / "function.py").write_text("def build():\n    pass\nCONSTANT = 3\n")
    return tmp_path


@pytest.mark.parametrize("text", PLACES)
def test_a_text_is_split_at_its_last_colon(text):
    found = place_of(text)
    assert (found and (found.place, found.name, found.kind)) == PLACES[text]
    assert found is None or isinstance(found, ModelPlace)


def test_names_of_a_file_are_recursions_programs_and_functions(folder):
    mine = f"{folder}/my_rnn.py"
    assert load_model(f"{mine}:rnn").name == load_model(f"{mine}:make").name == "mine-1"
    assert load_model(f"{mine}:make", layers=3, activation="tanh").name == "mine-3"
    assert load_model(f"{mine}:needs", layers=2).name == "mine-2"
    assert load_model(f"{mine}:late").name == "mine-4"
    assert load_model(f"{mine}:amp").program() == models.amp(1).program()
    assert load_model(Path(folder / "helper.py").with_name("my_rnn.py").as_posix() + ":rnn").name == "mine-1"
    assert wp.load_model is load_model


def test_a_toml_file_is_a_model_with_or_without_a_mark_of_utf8(folder):
    text = 'output = "C @ h"\nreadouts = { C = {} }\nstates = { h = {} }\nupdates = { h = "tanh(h)" } # ν'
    for encoding in ("utf-8", "utf-8-sig"):
        (folder / "one.toml").write_text(text, encoding=encoding)
        assert load_model(folder / "one.toml").name == "one"
    with pytest.raises(LanguageError, match=r"one.toml.*a file without a name, got rnn"):
        load_model(f"{folder}/one.toml:rnn")
    (folder / "one.toml").write_text(text.replace("tanh(h)", "tanh(g)"))
    with pytest.raises(LanguageError, match=r"one.toml: updates.h: expected .* got 'g' at column 6"):
        load_model(folder / "one.toml")
    (folder / "one.toml").write_bytes(b"\xff" + text.encode())
    with pytest.raises(LanguageError, match="text in UTF-8"):
        load_model(folder / "one.toml")
    (folder / "one.toml").write_bytes(b"#" * 10**6)
    with pytest.raises(LanguageError, match="at most 64 kB"):
        load_model(folder / "one.toml")


MISTAKES = {
    "my_rnn.py": "amp, half, rnn: 3 of them are models",
    "my_rnn.py:rmn": "Did you mean rnn?",
    "my_rnn.py:number": "an object of type int",
    "my_rnn.py:nothing": "it returned an object of type None",
    "my_rnn.py:fails": "line 24: expected Python that runs, got ZeroDivisionError",
    "my_rnn.py:positional": "a function of named arguments",
    "my_rnn.py:needs": "the options layers",
    "my_rnn.py:half": "Recursion half: expected at least one state",
    "my_rnn.py:wp": "an object of type module",
    "function.py": "no model; functions: build",
    "no_such.py:rnn": "expected a file that exists, got nothing there",
    "no_such.toml": "expected a file that exists, got nothing there",
    "": "got a folder",
    "my_rnn": "FILE.py:NAME or FILE.toml",
    "helper.py": "no model; functions: none",
    "\0.py:rnn": "nothing there",
    f"{'x' * 5000}.toml": "nothing there",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_is_missing_is_told_with_what_is_there(name, folder):
    place = f"{folder}/{name}" if name else f"{folder}.py"
    if not name:
        Path(place).mkdir()
    said = MISTAKES[name]
    with pytest.raises((LanguageError, ParameterError)) as caught:
        load_model(place)
    assert said in str(caught.value).replace("half, rnn, amp", "amp, half, rnn")


def test_the_only_recursion_of_a_file_needs_no_name_and_options_are_known(folder):
    assert load_model(f"{folder}/only.py").name == "mine-1"
    with pytest.raises(ParameterError, match="options among: activation, layers, gain"):
        load_model(f"{folder}/my_rnn.py:make", depth=3)
    with pytest.raises(ParameterError, match="options among: none"):
        load_model(f"{folder}/my_rnn.py:rnn", depth=3)
    with pytest.raises(LanguageError, match=r"wideproof\.models"):
        load_model("elman")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="every file can be read")
def test_a_file_that_may_not_be_read_is_told(folder):
    (folder / "my_rnn.py").chmod(0)
    with pytest.raises(LanguageError, match="a file that can be read"):
        load_model(f"{folder}/my_rnn.py:rnn")
