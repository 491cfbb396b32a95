"""Checkpoints: a file is the whole old state or the whole new one, never a part."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.files import write_atomically

INPUTS = "inputs"
SAVE_EVERY = 5.0
"""Seconds between two checkpoints of long work."""
LONGEST = 60
"""Characters of a value in an error."""


def save(path: Path, inputs: Mapping[str, object], arrays: Mapping[str, Host]) -> None:
    """Write arrays and the inputs they belong to, so that a kill at any moment leaves a readable file.

    Shapes: kept.  Units: kept.  Error: none, bits are kept; OSError where the folder cannot be written.
    Source: `write_atomically`.
    """
    file = io.BytesIO()
    np.savez(file, **{INPUTS: np.array(canonical(inputs))}, **arrays)  # type: ignore[arg-type]
    write_atomically(path, file.getvalue())


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
        ours, theirs = _different(json.loads(canonical(inputs)), json.loads(found))
        hint = "Resume with the same inputs, or name a new file."
        raise ParameterError(f"checkpoint {path}", f"a run with {ours}", theirs, hint)
    return arrays


def _different(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[str, str]:
    """What two runs do not share, as one text for each."""
    names = [name for name in sorted({*ours, *theirs}) if ours.get(name) != theirs.get(name)]
    return tuple(
        ", ".join(f"{name} = {json.dumps(run.get(name))[:LONGEST]}" for name in names)  # type: ignore[return-value]
        for run in (ours, theirs)
    )


def canonical(inputs: Mapping[str, object]) -> str:
    """Return one text for equal inputs, whatever their order.

    Error: TypeError for values JSON does not know.  Source: JSON, sorted keys.
    """
    return json.dumps(dict(inputs), sort_keys=True)
