"""Checkpoints: a file is the whole old state or the whole new one, never a part."""

from __future__ import annotations

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from derive.errors import ParameterError
from numeric.arrays import Host

INPUTS = "inputs"


def save(path: Path, inputs: Mapping[str, object], arrays: Mapping[str, Host]) -> None:
    """Write arrays and the inputs they belong to, so that a kill at any moment leaves a readable file.

    Shapes: kept.  Units: kept.  Error: none, bits are kept; OSError where the folder cannot be written.
    Source: write beside, flush, rename.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **{INPUTS: np.array(canonical(inputs))}, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def load(path: Path, inputs: Mapping[str, object]) -> dict[str, Host] | None:
    """Return the arrays saved for exactly these inputs, or None where there is no file.

    Shapes: kept.  Units: kept.  Error: ParameterError if the file holds another run or is no checkpoint.
    Source: `save`.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        found = str(arrays.pop(INPUTS))
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ParameterError("checkpoint", "a file of wideproof", path, "Name another file.") from error
    if found != canonical(inputs):
        hint = "Resume with the same inputs, or name a new file."
        raise ParameterError("checkpoint", f"the run {canonical(inputs)}", found, hint)
    return arrays


def canonical(inputs: Mapping[str, object]) -> str:
    """Return one text for equal inputs, whatever their order.

    Shapes: none.  Units: none.  Error: TypeError for values JSON does not know.  Source: JSON, sorted keys.
    """
    return json.dumps(dict(inputs), sort_keys=True)
