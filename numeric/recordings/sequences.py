"""Input sequences from files: arrays of NumPy and tables, read without running anything that a file says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.recordings.tables import TEXT, read_table
from wideproof.numeric.recordings.variables import read_array, read_variables

ENDINGS = (".npy", ".npz", *TEXT)
SHAPES = "N sequences (N, T, n_x), or one of shape (T, n_x)"


def load_sequences(paths: Sequence[str | Path]) -> list[Host]:
    """Return the input sequences of some files, in order, each of shape (T_i, n_x).

    An `.npy` file holds an array of shape (N, T, n_x), or one sequence (T, n_x); an `.npz` file any number of such
    arrays, in the order they were saved; a table (`.csv`, `.tsv`, `.dat`, `.txt`) is one sequence, a row for each
    step, a column for each input, under a header of names or without one. Units: the file's own.
    Errors: ParameterError for another kind of file, and for what is no finite number; ShapeError for other shapes and
    where n_x differs.
    """
    found = [sequence for path in paths for sequence in _sequences(Path(path))]
    sizes = sorted({sequence.shape[1] for sequence in found})
    if len(sizes) > 1:
        raise ShapeError("inputs", "sequences of one n_x", f"n_x = {', '.join(map(str, sizes))}", "Split the files.")
    return found


def _sequences(path: Path) -> list[Host]:
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        hint = "Save the array (N, T, n_x) with numpy.save, or one sequence as CSV, a row for each step."
        raise ParameterError(str(path), f"a file ending in {', '.join(ENDINGS)}", ending or "none", hint)
    if ending in TEXT:
        return _split(path, "the table", np.column_stack(list(read_table(path).values())))
    arrays = {"the array": read_array(path)} if ending == ".npy" else read_variables(path, None)
    return [sequence for name, array in arrays.items() for sequence in _split(path, name, array)]


def _split(path: Path, name: str, array: Host) -> list[Host]:
    """The sequences of an array, checked.  Shapes: (N, T, n_x) or (T, n_x) -> N or one of (T, n_x)."""
    if array.dtype.kind not in "biuf":
        raise ParameterError(str(path), f"{name}: real numbers", str(array.dtype), "Save it as floats.")
    if array.ndim not in (2, 3) or 0 in array.shape:
        raise ShapeError(str(path), f"{name}: {SHAPES}", array.shape, "Add a last axis for n_x = 1.")
    values = np.asarray(array, dtype=float)
    if not np.isfinite(values).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(values))[0])
        raise ParameterError(str(path), f"{name}: finite numbers", f"{values[at]} at {at}", "Fill what is missing.")
    return list(values if values.ndim == 3 else values[None])
