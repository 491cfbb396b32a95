"""What is no file of moderate size is refused before it is read: pipes, devices, folders, and what unfolds too far."""

from __future__ import annotations

import gzip
import os
import socket
from pathlib import Path

import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings import files, load_recording
from wideproof.numeric.recordings.files import content, refusal


def made(kind, folder):
    path = folder / "x.csv"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a folder":
        path.mkdir()
    elif kind == "a socket":
        socket.socket(socket.AF_UNIX).bind(str(path))
    else:
        path.symlink_to("/dev/zero")
    return path


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("kind", ["a pipe", "a folder", "a socket", "a device"])
def test_what_is_no_file_is_not_waited_for(kind, tmp_path):
    path = made(kind, tmp_path)
    with pytest.raises(ParameterError) as caught:
        content(path)
    assert caught.value.got == kind
    with pytest.raises(ParameterError):
        load_recording(path, inputs=["a"], outputs=["b"])


@pytest.mark.parametrize("name", ["none.csv", "a\0b.csv", "x" * 5000, Path("no/such"), 7, None, b"bytes.csv"])
def test_a_name_that_no_file_has_is_refused(name):
    with pytest.raises(ParameterError) as caught:
        load_recording(name, inputs=["a"], outputs=["b"])
    assert len(str(caught.value)) < 1000


def test_a_file_is_read_up_to_its_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LARGEST", 100)
    (tmp_path / "a").write_bytes(b"x" * 100)
    (tmp_path / "b").write_bytes(b"x" * 101)
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"x" * 100))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"x" * 101))
    assert content(tmp_path / "a") == content(tmp_path / "a.gz") == b"x" * 100
    for name in ("b", "b.gz"):
        with pytest.raises(ParameterError, match="at most 100 bytes"):
            content(tmp_path / name)


@pytest.mark.parametrize("broken", ["cut", "no gzip", "second part", "empty"])
def test_a_broken_gzip_file_is_refused_and_one_of_two_parts_read(broken, tmp_path):
    whole = gzip.compress(b"abc") + gzip.compress(b"def")
    (tmp_path / "a.gz").write_bytes(whole)
    assert content(tmp_path / "a.gz") == b"abcdef"
    data = {"cut": whole[:-9], "no gzip": b"abc", "second part": whole[:23] + b"junk", "empty": b""}[broken]
    (tmp_path / "a.gz").write_bytes(data)
    with pytest.raises(ParameterError, match="a gzip file"):
        content(tmp_path / "a.gz")


def test_a_refusal_shows_no_raw_escape_and_is_short():
    error = refusal("\x1b[31m.csv", "\x9b" * 400, "\u202e" * 9_000, "a\rb")
    assert str(error).isprintable()
    assert len(str(error)) < 8000
    assert error.where == "\\x1b[31m.csv"
    assert refusal("a", "b", ["u", "v"], "c").got == ["u", "v"]
