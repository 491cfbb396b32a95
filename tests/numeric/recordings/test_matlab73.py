"""MATLAB 7.3 files, as h5py writes what MATLAB does: transposed, cells as references; what leads outside is refused."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings import load_recording, variables
from wideproof.numeric.recordings.variables import read_variables

h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 is read with h5py")
RNG = np.random.default_rng(8)
U, Y = RNG.standard_normal((200, 2)), RNG.standard_normal((200, 1))
HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM" + b"\0" * 384


def write(path, fill):
    """A file with MATLAB's 512 bytes before the HDF5 part."""
    stream = io.BytesIO()
    with h5py.File(stream, "w", userblock_size=512) as file:
        fill(file)
    path.write_bytes(HEADER + stream.getvalue()[512:])
    return path


def put(file, name, values, kind=b"double", **more):
    data = file.create_dataset(name, data=np.asarray(values).T, **more)
    data.attrs["MATLAB_class"] = kind
    return data


def good(file):
    put(file, "inputs", U, compression="gzip")
    put(file, "outputs", Y)
    put(file, "mask", np.array([[1, 0]], dtype=np.uint8), b"logical")
    for k in range(3):
        put(file, f"#refs#/{k}", RNG.standard_normal((k + 1, 1)))
    cell = np.array([[file[f"#refs#/{k}"].ref for k in range(3)]], dtype=h5py.ref_dtype)
    file.create_dataset("cell", data=cell, dtype=h5py.ref_dtype).attrs["MATLAB_class"] = b"cell"


def test_a_file_of_version_7_3_loads_as_matlab_shows_it(tmp_path):
    path = write(tmp_path / "a.mat", good)
    rec = load_recording(path, rate=10.0)
    assert np.array_equal(rec.inputs, U)
    assert np.array_equal(rec.outputs, Y)
    found = read_variables(path, None)
    assert [part.shape for part in found["cell"]] == [(1, 1), (2, 1), (3, 1)]
    assert found["mask"].dtype == bool
    with pytest.raises(ParameterError, match="inputs, mask, outputs"):
        load_recording(path, inputs=["inputs"], outputs=["z"])


def test_without_h5py_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    path = write(tmp_path / "a.mat", good)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ParameterError) as caught:
        load_recording(path)
    assert "wideproof[matlab73]" in caught.value.hint


def outside(file, folder):
    (folder / "secret.raw").write_bytes(np.arange(200.0).tobytes())
    return [(str(folder / "secret.raw"), 0, 1600)]


ATTACKS = {
    "an external link": lambda file, folder: file.__setitem__("outputs", h5py.ExternalLink(str(folder / "b.mat"), "x")),
    "a soft link": lambda file, folder: file.__setitem__("outputs", h5py.SoftLink("/inputs")),
    "external storage": lambda file, folder: file.create_dataset(
        "outputs", (200,), "f8", external=outside(file, folder)
    ),
    "a virtual data set": lambda file, folder: virtual(file, folder),
    "a size that is not there": lambda file, folder: file.create_dataset("outputs", (10**12,), "f8", chunks=(100,)),
    "text": lambda file, folder: file.create_dataset("outputs", data=[b"abc"]),
    "records": lambda file, folder: file.create_dataset("outputs", data=np.zeros(3, dtype=[("a", "f8")])),
    "a group": lambda file, folder: file.create_group("outputs"),
    "null": lambda file, folder: file.create_dataset("outputs", data=h5py.Empty("f8")),
    "a null reference": lambda file, folder: file.create_dataset("outputs", (3,), h5py.ref_dtype),
}


def virtual(file, folder):
    layout = h5py.VirtualLayout((200,), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "b.mat"), "inputs", (200,))
    file.create_virtual_dataset("outputs", layout)


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_leads_outside_or_is_too_large_is_refused(attack, tmp_path):
    def fill(file):
        put(file, "inputs", U)
        ATTACKS[attack](file, tmp_path)

    path = write(tmp_path / "a.mat", fill)
    with pytest.raises(ParameterError):
        load_recording(path)


def test_what_unfolds_too_far_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(variables, "LARGEST", 4_000_000)
    path = write(tmp_path / "a.mat", lambda file: put(file, "outputs", np.zeros((10**6, 1)), compression="gzip"))
    with pytest.raises(ParameterError, match="more than it may unfold to"):
        load_recording(path, inputs=["inputs"], outputs=["outputs"])


@pytest.mark.parametrize("cut", [0, 100, 700, 2000])
def test_a_cut_file_is_refused(cut, tmp_path):
    path = write(tmp_path / "a.mat", good)
    path.write_bytes(path.read_bytes()[: 512 + cut])
    with pytest.raises(ParameterError):
        load_recording(path)
