"""A run of many stages: its record says which are done, its pieces stay, and what stops it is told with the way on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.runs.chunks import NAME
from wideproof.numeric.runs.crew import Crew
from wideproof.numeric.runs.folder import MONTE_CARLO, RunFolder, now
from wideproof.numeric.runs.gathering import Progress, Shard
from wideproof.numeric.runs.signals import stopped
from wideproof.numeric.runs.tasks import Elsewhere, Tasks

Stage = Callable[[str], AbstractContextManager[Progress]]
"""Opens a named stage of long work and yields its (done, total) callback."""
DONE, STOPPED, PART = "done", "stopped", "part drawn"


@contextmanager
def silent(name: str) -> Iterator[Progress]:
    """A stage that shows nothing."""
    yield lambda done, total: None


@dataclass(frozen=True)
class StagedRun:
    """A run under way: its folder, who works, and how its stages are shown."""

    folder: RunFolder
    crew: Crew
    show: Stage

    @property
    def tasks(self) -> Tasks:
        """What keeps its pieces, and says which are worked on here."""
        return Tasks(self.folder.path, self.crew, self.shard)

    @property
    def shard(self) -> Shard | None:
        """The part (k, m) that it is, or None for all of it."""
        return tuple(self.folder.record["shard"]) if self.folder.record["shard"] else None

    @property
    def part(self) -> str:
        """What is said of a part that has done its share."""
        assert self.shard is not None
        k, m = self.shard
        done = f"part {k} of {m} is done: {kept_pieces(self.folder.path)} pieces are kept in {self.folder.path}"
        return f"{done}; once all parts are, put them together with: wideproof runs merge PART1 PART2 … -o DIR"

    @property
    def draws(self) -> dict[str, Any]:
        """The options of `validate` for the Monte Carlo of this run, a run of its own in the folder."""
        return {"out": self.folder.path / MONTE_CARLO, "executor": self.crew, "shard": self.shard}

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """Show a stage, and note in the record that it began and, at its end, when it was done; in a part its share."""
        self.folder.update(stage=name)
        try:
            with self.show(name) as progress:
                yield progress
        except Elsewhere:
            self._note(name)
            raise
        self._note(name)

    def _note(self, name: str) -> None:
        self.folder.update(stages=self.folder.record["stages"] | {name: now()})


@contextmanager
def staged(folder: RunFolder, crew: Crew, show: Stage) -> Iterator[StagedRun]:
    """Note a session of a run; a part ends where the rest of it is elsewhere, and an interruption says what is kept.

    Errors: `Stopped`, with the command that goes on.
    """
    folder.begin("numpy", crew.workers)
    run = StagedRun(folder, crew, show)
    try:
        with blas_threads(1):  # the bits of a sum depend on how many share it
            yield run
    except Elsewhere:
        folder.end(PART)
    except KeyboardInterrupt as stop:
        folder.end(STOPPED)
        told = f"{kept_pieces(folder.path)} pieces are kept in {folder.path}; go on with: wideproof runs resume "
        raise stopped(stop, told + str(folder.path)) from None


def kept_pieces(path: Path) -> int:
    """Return how many pieces and chunks a run of stages holds."""
    return sum(NAME.match(file.name) is not None for file in path.rglob("*.nc"))
