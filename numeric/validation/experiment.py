"""An experiment: a definition, a plan and a level; measured by anyone, judged from the measurements."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

from wideproof.derive import Program
from wideproof.derive.language.scalars import check_keywords
from wideproof.numeric.core.checks import Judged, Level
from wideproof.numeric.core.inputs import real
from wideproof.numeric.networks.narrow_width import warn_narrow
from wideproof.numeric.runs.memory import BatchMemory
from wideproof.numeric.validation.measurements import LadderMeasurements

EXTENDED = ("trials", "kernel_trials", "width", "widths", "target")
"""Fields of a plan that say how much is drawn; the numbers of a chunk depend on none of them."""


@dataclass(frozen=True)
class PlanOptions:
    """What `validate` is asked for, checked: None where the kind of the program says what is usual.

    `options` are the other keywords of the caller, which a misspelt symbol may have been meant as.
    """

    width: int
    trials: int | None
    seed: int
    backend: str
    horizon: int | None
    level: Level | None
    sampler: str
    budget: float | None
    dtype: str
    nu: Mapping[str, float]
    options: tuple[str, ...] = ()


class Experiment(ABC):
    """A plan and a level, and how what is measured is judged; a kind is a frozen dataclass with these fields."""

    program: Program
    values: Mapping[str, float]
    plan: Any
    level: Level | None
    kind: ClassVar[str]
    measurements: ClassVar[type[LadderMeasurements[Any]]]

    @classmethod
    @abstractmethod
    def covers(cls, program: Program) -> bool:
        """Whether programs such as this one are confronted with their limits in this way."""

    @classmethod
    @abstractmethod
    def planned(cls, program: Program, asked: PlanOptions) -> Self:
        """The experiment on a program.  Errors: ParameterError for what its kind does not take."""

    @classmethod
    @abstractmethod
    def usual(cls, program: Program) -> Mapping[str, float]:
        """Our assumption for the symbols of the gallery where the user states no number."""

    @classmethod
    def settings(cls, program: Program, nu: Mapping[str, float], options: tuple[str, ...] = ()) -> dict[str, float]:
        """Return the numbers given for the symbols of a program, and our assumption for the others of the gallery.

        Units: of each symbol.  Error: ParameterError for a name that is no symbol of the program, and for a symbol
        that has neither a number nor an assumption.  Source: `usual`.
        """
        given = {name: x for name, x in cls.usual(program).items() if name in program.symbols} | dict(nu)
        check_keywords("validate", given, program.symbols, options=options)
        return {
            name: real(name, given[name], 0.0 if x.is_nonnegative else -math.inf) for name, x in program.symbols.items()
        }

    def warn(self) -> None:
        """Warn of widths so narrow that a limit says little about them."""
        warn_narrow(self.program, self.values, self.plan.width, self.plan.horizon)

    def announced(self) -> Iterator[Any]:
        """What a user is told before the start: the time of the run, where it is estimated."""
        cost = self.cost()
        if cost is not None:
            yield cost

    def memory(self) -> BatchMemory:
        """The memory of a worker, as `LadderPlan.memory`."""
        found: BatchMemory = self.plan.memory()
        return found

    @abstractmethod
    def cost(self) -> Any:
        """The time of the run; None where it is not estimated."""

    @abstractmethod
    def judged(self, found: Any) -> Judged:
        """The verdict on what was measured.  Error: as `judge`."""

    def data(self) -> dict[str, Any]:
        """Plain data, from which `experiment_of` makes an equal experiment."""
        level = None if self.level is None else asdict(replace(self.level, effects=dict(self.level.effects)))
        return {"kind": self.kind, "plan": self.plan.data(), "level": level}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Return the experiment of plain data.  Errors: those of its parts."""
        level = None if data["level"] is None else Level(**data["level"])
        return cls(**cls.fields(data) | {"level": level})

    @classmethod
    def fields(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """The fields beside the level, from plain data."""
        return {"plan": cls.measurements.plan_class.of(data["plan"])}

    @property
    def setting(self) -> str:
        """All that the numbers of a chunk depend on, as text: equal for runs whose chunks can be put together."""
        data = self.data()
        plan = {key: value for key, value in data["plan"].items() if key not in EXTENDED}
        return json.dumps(data | {"plan": plan, "level": None}, sort_keys=True)

    def extended(self, trials: int | None, width: int | None) -> Self:
        """Return an experiment with more trials or another ladder; its chunks of the same place are the same.

        The lags, inputs and outputs stay those of the run, which are chosen from its first width and trials.
        Errors: those of a plan.
        """
        change: dict[str, Any] = {} if trials is None else {"trials": trials}
        if width is not None:
            change |= {"width": width, "widths": ()}
        return replace(self, plan=replace(self.plan, **self.plan.follows, **change))  # type: ignore[type-var]


class ProgramExperiment(Experiment):
    """An experiment whose plan holds the program and the numbers of its symbols."""

    @property
    def program(self) -> Program:  # type: ignore[override]
        """The program."""
        found: Program = self.plan.program
        return found

    @property
    def values(self) -> Mapping[str, float]:  # type: ignore[override]
        """The numbers of its symbols."""
        found: Mapping[str, float] = self.plan.values
        return found
