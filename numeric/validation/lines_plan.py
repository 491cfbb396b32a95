"""The plan of a Monte Carlo run of an alternating program: everything its bits depend on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from wideproof.derive.alternating.terms import About, Coefficient
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.numeric.core.arrays import BACKENDS
from wideproof.numeric.core.inputs import choice, whole
from wideproof.numeric.core.width_ladder import width_ladder
from wideproof.numeric.runs.chunks import Chunk, cut, round_size

RUNGS, NARROWEST = 4, 64
"""Widths down to an eighth, or a quarter where that is below 64: narrower, a cubic in 1/n would be seen."""
CHUNK_TRIALS, CHUNK_NUMBERS = 100, 2**26
"""Draws of one chunk at most, and doubles drawn for it."""


@dataclass(frozen=True, eq=False)
class LinesPlan:
    """A ladder of widths with independent draws of the matrix and the sources at each; equal plans give equal bits.

    `coefficients` (line, earlier line, value) are those of the correction terms, taken away times `onsager`, which is
    1 but for mutants.
    Shapes: widths (K,), increasing.  Units: values are those of the program's symbols.
    Error: ParameterError for a size that means nothing, and for too few trials.  Source: definition.
    """

    program: AlternatingProgram
    values: Mapping[str, float]
    width: int
    trials: int
    seed: int = 0
    backend: str = "numpy"
    onsager: float = 1.0
    coefficients: tuple[tuple[int, int, float], ...] = ()
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for name, least in (("width", 1), ("seed", 0)):
            object.__setattr__(self, name, whole(name, getattr(self, name), least, 2**128))
        least = len(self.program.sources) + 3
        if self.trials < least:
            raise ParameterError("trials", f"at least {least}", self.trials, "An error needs some to spare.")
        choice("backend", self.backend, BACKENDS, "Choose an array library.")
        if not self.widths:
            rungs = min(RUNGS, max(3, (self.width // NARROWEST).bit_length()))
            object.__setattr__(self, "widths", width_ladder(self.width, rungs))

    @cached_property
    def limits(self) -> dict[About, float]:
        """The coefficients as the lines look them up."""
        return {Coefficient(line, earlier): value for line, earlier, value in self.coefficients}

    def chunks(self) -> Iterator[Chunk]:
        """Yield all units of work in their fixed order."""
        for width in self.widths:
            yield from cut("lines", width, self.trials, round_size(CHUNK_TRIALS, CHUNK_NUMBERS // width**2))

    def data(self) -> dict[str, Any]:
        """Return the plan as plain data, from which `of` makes an equal one."""
        found = {x.name: getattr(self, x.name) for x in fields(self)}
        return found | {"program": program_data(self.program), "values": dict(self.values),
                        "coefficients": [list(x) for x in self.coefficients], "widths": list(self.widths)}  # fmt: skip

    @staticmethod
    def of(data: Mapping[str, Any]) -> LinesPlan:
        """Return the plan of plain data.  Errors: those of a plan, and of a program."""
        made = {"program": program_of(data["program"]), "widths": tuple(data["widths"])}
        return LinesPlan(**{**data, **made, "coefficients": tuple(tuple(x) for x in data["coefficients"])})


def coefficients_of(limits: Mapping[About, float]) -> tuple[tuple[int, int, float], ...]:
    """Return the coefficients among evaluated limits, as a plan takes them."""
    return tuple((*_places(x), value) for x, value in limits.items() if isinstance(x, Coefficient))


def _places(x: Coefficient) -> tuple[int, int]:
    line, earlier = x.args
    return int(line), int(earlier)
