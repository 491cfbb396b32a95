"""Running a plan batch by batch: progress, interruption and resumption without a changed bit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from numeric.arrays import Host, backend, seed_sequence, stream
from numeric.montecarlo.features import KEPT, entries, kernel_moments, response_moments
from numeric.montecarlo.plan import GROUPS, Batch, Plan
from numeric.sampling import draw
from numeric.statistics import Moments
from numeric.store import load, save

Progress = Callable[[int, int], None]
SAVE_EVERY = 5.0  # seconds
LEAST_COUNT = 1000  # a standard error of fewer trials is too rough to stop at
STOPPING = {"response": 1, "kernel": 0}  # the feature whose error decides: second moment, kernel weight
Key = tuple[str, int, str]  # group, width, kind of feature


@dataclass
class Measurements:
    """The moments of every feature at every width of a plan, and some single entries at its largest width.

    Shapes: `Moments` per (group, width, kind); kept (m, T).  Units: of the features.
    Error: in the moments.  Source: `simulate`.
    """

    plan: Plan
    moments: dict[Key, Moments] = field(default_factory=dict)
    kept: Host = field(default_factory=lambda: np.empty((0, 0)))
    done: int = 0

    def add(self, batch: Batch) -> None:
        """Draw one batch from its own stream and merge its moments, unless its width is precise enough already."""
        self.done += 1
        if self.reached(batch.group, batch.width):
            return
        key = (GROUPS.index(batch.group), batch.width, batch.index)
        source = stream(backend(self.plan.backend), seed_sequence(self.plan.seed, *key))
        grams = batch.group == "kernel"
        drawn = draw(self.plan.setting(batch.width), batch.trials, source, grams, self.plan.sampler, self.plan.dtype)
        found = kernel_moments(drawn) if grams else response_moments(drawn)
        for kind, moments in found.items():
            name = (batch.group, batch.width, kind)
            self.moments[name] = self.moments[name].merge(moments) if name in self.moments else moments
        if not grams and batch.width == self.plan.width and len(self.kept) < KEPT:
            more = entries(drawn)[: KEPT - len(self.kept)]
            self.kept = np.concatenate([self.kept, more]) if self.kept.size else more

    def reached(self, group: str, width: int) -> bool:
        """Whether the target of the plan is reached: a function of the moments alone, so of the plan."""
        target, moments = self.plan.target, self.moments.get((group, width, "lag"))
        if target is None or moments is None or moments.count < LEAST_COUNT:
            return False
        estimate = moments.feature(STOPPING[group])
        return bool(np.all(estimate.stderr <= target * np.abs(estimate.mean)))

    def trials(self, group: str, kind: str) -> int:
        """The least number of trials that any width had."""
        return min(self.moments[group, width, kind].count for width in self.plan.widths)

    def arrays(self) -> dict[str, Host]:
        """Return the whole state as named arrays."""
        state = {"kept": self.kept, "done": np.array(self.done, dtype=np.float64)}
        for key, moments in self.moments.items():
            name = "/".join(map(str, key))
            state[f"{name}/count"] = np.array(moments.count, dtype=np.float64)
            state[f"{name}/mean"], state[f"{name}/comoment"] = moments.mean, moments.comoment
        return state

    @staticmethod
    def restore(plan: Plan, state: dict[str, Host]) -> Measurements:
        """Return the measurements whose `arrays` these are."""
        found = Measurements(plan, kept=state["kept"], done=int(state["done"]))
        for name in state:
            if name.endswith("/count"):
                group, width, kind, _ = name.split("/")
                stem = name.removesuffix("count")
                moments = Moments(int(state[name]), state[stem + "mean"], state[stem + "comoment"])
                found.moments[group, int(width), kind] = moments
        return found


def simulate(plan: Plan, progress: Progress | None = None, checkpoint: Path | None = None) -> Measurements:
    """Run all batches of a plan; its bits depend on the plan alone, however often it was interrupted.

    Shapes: as `Measurements`.  Units: as `Measurements`.
    Error: ParameterError if the checkpoint is of another plan.  Source: one random stream per batch, merged
    in a fixed order; progress is called with (batches done, all batches) after each.
    """
    state = load(checkpoint, plan.inputs()) if checkpoint else None
    found = Measurements.restore(plan, state) if state else Measurements(plan)
    batches, saved = tuple(plan.batches()), time.monotonic()
    for batch in batches[found.done :]:
        found.add(batch)
        last = found.done == len(batches)
        if checkpoint and (last or time.monotonic() - saved >= SAVE_EVERY):
            save(checkpoint, plan.inputs(), found.arrays())
            saved = time.monotonic()
        if progress:
            progress(found.done, len(batches))
    return found
