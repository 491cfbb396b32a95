"""Files written whole: a reader sees the old file or the new one, never half of one."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

PART = ".part"
"""How the name of a file ends that is being written, or was when its writer was killed."""


def write_atomically(path: Path, data: str | bytes) -> Path:
    """Replace `path` in one step, on the disk before the step, with the mode that the umask gives a new file.

    Errors: OSError where the folder cannot be written; then the old file stands and nothing is left beside it.
    Source: written beside, flushed, renamed.
    """
    raw = data.encode("utf-8") if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex}{PART}")  # process ids are those of one machine only
    try:
        with part.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
