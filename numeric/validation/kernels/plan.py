"""The plan of a Monte Carlo run of kernels: everything its bits depend on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from wideproof.derive import Program
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.numeric.core.arrays import Host, seed_sequence
from wideproof.numeric.core.inputs import sequences
from wideproof.numeric.core.width_ladder import width_ladder
from wideproof.numeric.networks.empirical_kernels import readouts_of
from wideproof.numeric.runs.chunks import Chunk, cut, round_size
from wideproof.numeric.sampling.linear.choice import Choice
from wideproof.numeric.sampling.revealed_matrices import DENSE, choose_matrices
from wideproof.numeric.validation.linear_rnn.plan import checked_plan

BATCH_NUMBERS = {"numpy": 2**24, "cupy": 2**28}
"""Doubles of one batch: 128 MB on the host, 2 GB on a device."""
CHUNK_TRIALS, CHUNK_NUMBERS = {"numpy": 50, "cupy": 500}, {"numpy": 2**26, "cupy": 2**32}
"""Networks of one chunk at most, and doubles drawn for it."""
OUTPUTS = 256
"""Outputs of each network where a readout is frozen: given its states, each is one more look at the NNGP kernel."""


@dataclass(frozen=True, eq=False)
class KernelPlan:
    """A ladder of widths with independent networks at each; equal plans give equal bits.

    Each network reads the same sequences; its first output gives the tangent kernel. With a `target`, a width is
    done once the standard errors of both kernels, relative to their diagonals, are below it.
    Shapes: inputs (N, T, n_x), drawn from the seed unless given; widths (K,), increasing.
    Units: values are those of the program's symbols.  Error: ParameterError for a size that means nothing.
    Source: definition.
    """

    program: Program
    values: Mapping[str, float]
    width: int
    trials: int
    horizon: int = 4
    sequences: int = 2
    n_x: int = 2
    n_y: int | None = None
    seed: int = 0
    parameterization: str = "entries"
    sampler: str = "auto"
    backend: str = "numpy"
    target: float | None = None
    inputs: Host = field(default_factory=lambda: np.empty(0))
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        least = {"width": 1, "trials": 2, "horizon": 1, "sequences": 1, "n_x": 1, "seed": 0}
        checked_plan(self, least | ({} if self.n_y is None else {"n_y": 1}))
        if self.n_y is None:
            frozen = not all(p.trainable for p in readouts_of(self.program))
            object.__setattr__(self, "n_y", OUTPUTS if frozen else 1)
        if not self.widths:
            object.__setattr__(self, "widths", width_ladder(self.width))
        if self.inputs.size:
            object.__setattr__(self, "inputs", sequences("inputs", self.inputs))
        else:
            drawn = np.random.default_rng(seed_sequence(self.seed, 0)).standard_normal(
                (self.sequences, self.horizon, self.n_x)
            )
            object.__setattr__(self, "inputs", drawn / math.sqrt(self.n_x))

    @property
    def points(self) -> int:
        """The number of (sequence, time) that a kernel has rows for."""
        return int(self.inputs.shape[0] * self.inputs.shape[1])

    @property
    def pairs(self) -> tuple[tuple[int, int, int, int], ...]:
        """(sequence, time, sequence', time') of every entry on and above the diagonal."""
        places = [(a, time) for a in range(self.inputs.shape[0]) for time in range(self.inputs.shape[1])]
        return tuple((*p, *q) for i, p in enumerate(places) for q in places[i:])

    def chunks(self) -> Iterator[Chunk]:
        """Yield all units of work in their fixed order."""
        for width in self.widths:
            yield from cut("kernels", width, self.trials, self.chunk_size(width))

    def chunk_size(self, width: int) -> int:
        """Return how many networks share one stream and one file: some seconds of work, whatever the trials."""
        return round_size(CHUNK_TRIALS[self.backend], CHUNK_NUMBERS[self.backend] // self.numbers(width))

    def batch_size(self, width: int) -> int:
        """Return how many networks of a chunk are drawn at once: what fits the budget."""
        return max(1, min(self.chunk_size(width), BATCH_NUMBERS[self.backend] // self.numbers(width)))

    def numbers(self, width: int) -> int:
        """Return about how many doubles one network holds: its parameters, its states and their cotangents.

        A whole matrix counts twice, as drawn and as scaled; measured, the peak is within 10 % of it.
        """
        vectors = self.points * (1 + int(self.inputs.shape[1])) * len(self.program.terms)
        square = sum(p.role == "matrix" for p in self.program.parameters) * width**2
        dense = self.choice(width).name == DENSE
        return width * ((self.n_y or 1) + vectors) + (2 * square if dense else 0)

    def choice(self, width: int) -> Choice:
        """Return the sampler at a width, with the reason."""
        count, horizon = int(self.inputs.shape[0]), int(self.inputs.shape[1])
        return choose_matrices(self.program, width, count * (1 + horizon), horizon, self.sampler)

    @property
    def samplers(self) -> str:
        """Say which sampler draws which widths, and why at the largest of them."""
        widths: dict[str, list[int]] = {}
        for width in self.widths:
            widths.setdefault(self.choice(width).name, []).append(width)
        return ", ".join(f"{name} at n = {', '.join(map(str, own))} ({self.choice(own[-1]).reason})"
                         for name, own in widths.items())  # fmt: skip

    def data(self) -> dict[str, Any]:
        """Return the plan as plain data, from which `of` makes an equal one."""
        found = {x.name: getattr(self, x.name) for x in fields(self)}
        return found | {"program": program_data(self.program), "values": dict(self.values),
                        "inputs": self.inputs.tolist(), "widths": list(self.widths)}  # fmt: skip

    @staticmethod
    def of(data: Mapping[str, Any]) -> KernelPlan:
        """Return the plan of plain data.  Errors: those of a plan, and of a program."""
        made = {"program": program_of(data["program"]), "inputs": np.array(data["inputs"], dtype=np.float64)}
        return KernelPlan(**{**data, **made, "widths": tuple(data["widths"])})
