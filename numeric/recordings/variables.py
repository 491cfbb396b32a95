"""Named variables of a MATLAB, NPZ or pickle file; no other variable is read, and nothing is run."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat, whosmat

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.recordings.unpickle import read_arrays

Variables = dict[str, Any]
PAIR = ("neural_data", "vels_binned")  # what the published pickle holds, in this order


def read_variables(path: Path, names: Sequence[str] | None) -> Variables:
    """Those of the named variables that the file has; all of them where names is None.

    Errors: ParameterError for a file that is not what its ending says, or holds anything but arrays of numbers.
    """
    return READERS[path.suffix.lower()](path, names)


def variable_names(path: Path) -> list[str]:
    """The names of all variables of a file that `read_variables` has read; those of a MATLAB file are not loaded."""
    return [name for name, _, _ in whosmat(path)] if path.suffix.lower() == ".mat" else list(read_variables(path, None))


def _read_mat(path: Path, names: Sequence[str] | None) -> Variables:
    try:
        present = [name for name, _, kind in whosmat(path)]
        wanted = present if names is None else [name for name in present if name in names]
        return {name: value for name, value in loadmat(path, variable_names=wanted).items() if name in wanted}
    except NotImplementedError as error:
        hint = "Save it in MATLAB with save(..., '-v7'), or as NPZ."
        raise ParameterError(str(path), "a MATLAB file of version 4 to 7.2", "version 7.3", hint) from error
    except Exception as error:  # SciPy raises almost anything for a broken file
        raise ParameterError(str(path), "a MATLAB file", str(error), "Save it again with '-v7'.") from error


def _read_npz(path: Path, names: Sequence[str] | None) -> Variables:
    hint = "Save plain numeric arrays with numpy.savez; object arrays would need a pickle."
    try:
        with path.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                raise ValueError("not a zip archive")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as data:
                return {name: data[name] for name in data.files if names is None or name in names}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ParameterError(str(path), "an NPZ file of numeric arrays", str(error), hint) from error


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
    ".pickle": _read_pickle,
    ".pkl": _read_pickle,
}
