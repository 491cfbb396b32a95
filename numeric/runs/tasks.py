"""Pieces of long work: each kept on disk once it is done, worked on by anyone in any order; the bits are the plan's.

A piece is a function of plain data that gives named arrays, such as one network trained. What is sent to a worker is
the name of the function and the data as text.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checkpoints import canonical
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.runs.chunks import ChunkFolder
from wideproof.numeric.runs.crew import Crew
from wideproof.numeric.runs.folder import PIECES
from wideproof.numeric.runs.gathering import Chunked, Gathered, Progress, Shard, gather

Arrays = dict[str, Host]
Plan = Mapping[str, Any]
Work = Callable[..., Arrays]
"""A function of a plan, and of what is `Shared` by all pieces where there is something."""
T = TypeVar("T")
G = TypeVar("G", bound=Gathered[Any])


class Elsewhere(Exception):
    """Other parts of the run work on the rest: what needs all of it waits until the parts are put together."""


def later(work: Callable[[], T]) -> Callable[[], T]:
    """Do some work now and return what gives its value: in a part of a run it may be `Elsewhere` when asked for."""
    try:
        value = work()
    except Elsewhere:
        return _elsewhere
    return lambda: value


def _elsewhere() -> Any:
    raise Elsewhere


def every(works: Iterable[Callable[[], T]]) -> list[T]:
    """Return what all of some works give; in a part of a run its share of each is done first.  Errors: `Elsewhere`."""
    return [value() for value in [later(work) for work in works]]


@dataclass(frozen=True)
class Shared:
    """Arrays that all pieces of one kind read, as they are sent to workers; plans name them by their digest.

    Error: none, bits are kept.  Source: `Shared.of`.
    """

    raw: bytes

    @classmethod
    def of(cls, arrays: Mapping[str, Host]) -> Shared:
        """Return them packed: netCDF, by zlib."""
        return cls(zlib.compress(encoded_piece("{}", doubles(arrays)), 1))

    @cached_property
    def digest(self) -> str:
        """One text for equal arrays."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def arrays(self) -> Arrays:
        """The arrays again."""
        return decoded_piece(zlib.decompress(self.raw))


@dataclass(frozen=True)
class Tasks:
    """The folder in which pieces are kept, who works on them, and which part of them is worked on here.

    Without a folder nothing is kept; without a shard (k, m) all of it is worked on.
    Errors: StoreError where the folder cannot be read or written.
    """

    folder: Path | None = None
    crew: Crew = field(default_factory=Crew)
    shard: Shard | None = None

    @property
    def store(self) -> ChunkFolder | None:
        """The pieces that are kept, as they are now."""
        return None if self.folder is None else ChunkFolder(self.folder / PIECES)

    def results(self, work: Work, plans: Sequence[Plan], progress: Progress | None = None) -> list[Arrays]:
        """Return what a function of a module gives for each plan; pieces that are kept are read back, bit by bit.

        Shapes, units: those of work, in the order of the plans; all numbers as doubles.
        Error: those of the work; `Elsewhere` in a part that does not hold all of them.
        Source: one thread of linear algebra for each piece, whoever works.
        """
        found = self.part(work, plans, progress)
        if len(found) < len(plans):
            raise Elsewhere
        return [found[k] for k in range(len(plans))]

    def part(
        self, work: Work, plans: Sequence[Plan], progress: Progress | None = None, shared: Shared | None = None
    ) -> dict[int, Arrays]:
        """The same by place, of the plans of this part and of others that are kept."""
        named = {} if shared is None else {"shared": shared.digest}
        texts, store = [canonical({**plan, **named}) for plan in plans], self.store
        names = [piece_name(work, text) for text in texts] if store else []
        found = {k: arrays for k, name in enumerate(names) if store and (arrays := _read(store, name)) is not None}
        given = () if shared is None else (shared.raw,)
        missing = [(k, (work, texts[k], *given)) for k in self.own(called(work), len(plans)) if k not in found]
        total = len(found) + len(missing)
        if progress and found:
            progress(len(found), total)
        with blas_threads(1):
            for k, arrays in self.crew.each(worked, missing):
                found[k] = arrays
                if store:
                    store.write(names[k], encoded_piece(texts[k], arrays))
                if progress:
                    progress(len(found), total)
        return found

    def own(self, name: str, count: int) -> range:
        """The places of this part among so many pieces of a name, by which single pieces are spread over the parts."""
        if self.shard is None:
            return range(count)
        k, m = self.shard
        return range((k - 1 - zlib.crc32(name.encode())) % m, count, m)

    def result(self, name: str, inputs: Plan, work: Callable[[], Arrays]) -> Arrays:
        """Return what this process works out, or what is kept under everything that its bits depend on.

        Shapes, units: those of work; all numbers as doubles.  Error: as `results`.  Source: as `results`.
        """
        text, store = canonical(inputs), self.store
        piece = piece_name(name, text)
        if store and (kept := _read(store, piece)) is not None:
            return kept
        if not self.own(name, 1):
            raise Elsewhere
        with blas_threads(1):
            found = doubles(work())
        if store:
            store.write(piece, encoded_piece(text, found))
        return found

    def gathered(self, kind: type[G], plan: Chunked, name: str, progress: Progress | None = None) -> G:
        """Return the moments of a plan whose chunks are kept in a folder of this name.

        Error: as `gather`; `Elsewhere` in a part.
        """
        digest = hashlib.sha256(canonical(plan.data()).encode()).hexdigest()[:12]
        store = None if self.folder is None else ChunkFolder(self.folder / PIECES / f"{name}-{digest}", self.folder)
        found = gather(kind, plan, progress, store, self.crew, self.shard)
        if self.shard is not None:
            raise Elsewhere
        return found


NOTHING_KEPT = Tasks()


def worked(work: Work, text: str, *shared: bytes) -> Arrays:
    """What a function gives for a plan as text, and for packed arrays, in any process."""
    with blas_threads(1):
        return doubles(work(json.loads(text), *map(Shared, shared)))


def doubles(arrays: Mapping[str, Any]) -> Arrays:
    """Return numbers as arrays of doubles."""
    return {name: np.asarray(values, dtype=np.float64) for name, values in arrays.items()}


def called(work: Work | str) -> str:
    """The name of a function, or of what this process works out."""
    if isinstance(work, str):
        return work
    function = work.func if isinstance(work, partial) else work
    return f"{function.__module__}.{function.__qualname__}"


def piece_name(work: Work | str, text: str) -> str:
    """What the file of a piece is called: the function, and a digest of all that its bits depend on."""
    name = called(work)
    digest = hashlib.sha256(f"{metadata.version('wideproof')} {name} {text}".encode()).hexdigest()[:24]
    return f"{name.rpartition('.')[2].strip('_').replace('_', '-').lower()}-{digest}"


def encoded_piece(text: str, arrays: Arrays) -> bytes:
    """Return a piece as a netCDF file: a variable for each array, the plan as the attribute plan.

    Shapes, units: kept.  Error: none, bits are kept.  Source: netCDF classic, 64-bit offsets.
    """
    from scipy.io import netcdf_file

    raw = io.BytesIO()
    with netcdf_file(raw, "w", mmap=False, version=2) as file:
        file.plan = text
        for name, values in arrays.items():
            axes = tuple(f"{name}_{k}" for k in range(values.ndim))
            for axis, size in zip(axes, values.shape, strict=True):
                file.createDimension(axis, size)
            file.createVariable(name, "d", axes)[...] = values
        file.flush()
        return raw.getvalue()


def decoded_piece(raw: bytes) -> Arrays:
    """Return the arrays of a file that `encoded_piece` made.  Shapes, units: kept.  Error: none, bits are kept."""
    from scipy.io import netcdf_file

    with netcdf_file(io.BytesIO(raw), "r", mmap=False) as file:
        return {name: np.array(values[...], dtype=np.float64) for name, values in file.variables.items()}


def _read(store: ChunkFolder, name: str) -> Arrays | None:
    raw = store.raw(name)
    return None if raw is None else decoded_piece(raw)
