"""Variables of MATLAB files of version 7.3, which are HDF5: arrays of numbers, and cells of them, within limits.

What points outside the file is refused: soft and external links, external and virtual storage.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError

CELLS = 100_000
INTERNAL = "#"
"""MATLAB's own groups, such as the parts of cells, start with it."""


def h5py_or_refuse(where: str) -> Any:
    """The package h5py.  Errors: ParameterError that says how to get it."""
    try:
        import h5py
    except ImportError as error:
        hint = "pip install 'wideproof[matlab73]' brings it; or save it in MATLAB with save(..., '-v7'), or as NPZ."
        raise ParameterError(where, "the package h5py, which reads MATLAB 7.3", "none", hint) from error
    return h5py


class Hdf5File:
    """The variables of one file by name; `load` reads one of them.

    Errors: ValueError for what is no array of numbers, points outside the file, or is beyond the limits.
    """

    def __init__(self, raw: bytes, largest: int, h5py: Any) -> None:
        self.h5py, self.left = h5py, largest
        self.file = h5py.File(io.BytesIO(raw), "r")
        self.places = [name for name in self.file if not name.startswith(INTERNAL)]

    def load(self, name: str) -> Any:
        """The array of a variable, or for a cell an array of arrays.  Shapes: as in MATLAB, which HDF5 transposes."""
        if not isinstance(self.file.get(name, getlink=True), self.h5py.HardLink):
            raise ValueError(f"{name} is a link")
        return self.value(name, self.file[name], deepest=1)

    def value(self, name: str, found: Any, deepest: int) -> Any:
        """The array of a data set, or where that is allowed the cell of arrays."""
        if not isinstance(found, self.h5py.Dataset):
            raise ValueError(f"{name} is a struct or an object")
        if found.external is not None or found.is_virtual:
            raise ValueError(f"{name} has its numbers in another file")
        if found.dtype == self.h5py.ref_dtype and deepest:
            return self.cell(name, found)
        if found.dtype.kind not in "biuf" or found.shape is None:
            raise ValueError(f"{name} is of type {found.dtype}")
        self.left -= max(math.prod(found.shape), math.prod(found.chunks or ())) * found.dtype.itemsize
        if self.left < 0:
            raise ValueError("more than it may unfold to")
        if found.attrs.get("MATLAB_empty", 0):
            return np.empty((0, 0))
        array = np.asarray(found[()]).T
        return array.astype(bool) if found.attrs.get("MATLAB_class") in (b"logical", "logical") else array

    def cell(self, name: str, found: Any) -> Any:
        """The arrays of a cell, in the order of MATLAB.  Shapes: -> (number of arrays,), objects."""
        count = math.prod(found.shape)
        if count > CELLS:
            raise ValueError(f"a cell of {count} parts")
        parts = np.empty(count, dtype=object)
        for k, reference in enumerate(np.asarray(found[()]).ravel()):
            parts[k] = self.value(name, self.file[reference], deepest=0)
        return parts
