"""Sequences from files: arrays, archives and tables, and what is refused with its place."""

from __future__ import annotations

import numpy as np
import pytest

from wideproof.derive import DeriveError
from wideproof.numeric.recordings.sequences import load_sequences

X = np.arange(24.0).reshape(3, 4, 2)


def test_arrays_archives_and_tables_give_their_sequences_in_order(tmp_path):
    np.save(tmp_path / "three.npy", X)
    np.save(tmp_path / "one.npy", X[0].astype(np.float32))
    np.savez(tmp_path / "more.npz", b=X[1, :3], a=X)
    (tmp_path / "table.csv").write_text("u,v\n1,2\n3,-4.5\n")
    (tmp_path / "bare.dat").write_text("1\t2\r\n3\t-4.5\r\n")
    names = ("three.npy", "one.npy", "more.npz", "bare.dat", "table.csv")
    found = load_sequences([tmp_path / name for name in names])
    assert [x.shape for x in found] == [(4, 2)] * 4 + [(3, 2)] + [(4, 2)] * 3 + [(2, 2)] * 2
    np.testing.assert_array_equal(found[3], X[0])
    np.testing.assert_array_equal(found[4], X[1, :3])
    for table in found[-2:]:
        np.testing.assert_array_equal(table, [[1, 2], [3, -4.5]])
    assert all(x.dtype == float for x in found)


WRONG = {
    "other.docx": (b"1,2", "a file ending in .npy"),
    "missing.npy": (None, "No such file"),
    "text.npy": (b"hello", "an NPY file"),
    "empty.npy": (b"", "an NPY file"),
    "bad.npz": (b"PK", "an NPZ file"),
    "gap.csv": (b"u,v\n1,\n3,4\n", "finite numbers, got nan at (0, 1)"),
    "word.csv": (b"u,v\n1,two\n3,4\n", "'two' at row 0"),
    "short.csv": (b"u,v\n", "N sequences"),
    "ragged.csv": (b"u,v\n1\n", "2 cells"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_of_no_sequences_is_refused_by_its_name(name, tmp_path):
    content, said = WRONG[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DeriveError) as caught:
        load_sequences([tmp_path / name])
    assert name in caught.value.where
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(3), "N sequences"),
        (np.zeros((2, 0, 3)), "N sequences"),
        (np.array([["a"]]), "NPY file of numbers"),
        (np.ones((2, 2)) * 1j, "NPY file of numbers"),
        (np.array([[[1.0, np.inf]]]), "inf at (0, 0, 1)"),
    ],
)
def test_an_array_of_another_shape_or_kind_is_refused(array, said, tmp_path):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DeriveError) as caught:
        load_sequences([tmp_path / "x.npy"])
    assert said in str(caught.value)


def test_no_pickle_is_opened_and_no_header_is_believed(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DeriveError, match="an NPY file"):
        load_sequences([tmp_path / "objects.npy"])
    with (tmp_path / "huge.npy").open("wb") as stream:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**6, 10)}
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(DeriveError, match="an NPY file"):
        load_sequences([tmp_path / "huge.npy"])


def test_files_of_two_widths_do_not_meet(tmp_path):
    np.save(tmp_path / "two.npy", X)
    np.save(tmp_path / "one.npy", X[..., :1])
    with pytest.raises(DeriveError, match="n_x = 1, 2"):
        load_sequences([tmp_path / "two.npy", tmp_path / "one.npy"])
