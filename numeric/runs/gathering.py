"""Moments gathered chunk by chunk: drawn by anyone in any order, merged in a fixed one; the bits are the plan's."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import astuple, dataclass, field
from functools import cached_property, partial
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.runs.chunks import Chunk, ChunkFolder, Key, Numbers, encoded
from wideproof.numeric.runs.crew import ALONE, Crew

Progress = Callable[[int, int], None]
Shard = tuple[int, int]


@runtime_checkable
class Watching(Protocol):
    """A progress that also takes the standard errors so far, as a function that it calls when it wants them."""

    def errors(self, so_far: Callable[[], str]) -> None: ...  # noqa: D102


class Chunked(Protocol):
    """A plan: units of work in a fixed order, and all that their numbers depend on."""

    def chunks(self) -> Iterable[Chunk]: ...  # noqa: D102
    def data(self) -> dict[str, Any]: ...  # noqa: D102


P = TypeVar("P", bound=Chunked)
G = TypeVar("G", bound="Gathered[Any]")


@dataclass
class Gathered(ABC, Generic[P]):
    """The moments of every feature at every width of a plan, and some single numbers at its largest width.

    Shapes: `Moments` per key, a name, a width and more; kept (m, ...).  Units: of the features.
    Error: in the moments.  Source: `gather`.
    """

    plan: P
    moments: dict[Any, Moments] = field(default_factory=dict)
    kept: Host = field(default_factory=lambda: np.empty(0))

    @staticmethod
    def most(plan: Any) -> int:
        """How many single numbers are kept at the largest width."""
        return 0

    @classmethod
    @abstractmethod
    def draw(cls, plan: Any, chunk: Chunk) -> Numbers:
        """Draw one chunk from its own stream: a function of the two alone."""

    @classmethod
    @abstractmethod
    def draw_elsewhere(cls, plan: str, chunk: tuple[str, int, int, int]) -> Numbers:
        """The same from the text of a plan and the fields of a chunk, for another process or machine."""

    @cached_property
    def text(self) -> str:
        """The plan as the text that is sent to workers."""
        return json.dumps(self.plan.data(), sort_keys=True)

    def reached(self, group: str, width: int) -> bool:
        """Whether a width is precise enough already: a function of the moments alone, so of the plan."""
        return False

    def key(self, chunk: Chunk, name: str) -> Key:
        """The key of a feature of a chunk."""
        return (name, chunk.width)

    def take(self, chunk: Chunk, numbers: Numbers) -> None:
        """Merge the next chunk of its width."""
        for name, moments in numbers.moments.items():
            key = self.key(chunk, name)
            self.moments[key] = self.moments[key].merge(moments) if key in self.moments else moments
        most = self.most(self.plan)
        if chunk.width == self.plan.width and numbers.kept.size and len(self.kept) < most:  # type: ignore[attr-defined]
            whole = np.concatenate([self.kept, numbers.kept]) if self.kept.size else numbers.kept
            self.kept = whole[:most]

    def arrays(self) -> dict[str, Host]:
        """Return all numbers as named arrays."""
        state = {"kept": self.kept}
        for key, moments in self.moments.items():
            name = "/".join(map(str, key))
            state[f"{name}/count"] = np.array(moments.count, dtype=np.float64)
            state[f"{name}/mean"], state[f"{name}/comoment"] = moments.mean, moments.comoment
        return state


@dataclass
class _Work(Generic[G]):
    """Chunks handed out, and those that came back before their turn."""

    found: G
    chunks: tuple[Chunk, ...]
    store: ChunkFolder | None
    crew: Crew
    pending: dict[Future[Numbers], int] = field(default_factory=dict)
    waiting: dict[int, Numbers | None] = field(default_factory=dict)
    handed: int = 0

    def hand_out(self, done: int) -> None:
        """Submit the next chunks that are wanted and not stored, so many ahead of the first that is missing."""
        while self.handed < len(self.chunks) and len(self.pending) < self.crew.window:
            if self.handed - done > 4 * self.crew.window:
                return
            index, chunk = self.handed, self.chunks[self.handed]
            self.handed += 1
            stored = None
            if self.wanted(chunk):
                stored = self.store.read(chunk.name) if self.store else None
                if stored is None:
                    self.pending[self.submit(chunk)] = index
                    continue
            self.waiting[index] = stored

    def submit(self, chunk: Chunk) -> Future[Numbers]:
        if self.crew.executor is None:
            return self.crew.submit(self.found.draw, self.found.plan, chunk)
        return self.crew.submit(self.found.draw_elsewhere, self.found.text, astuple(chunk))

    def wanted(self, chunk: Chunk) -> bool:
        return not self.found.reached(chunk.group, chunk.width)

    def collect(self) -> None:
        """Keep what has come back; a broken pool is made anew and its chunks are handed out again."""
        done, _ = wait(self.pending, return_when=FIRST_COMPLETED)
        for future in done:
            index = self.pending.pop(future)
            numbers = self.crew.result(future)
            if numbers is None:
                self.pending = {self.submit(self.chunks[k]): k for k in [index, *self.pending.values()]}
                return
            if self.store:
                self.store.write(self.chunks[index].name, encoded(self.chunks[index], numbers))
            self.waiting[index] = numbers

    def merged(self) -> Iterator[int]:
        """Merge in order what can be, and yield how many chunks are done."""
        done = 0
        while done < len(self.chunks):
            self.hand_out(done)
            while done in self.waiting:
                numbers, chunk = self.waiting.pop(done), self.chunks[done]
                if numbers is not None and self.wanted(chunk):
                    self.found.take(chunk, numbers)
                done += 1
                yield done
            if self.pending and done not in self.waiting:
                self.collect()


def gather(
    kind: type[G], plan: Chunked, progress: Progress | None = None, store: ChunkFolder | None = None,
    crew: Crew = ALONE, shard: Shard | None = None,
) -> G:  # fmt: skip
    """Draw all chunks of a plan, or every m-th from the k-th; the bits depend on the plan alone, whoever draws them.

    Chunks that are stored are read, those drawn are kept as they come.
    Shapes: as `Gathered`.  Units: as `Gathered`.  Error: StoreError where the store cannot be written; those of draws.
    Source: one random stream per chunk, merged in a fixed order; progress is told (chunks done, all chunks).
    """
    chunks = part_of(tuple(plan.chunks()), shard)
    work = _Work(kind(plan), chunks, store, crew)
    with blas_threads(1):  # for an executor of threads too: each would end the limit of the others
        for done in work.merged():
            if progress:
                progress(done, len(chunks))
                if isinstance(progress, Watching):
                    progress.errors(partial(standard_errors, work.found))
    return work.found


def standard_errors(found: Gathered[Any]) -> str:
    """The largest standard error of a mean so far, of every feature at the width of the most trials, the largest.

    Units: of the features.  Error: relative O(trials^-1/2).  Source: `Moments`.
    """
    said = []
    for name in dict.fromkeys(key[0] for key in found.moments):
        own = [(moments.count, key[1], moments) for key, moments in found.moments.items() if key[0] == name]
        _, width, moments = max(own, key=lambda one: one[:2])
        if moments.count > 1:
            spread = np.sqrt(np.diagonal(moments.comoment, axis1=-2, axis2=-1) / (moments.count - 1) / moments.count)
            said.append(f"{name} {np.max(spread, initial=0.0):.2g} at width {width} ({moments.count} trials)")
    return ", ".join(said)


def part_of(chunks: tuple[Chunk, ...], shard: Shard | None) -> tuple[Chunk, ...]:
    """Return every m-th chunk from the k-th, or all of them."""
    return chunks if shard is None else chunks[shard[0] - 1 :: shard[1]]
