"""Moments gathered batch by batch: merged in a fixed order, and resumed without a changed bit."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checkpoints import load, save
from wideproof.numeric.core.statistics import Moments

Progress = Callable[[int, int], None]
Key = tuple[str | int, ...]
SAVE_EVERY = 5.0  # seconds


class Batches(Protocol):
    """A plan: units of work in a fixed order, and everything that the bits of its run depend on."""

    def batches(self) -> Iterable[Any]: ...  # noqa: D102
    def identity(self) -> dict[str, Any]: ...  # noqa: D102


P = TypeVar("P", bound=Batches)
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
    done: int = 0

    @abstractmethod
    def add(self, batch: Any) -> None:
        """Draw one batch from its own stream and merge its moments, unless its width is precise enough already."""

    def merge(self, key: Key, moments: Moments) -> None:
        """Take in the moments of one more batch."""
        self.moments[key] = self.moments[key].merge(moments) if key in self.moments else moments

    def keep(self, more: Host, most: int) -> None:
        """Keep single numbers, up to so many."""
        if len(self.kept) < most:
            self.kept = np.concatenate([self.kept, more])[:most] if self.kept.size else more[:most]

    def arrays(self) -> dict[str, Host]:
        """Return the whole state as named arrays."""
        state = {"kept": self.kept, "done": np.array(self.done, dtype=np.float64)}
        for key, moments in self.moments.items():
            name = "/".join(map(str, key))
            state[f"{name}/count"] = np.array(moments.count, dtype=np.float64)
            state[f"{name}/mean"], state[f"{name}/comoment"] = moments.mean, moments.comoment
        return state

    @classmethod
    def restore(cls, plan: P, state: dict[str, Host]) -> Self:
        """Return the moments whose `arrays` these are."""
        found = cls(plan, kept=state["kept"], done=int(state["done"]))
        for stem in (name.removesuffix("count") for name in state if name.endswith("/count")):
            key = tuple(int(part) if part.isdigit() else part for part in stem[:-1].split("/"))
            found.moments[key] = Moments(int(state[stem + "count"]), state[stem + "mean"], state[stem + "comoment"])
        return found


def gather(kind: type[G], plan: Batches, progress: Progress | None = None, checkpoint: Path | None = None) -> G:
    """Run all batches of a plan; its bits depend on the plan alone, however often it was interrupted.

    Shapes: as `Gathered`.  Units: as `Gathered`.  Error: ParameterError if the checkpoint is of another plan.
    Source: one random stream per batch, merged in a fixed order; progress is told (batches done, all batches).
    """
    state = load(checkpoint, plan.identity()) if checkpoint else None
    found = kind.restore(plan, state) if state else kind(plan)
    batches, saved = tuple(plan.batches()), time.monotonic()
    for batch in batches[found.done :]:
        found.done += 1
        found.add(batch)
        last = found.done == len(batches)
        if checkpoint and (last or time.monotonic() - saved >= SAVE_EVERY):
            save(checkpoint, plan.identity(), found.arrays())
            saved = time.monotonic()
        if progress:
            progress(found.done, len(batches))
    return found
