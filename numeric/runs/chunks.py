"""Chunks of a run on disk: one netCDF file each, whole or absent, its checksum in its name.

netCDF 3 is an open form, documented since 1989, that xarray, R, Julia and MATLAB read; SciPy, which wideproof needs
anyway, writes it, in the same bytes for the same numbers.
"""

from __future__ import annotations

import errno
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import StoreError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.files import write_atomically
from wideproof.numeric.core.statistics import Moments

Key = tuple[str | int, ...]
NAME = re.compile(r"(?P<chunk>[a-z0-9-]+)\.(?P<checksum>[0-9a-f]{16})\.nc\Z")
KEPT = "kept"


@dataclass(frozen=True)
class Chunk:
    """One unit of work: the trials of one group at one width that share one random stream.

    Its numbers depend on the setting of the plan, the seed, the group, the width and the index, and on the trials
    where it is the last of its width: on nothing else, and on no other chunk.
    """

    group: str
    width: int
    index: int
    trials: int

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.group}-n{self.width}-{self.index:05d}-m{self.trials}"


ROUND = (10_000, 5000, 2000, 1000, 500, 200, 100, 50, 20, 10, 5, 2, 1)
"""Sizes of chunks: they divide the numbers that people ask for, so that more trials leave the chunks as they are."""


def round_size(most: int, fitting: int) -> int:
    """Return the largest round size that is at most both.  Units: trials."""
    return next(size for size in ROUND if size <= max(1, min(most, fitting)))


def cut(group: str, width: int, trials: int, size: int) -> Iterator[Chunk]:
    """Yield the chunks of one width, all of one size but for the last."""
    for index in range(-(-trials // size)):
        yield Chunk(group, width, index, min(size, trials - index * size))


@dataclass(frozen=True)
class Numbers:
    """What a chunk gives: the moments of its features by name, and some single numbers.

    Shapes: as `Moments`; kept (m, ...).  Units: of the features.  Error: rounding.  Source: definition.
    """

    moments: Mapping[str, Moments]
    kept: Host = field(default_factory=lambda: np.empty(0))


def encoded(chunk: Chunk, numbers: Numbers) -> bytes:
    """Return a chunk as a netCDF file: a mean and a comoment for each feature, the count as the attribute trials.

    Shapes: NAME_mean (NAME_place, NAME_feature), NAME_comoment (NAME_place, NAME_feature, NAME_other).
    Units: kept.  Error: none, bits are kept.  Source: netCDF classic, 64-bit offsets.
    """
    from scipy.io import netcdf_file

    raw = io.BytesIO()
    with netcdf_file(raw, "w", mmap=False, version=2) as file:
        for name in ("group", "width", "index", "trials"):
            setattr(file, name, str(getattr(chunk, name)))
        for name, moments in numbers.moments.items():
            sizes = dict(zip(_axes(name, moments.comoment.ndim), moments.comoment.shape, strict=True))
            for axis, size in sizes.items():
                file.createDimension(axis, size)
            _write(file, f"{name}_mean", tuple(sizes)[:-1], moments.mean)
            _write(file, f"{name}_comoment", tuple(sizes), moments.comoment)
        if numbers.kept.size:
            axes = tuple(f"{KEPT}_{k}" for k in range(numbers.kept.ndim))
            for axis, size in zip(axes, numbers.kept.shape, strict=True):
                file.createDimension(axis, size)
            _write(file, KEPT, axes, numbers.kept)
        file.flush()
        return raw.getvalue()


def decoded(raw: bytes) -> Numbers:
    """Return the numbers of a file that `encoded` made.  Shapes, units: kept.  Error: none, bits are kept."""
    from scipy.io import netcdf_file

    with netcdf_file(io.BytesIO(raw), "r", mmap=False) as file:
        arrays = {name: np.asarray(x[...], dtype=np.float64) for name, x in file.variables.items()}
        count = int(file.trials)
    names = [name.removesuffix("_mean") for name in arrays if name.endswith("_mean")]
    moments = {name: Moments(count, arrays[f"{name}_mean"], arrays[f"{name}_comoment"]) for name in names}
    return Numbers(moments, arrays.get(KEPT, np.empty(0)))


def _axes(name: str, ndim: int) -> tuple[str, ...]:
    return (*(f"{name}_place", f"{name}_feature", f"{name}_other")[3 - ndim :],)


def _write(file: Any, name: str, axes: tuple[str, ...], values: Host) -> None:
    file.createVariable(name, "d", axes)[:] = values


def checksum(raw: bytes) -> str:
    """Return the first 16 digits of the SHA-256 of a file."""
    return hashlib.sha256(raw).hexdigest()[:16]


def check_is_there(folder: Path) -> None:
    """Refuse to make a folder again that was there when the run began: what it held would be missed in silence.

    Errors: FileNotFoundError.
    """
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, "The folder has vanished since the run began", str(folder))


class ChunkFolder:
    """The chunks of one folder of a run; a file whose checksum is not that of its name counts as absent.

    Errors: StoreError where the folder cannot be read or written, or the run's is gone.
    """

    def __init__(self, folder: Path, run: Path | None = None) -> None:
        self.folder, self.run = folder, run or folder.parent
        self.files: dict[str, Path] = {}
        for path in sorted(folder.glob("*.nc")):
            if match := NAME.match(path.name):
                self.files[match["chunk"]] = path

    def raw(self, name: str) -> bytes | None:
        """The whole file of a chunk, or None where there is none, or a damaged one."""
        path = self.files.get(name)
        try:
            raw = path.read_bytes() if path else b""
        except OSError as error:
            raise StoreError(str(path), "a chunk that can be read", error.strerror or error, "See its mode.") from error
        return raw if path and path.name == f"{name}.{checksum(raw)}.nc" else None

    def read(self, name: str) -> Numbers | None:
        """The numbers of a chunk, or None where it has to be drawn."""
        raw = self.raw(name)
        return None if raw is None else decoded(raw)

    def write(self, name: str, raw: bytes) -> None:
        """Keep a chunk: after a kill it is there as a whole or not at all; a damaged one of the name goes."""
        path, old = self.folder / f"{name}.{checksum(raw)}.nc", self.files.get(name)
        try:
            check_is_there(self.folder if self.files else self.run)
            write_atomically(path, raw)
            if old is not None and old != path:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(str(path), "a folder that can be written", error.strerror or error,
                             "What is there stays valid: make room, see to its mode or bring it back, then "
                             f"wideproof runs resume {self.run}.") from error  # fmt: skip
        self.files[name] = path
