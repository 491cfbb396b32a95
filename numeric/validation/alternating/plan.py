"""The plan of a Monte Carlo run of an alternating program: everything its bits depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

from wideproof.derive.alternating.terms import About, Coefficient
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.numeric.core.width_ladder import width_ladder
from wideproof.numeric.runs.chunks import Chunk
from wideproof.numeric.validation.plan import LadderPlan

RUNGS, NARROWEST = 4, 64


@dataclass(frozen=True, eq=False)
class LinesPlan(LadderPlan):
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

    GROUPS = ("lines",)
    BATCH_NUMBERS = {"numpy": 1, "cupy": 1}  # noqa: RUF012 - one matrix at a time
    CHUNK_TRIALS = {"numpy": 100, "cupy": 100}  # noqa: RUF012
    CHUNK_NUMBERS = {"numpy": 2**26, "cupy": 2**26}  # noqa: RUF012

    def least(self) -> dict[str, int]:
        """Return the least that each count may be; the sources are regressed out of the trials."""
        return super().least() | {"trials": len(self.program.sources) + 3}

    def ladder(self) -> tuple[int, ...]:
        """Widths down to an eighth, or a quarter where that is below 64: narrower, a cubic in 1/n would be seen."""
        return width_ladder(self.width, min(RUNGS, max(3, (self.width // NARROWEST).bit_length())))

    @cached_property
    def limits(self) -> dict[About, float]:
        """The coefficients as the lines look them up."""
        return {Coefficient(line, earlier): value for line, earlier, value in self.coefficients}

    def stream_key(self, chunk: Chunk) -> tuple[int, ...]:
        """The width and the chunk."""
        return chunk.width, chunk.index

    def numbers(self, group: str, width: int) -> int:
        """Return the size of a square matrix: how the trials are cut into chunks."""
        return width**2

    def held(self, group: str, width: int) -> float:
        """Return the doubles of the matrix and of its vectors."""
        numbers = {x: self.values[name] for name, x in self.program.symbols.items()}
        aspect = float(self.program.aspect.subs(numbers))
        vectors = len(self.program.lines) + len(self.program.sources) + len(self.program.vectors)
        return aspect * width**2 + (1.0 + aspect) * width * vectors

    def whole_matrices(self, group: str, width: int) -> bool:
        """Always."""
        return True

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Self:
        """Return the plan of plain data.  Errors: those of a plan, and of a program."""
        return super().of({**data, "coefficients": tuple(tuple(x) for x in data["coefficients"])})


def coefficients_of(limits: Mapping[About, float]) -> tuple[tuple[int, int, float], ...]:
    """Return the coefficients among evaluated limits, as a plan takes them."""
    return tuple((*_places(x), value) for x, value in limits.items() if isinstance(x, Coefficient))


def _places(x: Coefficient) -> tuple[int, int]:
    line, earlier = x.args
    return int(line), int(earlier)
