"""Named variables of a MATLAB, NPZ or pickle file; no other variable is read, and nothing is run."""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings.files import LARGEST, content, foreign, refusal
from wideproof.numeric.recordings.matlab import MatFile, MatFile4
from wideproof.numeric.recordings.matlab73 import Hdf5File, h5py_or_refuse
from wideproof.numeric.recordings.unpickle import read_arrays

Variables = dict[str, Any]
PAIR = ("neural_data", "vels_binned")  # what the published pickle holds, in this order
PICKLES = (".pickle", ".pkl")
HDF5 = b"\x89HDF\r\n\x1a\n"
MEMBERS = 10_000
"""Arrays of an NPZ file."""
SAVE_AS_NPZ = "Save plain numeric arrays with numpy.savez; object arrays would need a pickle."
SAVE_AS_V7 = "Save its arrays of numbers again with save(..., '-v7'), or as NPZ."


def read_variables(path: Path, names: Sequence[str] | None) -> Variables:
    """Those of the named variables that the file has; all of them where names is None.

    Errors: ParameterError for a file that is not what its ending says, holds anything but arrays of numbers, or
    unfolds to more than `LARGEST`.
    """
    return READERS[path.suffix.lower()](path, names)


def read_array(path: Path) -> np.ndarray:
    """The array of an NPY file, without running anything.  Errors: ParameterError; those of `content`."""
    with foreign(path, "an NPY file of numbers", "Save a plain numeric array with numpy.save."):
        return _member(content(path))


def variable_names(path: Path) -> list[str]:
    """The names of all variables of a file that `read_variables` has read; those of a MATLAB file are not loaded."""
    if path.suffix.lower() == ".mat":
        with foreign(path, "a MATLAB file", SAVE_AS_V7):
            return list(_mat_file(path).places)
    return list(read_variables(path, None))


def permitted(path: Path, allowed: bool) -> None:
    """Do nothing unless the file is a pickle that nobody allowed.  Errors: ParameterError naming what allows it."""
    if path.suffix.lower() in PICKLES and not allowed:
        hint = "Say allow_pickle=True, or --allow-pickle: arrays are read from it, and nothing in it is run."
        raise refusal(path, "consent to read a pickle, a format that can hold programs", "none", hint)


def _read_mat(path: Path, names: Sequence[str] | None) -> Variables:
    with foreign(path, "a MATLAB file of arrays of numbers", SAVE_AS_V7):
        found = _mat_file(path)
        return {name: found.load(name) for name in found.places if names is None or name in names}


def _mat_file(path: Path) -> Any:
    """The file by its version: 4, 5 to 7.2, or 7.3."""
    raw = content(path)
    if raw[512:520] == HDF5 or raw.startswith((HDF5, b"MATLAB 7.3")):
        return Hdf5File(raw, LARGEST, h5py_or_refuse(str(path)))
    return (MatFile4 if 0 in raw[:4] else MatFile)(raw, LARGEST)


def _read_npz(path: Path, names: Sequence[str] | None) -> Variables:
    with foreign(path, "an NPZ file of numeric arrays", SAVE_AS_NPZ):
        raw = content(path)
        if not zipfile.is_zipfile(io.BytesIO(raw)):
            raise ValueError("not a zip archive")
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
            if len(archive.infolist()) > MEMBERS or len(members) < len(archive.infolist()):
                raise ValueError(f"more than {MEMBERS} arrays, or two of one name")
            wanted = {name: info for name, info in members.items() if names is None or name in names}
            if sum(info.file_size for info in wanted.values()) > LARGEST:
                raise ValueError(f"more than {LARGEST:,} bytes, unfolded")
            return {name: _member(archive.read(_readable(info))) for name, info in wanted.items()}


def _readable(info: zipfile.ZipInfo) -> zipfile.ZipInfo:
    if info.flag_bits & 1:
        raise ValueError("an encrypted member")
    return info


def _member(data: bytes) -> np.ndarray:
    """The array of one member: its header is held against its bytes before memory is taken."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"an array of format version {version[0]}.{version[1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a header of Python 2
        shape, fortran, kind = readers[version](stream)
    if kind.kind not in "biuf":
        raise ValueError(f"an array of type {kind}")
    numbers = data[stream.tell() :]
    if math.prod(shape) * kind.itemsize != len(numbers):
        raise ValueError(f"{len(numbers)} bytes for an array of shape {shape}")
    return np.frombuffer(numbers, kind).reshape(shape, order="F" if fortran else "C")


def _read_pickle(path: Path, names: Sequence[str] | None) -> Variables:
    found = read_arrays(path)
    if isinstance(found, tuple | list) and len(found) == len(PAIR):
        found = dict(zip(PAIR, found, strict=True))
    if not isinstance(found, dict):
        hint = "Pickle a dictionary of arrays, or better, save them with numpy.savez."
        raise ParameterError(str(path), f"a dictionary, or the pair {PAIR}", type(found).__name__, hint)
    return {name: value for name, value in found.items() if names is None or name in names}


READERS: dict[str, Callable[[Path, Sequence[str] | None], Variables]] = {
    ".mat": _read_mat,
    ".npz": _read_npz,
    **dict.fromkeys(PICKLES, _read_pickle),
}
