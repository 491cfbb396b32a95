"""NPZ and MATLAB files that promise more than they hold, or unfold too far, are refused before memory is taken."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
from scipy.io import savemat

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings import load_recording, variables
from wideproof.numeric.recordings.variables import read_variables

RNG = np.random.default_rng(5)
U, Y = RNG.standard_normal((200, 2)), RNG.standard_normal(200)
MEGABYTES = 60
"""What a refusal may take."""


def npy(array=U, header=None, version=b"\x01\x00"):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    if header is None:
        return stream.getvalue()
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + b"\0" * 80


def zipped(members, method=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


def promised(shape, kind="<f8"):
    return npy(header=f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}")


def encrypted():
    raw = bytearray(zipped([("inputs.npy", npy()), ("outputs.npy", npy(Y))]))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = -1
        while (at := raw.find(mark, at + 1)) >= 0:
            raw[at + place] |= 1
    return bytes(raw)


GOOD = zipped([("inputs.npy", npy()), ("outputs.npy", npy(Y))])
NPZ = {
    "encrypted": encrypted(),
    "cut": GOOD[: len(GOOD) // 2],
    "cut at the end": GOOD[:-30],
    "flipped": GOOD[:200] + bytes([GOOD[200] ^ 255]) + GOOD[201:],
    "no arrays": zipped([("outputs.npy", b"hello"), ("inputs.npy", b"")]),
    "a text": zipped([("outputs.txt", b"1,2,3")]),
    "a folder": zipped([("outputs/", b""), ("inputs.npy", npy())]),
    "a shape that is not there": zipped([("outputs.npy", promised("(10**12,)".replace("10**12", "1000000000000")))]),
    "a shape of many axes": zipped([("outputs.npy", promised("(" + "1," * 40 + ")"))]),
    "negative": zipped([("outputs.npy", promised("(-10,)"))]),
    "empty and endless": zipped([("outputs.npy", promised("(0, 1000000000000)")[:-80])]),
    "wide": zipped([("outputs.npy", npy(np.zeros((1, 50_000))))]),
    "objects": zipped([("outputs.npy", npy(np.array([U, None], dtype=object)))]),
    "an object type": zipped([("outputs.npy", promised("(10,)", "|O"))]),
    "records": zipped([("outputs.npy", npy(np.zeros(3, dtype=[("a", "f8")])))]),
    "text": zipped([("outputs.npy", npy(np.array(["a"])))]),
    "complex": zipped([("outputs.npy", npy(U * 1j))]),
    "times": zipped([("outputs.npy", npy(np.array(["2020"], dtype="M8[s]")))]),
    "version 3": zipped([("outputs.npy", npy(header="{}", version=b"\x03\x00"))]),
    "a header that nests": zipped([("outputs.npy", npy(header="(" * 100))]),
    "many members": zipped([(f"{k}.npy", b"") for k in range(10_001)], zipfile.ZIP_STORED),
    "not a zip": b"PK\x03\x04" + b"\0" * 100,
    "a pickle": pickle.dumps({"outputs": Y}),
}


@pytest.mark.parametrize("kind", NPZ)
def test_an_npz_file_of_another_form_is_refused(kind, tmp_path):
    (tmp_path / "a.npz").write_bytes(NPZ[kind])
    tracemalloc.start()
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / "a.npz")
    assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 2**20
    tracemalloc.stop()
    assert len(str(caught.value)) < 2000


def test_an_npz_file_that_unfolds_too_far_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(variables, "LARGEST", 4_000_000)
    (tmp_path / "a.npz").write_bytes(zipped([("outputs.npy", npy(np.zeros(10**6)))]))
    assert (tmp_path / "a.npz").stat().st_size < 20_000
    with pytest.raises(ParameterError, match="unfolded"):
        load_recording(tmp_path / "a.npz")
    assert sorted(read_variables(tmp_path / "a.npz", ["inputs"])) == []  # what is not named is not unfolded


def test_arrays_of_every_layout_come_from_npz_as_numpy_reads_them(tmp_path):
    arrays = {"a": U, "b": np.asfortranarray(U), "c": U.astype(">f4"), "d": np.arange(6).reshape(1, 2, 3),
              "e": np.array([True, False]), "f": np.float64(3.0), "g": np.zeros((0, 2))}  # fmt: skip
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    found = read_variables(tmp_path / "a.npz", None)
    with np.load(tmp_path / "a.npz") as expected:
        for name in arrays:
            assert found[name].dtype == expected[name].dtype
            assert np.array_equal(found[name], expected[name])


# ---- MATLAB ---------------------------------------------------------------------------------------------
def mat(**values):
    stream = io.BytesIO()
    savemat(stream, {"inputs": U, "outputs": Y[:, None]} | values, do_compression=values.pop("packed", True))
    return stream.getvalue()


def element(kind, data):
    return struct.pack("<II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def matrix(name=b"outputs", kind=6, shape=(4, 1), part=None, flags=0):
    sizes = struct.pack(f"<{len(shape)}i", *shape)
    head = element(6, struct.pack("<II", kind | flags, 0)) + element(5, sizes) + element(1, name)
    return element(14, head + (element(9, b"\0" * 32) if part is None else part))


def mat_file(*parts):
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(parts)


def deep(depth):
    inner = matrix(b"", shape=(1, 1), part=element(9, b"\0" * 8))
    for _ in range(depth):
        inner = matrix(b"outputs", kind=1, shape=(1, 1), part=inner)
    return inner


def packed(data):
    raw = zlib.compress(data)
    return struct.pack("<II", 15, len(raw)) + raw


MAT = {
    "cut": mat()[:400],
    "no matlab": b"\x01" * 300,
    "empty": b"",
    "a short header": b"MATLAB 5.0 MAT-file",
    "a shape that is not there": mat_file(matrix(shape=(10**9, 10**9))),
    "negative": mat_file(matrix(shape=(-4, -1))),
    "a cell that is not there": mat_file(matrix(kind=1, shape=(2**30, 1))),
    "cells in cells": mat_file(deep(3)),
    "deep": mat_file(deep(30)),
    "text": mat_file(matrix(kind=4, shape=(1, 2**30), part=element(4, b""))),
    "struct": mat_file(matrix(kind=2, shape=(2**30, 1), part=element(5, struct.pack("<i", 32)))),
    "sparse": mat_file(matrix(kind=5, shape=(2**30, 1))),
    "complex": mat_file(matrix(flags=0x0800)),
    "no axes": mat_file(matrix(shape=())),
    "longer than the file": mat_file(struct.pack("<II", 14, 2**31) + b"\0" * 40),
    "packed junk": mat_file(struct.pack("<II", 15, 40) + b"\1" * 40),
    "packed and cut": mat_file(packed(matrix())[:60]),
    "packed twice": mat_file(packed(packed(matrix()))),
    "many parts": mat_file(element(1, b"") * 20_000),
    "version 4, backwards": struct.pack("<5i", 0, -5, 1, 0, 2) + b"a\0",
    "version 4, endless": struct.pack("<5i", 0, 2**30, 2**30, 0, 2) + b"a\0",
    "version 4, no name": struct.pack("<5i", 0, 0, 0, 0, 0) * 3,
    "version 7.3 without content": b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 400,
}


@pytest.mark.parametrize("kind", MAT)
def test_a_matlab_file_of_another_form_is_refused(kind, tmp_path):
    (tmp_path / "a.mat").write_bytes(MAT[kind])
    tracemalloc.start()
    with pytest.raises(ParameterError) as caught:
        load_recording(tmp_path / "a.mat", inputs=["inputs"], outputs=["outputs"])
    assert tracemalloc.get_traced_memory()[1] < MEGABYTES * 2**20
    tracemalloc.stop()
    assert len(str(caught.value)) < 2000


def test_a_matlab_file_that_unfolds_too_far_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(variables, "LARGEST", 4_000_000)
    (tmp_path / "a.mat").write_bytes(mat(outputs=np.zeros((10**6, 1)), other=np.zeros((10**6, 1))))
    with pytest.raises(ParameterError, match="more than it may unfold to"):
        load_recording(tmp_path / "a.mat")
    assert read_variables(tmp_path / "a.mat", ["inputs"])["inputs"].shape == (200, 2)


@pytest.mark.parametrize(("version", "packed_"), [("4", False), ("5", False), ("5", True)])
def test_arrays_of_every_type_come_from_matlab_as_scipy_reads_them(version, packed_, tmp_path):
    from scipy.io import loadmat

    kinds = ("f8", "f4", "i4", "i2", "u2", "u1", *(("i1", "i8", "u8", "u4") if version == "5" else ()))
    values = {f"x_{kind}": (RNG.uniform(0, 90, (7, 3))).astype(kind) for kind in kinds}
    if version == "5":
        values |= {"cube": RNG.standard_normal((2, 3, 4)), "logical": np.array([[True, False]])}
        cell = np.empty((3, 1), dtype=object)
        cell[:, 0] = [RNG.standard_normal((k, 1)) for k in (1, 2, 3)]
        values["cell"] = cell
    savemat(tmp_path / "a.mat", values, format=version, do_compression=packed_)
    found, expected = read_variables(tmp_path / "a.mat", None), loadmat(tmp_path / "a.mat")
    assert list(found) == list(values)
    for name in values:
        if name == "cell":
            assert all(np.array_equal(a, b) for a, b in zip(found[name], expected[name][:, 0], strict=True))
        else:
            assert np.array_equal(found[name], expected[name])
            assert version == "4" or name == "logical" or found[name].dtype == expected[name].dtype


def test_big_endian_files_load(tmp_path):
    whole = bytearray(mat_file(matrix(shape=(4, 1), part=element(9, np.arange(4.0).tobytes()))))
    swapped = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI"
    part = struct.pack(">II", 6, 8) + struct.pack(">II", 6, 0) + struct.pack(">II", 5, 8) + struct.pack(">2i", 4, 1)
    part += struct.pack(">II", 1, 7) + b"outputs\0" + struct.pack(">II", 9, 32) + np.arange(4.0).astype(">f8").tobytes()
    (tmp_path / "a.mat").write_bytes(swapped + struct.pack(">II", 14, len(part)) + part)
    (tmp_path / "b.mat").write_bytes(bytes(whole))
    for name in ("a.mat", "b.mat"):
        assert read_variables(tmp_path / name, None)["outputs"].ravel().tolist() == [0, 1, 2, 3]


def test_pickles_need_consent_and_the_error_names_it(tmp_path):
    (tmp_path / "a.pickle").write_bytes(pickle.dumps({"inputs": U, "outputs": Y}))
    for more in ({}, {"outputs": ["outputs"]}, {"rate": 3.0}):
        with pytest.raises(ParameterError) as caught:
            load_recording(tmp_path / "a.pickle", **more)
        assert "--allow-pickle" in caught.value.hint
        assert "allow_pickle=True" in caught.value.hint
    assert load_recording(tmp_path / "a.pickle", allow_pickle=True).samples == 200
    for value in ([U, Y, U], [U[:3], Y], {"inputs": [U, Y], "outputs": Y}, {"inputs": {"a": U}, "outputs": Y}, 7):
        (tmp_path / "a.pickle").write_bytes(pickle.dumps(value))
        with pytest.raises(ParameterError):
            load_recording(tmp_path / "a.pickle", allow_pickle=True)
