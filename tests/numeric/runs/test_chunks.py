"""A chunk is a netCDF file, whole or absent; what is damaged counts as absent."""

from __future__ import annotations

import os

import numpy as np
import pytest

from wideproof.derive.language.errors import StoreError
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.runs.chunks import Chunk, ChunkFolder, Numbers, cut, decoded, encoded, round_size

CHUNK = Chunk("response", 10**12, 3, 7)
RNG = np.random.default_rng(0)
NUMBERS = Numbers({"lag": Moments.of(RNG.normal(size=(7, 3, 2))), "pair": Moments.of(RNG.normal(size=(7, 5, 4)))},
                  RNG.normal(size=(28, 3)))  # fmt: skip


def bits(numbers):
    found = {"kept": numbers.kept.tobytes()}
    for name, m in numbers.moments.items():
        found |= {name: m.count, f"{name} mean": m.mean.tobytes(), f"{name} comoment": m.comoment.tobytes()}
    return found


def test_bits_come_back_and_equal_numbers_are_equal_bytes():
    assert bits(decoded(encoded(CHUNK, NUMBERS))) == bits(NUMBERS)
    assert encoded(CHUNK, NUMBERS) == encoded(CHUNK, NUMBERS)


def test_xarray_opens_a_chunk(tmp_path):
    xarray = pytest.importorskip("xarray")
    (tmp_path / "c.nc").write_bytes(encoded(CHUNK, NUMBERS))
    with xarray.open_dataset(tmp_path / "c.nc", engine="scipy") as found:
        assert found.lag_mean.dims == ("lag_place", "lag_feature")
        assert np.array_equal(found.lag_mean, NUMBERS.moments["lag"].mean)
        assert (found.attrs["width"], found.attrs["trials"]) == ("1000000000000", "7")


def test_a_chunk_that_was_altered_or_cut_counts_as_absent_and_is_replaced(tmp_path):
    store, raw = ChunkFolder(tmp_path), encoded(CHUNK, NUMBERS)
    store.write(CHUNK.name, raw)
    (path,) = tmp_path.iterdir()
    for damaged in (raw[:-1], b"", raw[:200] + bytes([raw[200] ^ 1]) + raw[201:]):
        path.write_bytes(damaged)
        again = ChunkFolder(tmp_path)
        assert again.read(CHUNK.name) is None
        again.write(CHUNK.name, raw)
        assert bits(ChunkFolder(tmp_path).read(CHUNK.name)) == bits(NUMBERS)
        assert list(tmp_path.iterdir()) == [path]


def test_other_files_and_half_written_ones_are_no_chunks(tmp_path):
    for name in (".x.nc.12.part", "notes.txt", "response-n8-00000-m5.nc"):
        (tmp_path / name).write_bytes(b"")
    assert ChunkFolder(tmp_path).files == {}


def test_a_full_disk_is_told_and_leaves_the_old_chunks(tmp_path, monkeypatch):
    store = ChunkFolder(tmp_path)
    store.write(CHUNK.name, encoded(CHUNK, NUMBERS))

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="No space left on device") as caught:
        store.write("response-n8-00001-m5", b"more")
    assert "make room" in caught.value.hint
    assert len(list(tmp_path.iterdir())) == 1


def test_files_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        ChunkFolder(tmp_path).write(CHUNK.name, encoded(CHUNK, NUMBERS))
    finally:
        os.umask(old)
    assert [path.stat().st_mode & 0o777 for path in tmp_path.iterdir()] == [0o640]


def test_more_trials_leave_whole_chunks_as_they_are():
    few, many = (list(cut("kernels", 64, trials, 50)) for trials in (120, 1000))
    assert few[:2] == many[:2]
    assert (few[2].trials, sum(chunk.trials for chunk in few), len(many)) == (20, 120, 20)
    assert [round_size(500, fitting) for fitting in (0, 1, 7, 499, 10**9)] == [1, 1, 5, 200, 500]
