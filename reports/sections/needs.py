"""What sections need: derived or measured once, by one stack for all kinds of models, and read by any section."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial
from typing import Any, Generic, TypeVar

from wideproof.derive import Derivation, Program
from wideproof.numeric.core.checks import Check, Verdict, overall
from wideproof.numeric.linear_rnn.training_choice import Announce
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.stages import Stage, silent
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Tasks, every, later
from wideproof.reports.render.run_json import recordable

T = TypeVar("T", covariant=True)
Derived = TypeVar("Derived", Derivation, tuple[Derivation, ...])


class Order(IntEnum):
    """When a need is made: inputs are read before the long work; parts of a run share what is measured."""

    CHECKED, DERIVED, SHARED, LAST = range(4)


@dataclass(frozen=True, eq=False)
class Need(Generic[T]):
    """Something that sections read: how it is made, in which stage, and what of it is recorded and judged."""

    make: Callable[[Making, Progress], T]
    order: Order
    stage: str = ""
    record: Callable[[Any], Mapping[str, Any]] = lambda value: {}
    checks: Callable[[Any], Sequence[Check]] = lambda value: ()


@dataclass(frozen=True)
class ReportRun:
    """What was asked for, and the value of every need: all that a section reads.

    `nu` holds the numbers of the symbols; `data`, `columns` and `method` are read by sections on recordings and on
    the training of the wide linear RNN alone.  Errors: LookupError for a need that no section declared.
    """

    program: Program
    nu: dict[str, float]
    seed: int = 0
    width: int = 1024
    trials: int | None = None
    data: tuple[str, ...] = ()
    columns: Mapping[str, Any] = field(default_factory=dict)
    method: str = "auto"
    made: Mapping[Need[Any], Any] = field(default_factory=dict, repr=False)

    def __getitem__(self, need: Need[T]) -> T:
        """The value of a need."""
        if need not in self.made:
            raise LookupError(f"{need} is read and not declared: name it among the needs of the section")
        value: T = self.made[need]
        return value

    def having(self, values: Mapping[Need[Any], Any]) -> ReportRun:
        """The same run with other values of some needs."""
        return replace(self, made={**self.made, **values})

    @property
    def verdict(self) -> Verdict:
        """Of all needs that are judged, together."""
        return overall([check for need, value in self.made.items() for check in need.checks(value)])

    def record(self) -> dict[str, Any]:
        """The numbers of the run as plain data, for run.json; what does not exist for its program is left out."""
        found: dict[str, Any] = {}
        for need, value in self.made.items():
            found |= {name: part for name, part in need.record(value).items() if part is not None}
        plain: dict[str, Any] = recordable(found)
        return plain


@dataclass(frozen=True)
class Making(ReportRun):
    """A run whose needs are being made: one that another reads is made for it, each once.

    `draws` are the options of `validate` that say where its numbers are kept and who draws; `tasks` keep everything
    else, piece by piece; `announce` is told by which method a network is trained.
    """

    stage: Stage = silent
    draws: Mapping[str, Any] = field(default_factory=dict)
    tasks: Tasks = NOTHING_KEPT
    announce: Announce | None = None
    under_way: dict[Need[Any], Callable[[], Any]] = field(default_factory=dict, repr=False)

    def __getitem__(self, need: Need[T]) -> T:
        """The value of a need, made now unless it is there.  Errors: `Elsewhere` in a part that lacks it."""
        if need not in self.under_way:
            self.under_way[need] = later(partial(self._make, need))
        value: T = self.under_way[need]()
        return value

    def _make(self, need: Need[T]) -> T:
        if not need.stage:
            return need.make(self, lambda done, total: None)
        with self.stage(need.stage) as progress:
            return need.make(self, progress)

    def carried_out(self, needs: Iterable[Need[Any]]) -> ReportRun:
        """The run with all needs made, in their order.

        Errors: those of the needs; `Elsewhere` in a part of a run, once it has done its share of what is measured.
        """
        order: dict[Order, list[Need[Any]]] = {when: [] for when in Order}
        for need in dict.fromkeys(needs):
            order[need.order].append(need)
        for need in order[Order.CHECKED]:
            self[need]
        with self.stage("derivation and proofs") as progress:
            verify([self[need] for need in order[Order.DERIVED]], progress)
        every(partial(self.__getitem__, need) for need in order[Order.SHARED])
        for need in order[Order.LAST]:
            self[need]
        values = {need: value() for need, value in self.under_way.items()}
        return ReportRun(self.program, self.nu, self.seed, self.width, self.trials, self.data, self.columns,
                         self.method, values)  # fmt: skip


def verify(derived: Sequence[Derivation | tuple[Derivation, ...]], progress: Progress) -> None:
    """Replay and audit the proofs of derivations.  Errors: ProofError."""
    found = [one for some in derived for one in (some if isinstance(some, tuple) else (some,))]
    for done, derivation in enumerate(found, 1):
        derivation.proof.verify()
        progress(done, len(found))


Record = str | Callable[[Any], Mapping[str, Any]]
"""The name of the whole value in run.json, none if empty, or what several names have."""


def derived(make: Callable[[Any], Derived]) -> Need[Derived]:
    """A derivation of the program, or several; their proofs are verified before anything is measured."""
    return Need(lambda making, progress: make(making.program), Order.DERIVED)


def checked(make: Callable[[Making], T]) -> Need[T]:
    """What is read before the long work, so that a wrong file or option is told at once."""
    return Need(lambda making, progress: make(making), Order.CHECKED)


def measured(
    stage: str, record: Record = "", checks: Callable[[Any], Sequence[Check]] = lambda value: ()
) -> Callable[[Callable[[Making, Progress], T]], Need[T]]:
    """A measurement that is kept piece by piece, shared by the parts of a run; without a stage it opens its own."""
    return lambda make: Need(make, Order.SHARED, stage, _recorder(record), checks)


def concluded(stage: str = "", record: Record = "") -> Callable[[Callable[[Making, Progress], T]], Need[T]]:
    """What follows from the measurements; in a part of a run it is left to who puts the parts together."""
    return lambda make: Need(make, Order.LAST, stage, _recorder(record))


def _recorder(record: Record) -> Callable[[Any], Mapping[str, Any]]:
    return record if callable(record) else lambda value: {record: value} if record else {}
