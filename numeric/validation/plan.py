"""What the plans of all Monte Carlo runs share: a ladder of widths, independent trials, and their cut into chunks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.derive.language.program import Program
from wideproof.numeric.core.arrays import BACKENDS
from wideproof.numeric.core.inputs import choice, real, whole
from wideproof.numeric.core.width_ladder import width_ladder
from wideproof.numeric.runs.chunks import Chunk, cut, round_size
from wideproof.numeric.runs.memory import BatchMemory

LARGEST = 2**128
"""Counts are whole numbers up to this; a width without whole matrices may be as large as it likes."""


class LadderPlan(ABC):
    """A ladder of widths with independent trials at each; equal plans give equal bits.

    A kind of plan is a frozen dataclass with these fields and more: it says how many doubles a trial holds, and is
    cut into chunks, measured in memory, written as plain data and read from it here.
    Shapes: widths (K,), increasing.  Error: ParameterError for a size that means nothing.  Source: definition.
    """

    width: int
    trials: int
    seed: int
    backend: str
    widths: tuple[int, ...]
    target: float | None = None

    GROUPS: ClassVar[tuple[str, ...]]
    follows: ClassVar[dict[str, None]] = {}
    """Fields that follow from the width and the trials, and are found anew where these change."""
    BATCH_NUMBERS: ClassVar[dict[str, int]]
    """Doubles of one batch on each backend: what is drawn at once."""
    CHUNK_TRIALS: ClassVar[dict[str, int]]
    CHUNK_NUMBERS: ClassVar[dict[str, int]]
    """Trials of one chunk at most, and doubles drawn for it: some seconds of work."""

    def __post_init__(self) -> None:
        for name, least in self.least().items():
            hint = "A standard error needs some to spare." if name.endswith("trials") else "Sizes and steps count."
            self._set(name, whole(name, getattr(self, name), least, LARGEST, hint))
        if self.target is not None:
            real("target", self.target, 0.0, above=True, hint="A relative standard error: 0.01 is one per cent.")
        choice("backend", self.backend, BACKENDS, "Choose an array library.")
        self._set("widths", tuple(whole("widths", width, 1) for width in self.widths or self.ladder()))
        if tuple(sorted(set(self.widths))) != self.widths or self.widths[-1] != self.width:
            raise ParameterError("widths", "increasing, up to width", self.widths, "Sort them, no width twice.")

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def least(self) -> dict[str, int]:
        """Return the least that each count may be."""
        return {"width": 1, "trials": 2, "seed": 0}

    def ladder(self) -> tuple[int, ...]:
        """Return the widths of a plan that names none."""
        return width_ladder(self.width)

    @abstractmethod
    def numbers(self, group: str, width: int) -> float:
        """Return about how many doubles one trial takes while it is drawn: chunks and batches are cut by it."""

    def held(self, group: str, width: int) -> float:
        """Return how many doubles one trial of a batch holds at once."""
        return self.numbers(group, width)

    @abstractmethod
    def whole_matrices(self, group: str, width: int) -> bool:
        """Whether matrices are drawn whole at a width, so that its memory grows as n²."""

    @property
    def matrices_asked(self) -> bool:
        """Whether whole matrices were asked for where they need not be drawn."""
        return False

    def trials_of(self, group: str) -> int:
        """Return how many trials a group has at each width."""
        return self.trials

    def chunks(self) -> Iterator[Chunk]:
        """Yield all units of work in their fixed order."""
        for group in self.GROUPS:
            for width in self.widths:
                yield from cut(group, width, self.trials_of(group), self.chunk_size(group, width))

    def chunk_size(self, group: str, width: int) -> int:
        """Return how many trials share one stream and one file: some seconds of work, whatever the trials."""
        fitting = self.CHUNK_NUMBERS[self.backend] // int(self.numbers(group, width))
        return round_size(self.CHUNK_TRIALS[self.backend], fitting)

    def batch_size(self, group: str, width: int) -> int:
        """Return how many trials of a chunk are drawn at once: what fits the budget."""
        fitting = self.BATCH_NUMBERS[self.backend] // int(self.numbers(group, width))
        return max(1, min(self.chunk_size(group, width), fitting))

    @abstractmethod
    def stream_key(self, chunk: Chunk) -> tuple[int, ...]:
        """Return what names the random stream of a chunk beside the seed."""

    def memory(self) -> BatchMemory:
        """Estimate the memory of a worker.  Units: bytes.  Error: a factor of two.  Source: `held`."""
        found = []
        for group in self.GROUPS:
            for width in self.widths:
                each = min(self.trials_of(group), self.batch_size(group, width))
                dense = self.whole_matrices(group, width)
                found.append(BatchMemory(width, each, float(self.held(group, width)), dense, self.matrices_asked))
        return max(found, key=lambda memory: memory.bytes)

    def data(self) -> dict[str, Any]:
        """Return the plan as plain data, from which `of` makes an equal one."""
        return {x.name: _plain(getattr(self, x.name)) for x in fields(self)}  # type: ignore[arg-type]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Return the plan of plain data.  Errors: those of a plan, and of a program."""
        made: dict[str, Any] = {}
        if "program" in data:
            made["program"] = program_of(data["program"])
        return cls(**{**data, **made, "widths": tuple(data["widths"])})


def _plain(value: Any) -> Any:
    """Numbers, texts, lists and mappings, as JSON writes them."""
    if isinstance(value, Program):
        return program_data(value)
    if isinstance(value, np.ndarray | tuple):
        return [_plain(x) for x in value] if isinstance(value, tuple) else value.tolist()
    return dict(value) if isinstance(value, Mapping) else value
