"""Finished runs kept on disk one by one, so that an interrupted comparison loses at most the run it was in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checkpoints import canonical, load, save

Arrays = dict[str, Host]


@dataclass(frozen=True)
class Saved:
    """A folder of results, each under everything that its bits depend on; None keeps nothing.

    `inputs` are common to all results.  Errors: OSError where the folder cannot be written.
    """

    folder: Path | None
    inputs: Mapping[str, object]

    def result(self, key: tuple[object, ...], work: Callable[[], Arrays]) -> Arrays:
        """Read the result of `key` back with the same bits, or work it out and keep it.  Shapes, units: those of work.

        Error: ParameterError where a file is no result of ours.  Source: `numeric.core.checkpoints`.
        """
        if self.folder is None:
            return work()
        inputs = {**self.inputs, "key": list(key), "version": metadata.version("wideproof")}
        path = self.folder / f"{hashlib.sha256(canonical(inputs).encode()).hexdigest()[:24]}.npz"
        found = load(path, inputs)
        if found is None:
            found = work()
            save(path, inputs, found)
        return found


def digest(*arrays: Host) -> str:
    """Return one text for equal arrays.  Shapes: any.  Source: SHA-256 of the bytes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(repr((array.shape, array.dtype.str)).encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
