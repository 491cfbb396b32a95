"""Moments gathered chunk by chunk: drawn by anyone in any order, merged in a fixed one; the bits are the plan's."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
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
    """The chunks of a plan on their way: merged in order, whatever the order in which they come."""

    found: G
    chunks: tuple[Chunk, ...]
    store: ChunkFolder | None
    crew: Crew
    progress: Progress | None
    waiting: dict[int, Numbers | None] = field(default_factory=dict)
    done: int = 0

    def carry_out(self) -> None:
        """Draw and keep what is wanted and not stored, and merge all of it."""
        here = self.crew.executor is None
        for index, numbers in self.crew.each(
            self.found.draw if here else self.found.draw_elsewhere, self.missing(here)
        ):
            if self.store:
                self.store.write(self.chunks[index].name, encoded(self.chunks[index], numbers))
            self.take(index, numbers)

    def missing(self, here: bool) -> Iterator[tuple[int, tuple[Any, ...]] | None]:
        """Yield what has to be drawn, and None as long as the first that is under way is too far behind."""
        for index, chunk in enumerate(self.chunks):
            while index - self.done > 4 * self.crew.window:
                yield None
            if not self.wanted(chunk):
                self.take(index, None)
            elif self.store and (stored := self.store.read(chunk.name)) is not None:
                self.take(index, stored)
            else:
                yield index, ((self.found.plan, chunk) if here else (self.found.text, astuple(chunk)))

    def wanted(self, chunk: Chunk) -> bool:
        return not self.found.reached(chunk.group, chunk.width)

    def take(self, index: int, numbers: Numbers | None) -> None:
        """Merge in order what can be, and tell how many chunks are done."""
        self.waiting[index] = numbers
        while self.done in self.waiting:
            next_, chunk = self.waiting.pop(self.done), self.chunks[self.done]
            if next_ is not None and self.wanted(chunk):
                self.found.take(chunk, next_)
            self.done += 1
            if self.progress:
                self.progress(self.done, len(self.chunks))
                if isinstance(self.progress, Watching):
                    self.progress.errors(partial(standard_errors, self.found))


def gather(
    kind: type[G], plan: Chunked, progress: Progress | None = None, store: ChunkFolder | None = None,
    crew: Crew = ALONE, shard: Shard | None = None,
) -> G:  # fmt: skip
    """Draw all chunks of a plan, or every m-th from the k-th; the bits depend on the plan alone, whoever draws them.

    Chunks that are stored are read, those drawn are kept as they come.
    Shapes: as `Gathered`.  Units: as `Gathered`.  Error: StoreError where the store cannot be written; those of draws.
    Source: one random stream per chunk, merged in a fixed order; progress is told (chunks done, all chunks).
    """
    work = _Work(kind(plan), part_of(tuple(plan.chunks()), shard), store, crew, progress)
    with blas_threads(1):  # for an executor of threads too: each would end the limit of the others
        work.carry_out()
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
