"""A checkpoint is whole or absent."""

from __future__ import annotations

import os

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.checkpoints import load, save

INPUTS = {"seed": 3, "widths": [1, 2]}


def test_bits_come_back(tmp_path):
    arrays = {"a/mean": np.random.default_rng(0).normal(size=(3, 2)), "b": np.array(np.nan)}
    save(tmp_path / "deep" / "run.npz", INPUTS, arrays)
    found = load(tmp_path / "deep" / "run.npz", dict(reversed(INPUTS.items())))
    assert found is not None
    assert {name: value.tobytes() for name, value in found.items()} == {
        name: value.tobytes() for name, value in arrays.items()
    }


def test_a_missing_file_is_none(tmp_path):
    assert load(tmp_path / "none.npz", INPUTS) is None


def test_another_run_is_refused_by_field(tmp_path):
    save(tmp_path / "run.npz", INPUTS, {})
    with pytest.raises(ParameterError) as error:
        load(tmp_path / "run.npz", INPUTS | {"seed": 4})
    assert error.value.where == f"checkpoint {tmp_path / 'run.npz'}"
    assert (error.value.expected, error.value.got) == ("a run with seed = 4", "seed = 3")


@pytest.mark.parametrize("text", [b"", b"not a checkpoint", b"PK\x03\x04broken"])
def test_a_foreign_file_is_refused(tmp_path, text):
    (tmp_path / "run.npz").write_bytes(text)
    with pytest.raises(ParameterError):
        load(tmp_path / "run.npz", INPUTS)


def test_a_crash_while_writing_leaves_the_old_file_and_no_rubbish(tmp_path, monkeypatch):
    save(tmp_path / "run.npz", INPUTS, {"a": np.zeros(1)})

    def crash(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path / "run.npz", INPUTS, {"a": np.ones(1)})
    found = load(tmp_path / "run.npz", INPUTS)
    assert found is not None
    assert found["a"] == 0
    assert os.listdir(tmp_path) == ["run.npz"]
