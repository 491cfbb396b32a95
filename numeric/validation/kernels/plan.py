"""The plan of a Monte Carlo run of kernels: everything its bits depend on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from wideproof.derive import Program
from wideproof.numeric.core.arrays import Host, seed_sequence
from wideproof.numeric.core.inputs import sequences
from wideproof.numeric.networks.empirical_kernels import readouts_of
from wideproof.numeric.runs.chunks import Chunk
from wideproof.numeric.sampling.linear.choice import Choice
from wideproof.numeric.sampling.revealed_matrices import DENSE, choose_matrices
from wideproof.numeric.validation.plan import LadderPlan

OUTPUTS = 256
"""Outputs of each network where a readout is frozen: given its states, each is one more look at the NNGP kernel."""


@dataclass(frozen=True, eq=False)
class KernelPlan(LadderPlan):
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

    GROUPS = ("kernels",)
    BATCH_NUMBERS = {"numpy": 2**24, "cupy": 2**28}  # noqa: RUF012 - 128 MB on the host, 2 GB on a device
    CHUNK_TRIALS = {"numpy": 50, "cupy": 500}  # noqa: RUF012
    CHUNK_NUMBERS = {"numpy": 2**26, "cupy": 2**32}  # noqa: RUF012

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_y is None:
            frozen = not all(p.trainable for p in readouts_of(self.program))
            self._set("n_y", OUTPUTS if frozen else 1)
        given = np.asarray(self.inputs, dtype=np.float64)
        self._set("inputs", sequences("inputs", given) if given.size else self._drawn_inputs())

    def _drawn_inputs(self) -> Host:
        drawn = np.random.default_rng(seed_sequence(self.seed, 0)).standard_normal(
            (self.sequences, self.horizon, self.n_x)
        )
        return np.asarray(drawn / math.sqrt(self.n_x))

    def least(self) -> dict[str, int]:
        """Return the least that each count may be."""
        given = {} if self.n_y is None else {"n_y": 1}
        return super().least() | {"horizon": 1, "sequences": 1, "n_x": 1} | given

    @property
    def points(self) -> int:
        """The number of (sequence, time) that a kernel has rows for."""
        return int(self.inputs.shape[0] * self.inputs.shape[1])

    @property
    def pairs(self) -> tuple[tuple[int, int, int, int], ...]:
        """(sequence, time, sequence', time') of every entry on and above the diagonal."""
        places = [(a, time) for a in range(self.inputs.shape[0]) for time in range(self.inputs.shape[1])]
        return tuple((*p, *q) for i, p in enumerate(places) for q in places[i:])

    def stream_key(self, chunk: Chunk) -> tuple[int, ...]:
        """The width and the chunk, beside what the inputs are drawn by."""
        return 1, chunk.width, chunk.index

    def numbers(self, group: str, width: int) -> int:
        """Return about how many doubles one network holds: its parameters, its states and their cotangents.

        A whole matrix counts twice, as drawn and as scaled; measured, the peak is within 10 % of it.
        """
        vectors = self.points * (1 + int(self.inputs.shape[1])) * len(self.program.terms)
        square = sum(p.role == "matrix" for p in self.program.parameters) * width**2
        return width * ((self.n_y or 1) + vectors) + (2 * square if self.whole_matrices(group, width) else 0)

    def whole_matrices(self, group: str, width: int) -> bool:
        """Whether the sampler is the one that draws them."""
        return self.choice(width).name == DENSE

    @property
    def matrices_asked(self) -> bool:
        """Whether they were asked for by the name of their sampler."""
        return self.sampler == DENSE

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
