"""What sampling paths of a process takes: bytes that are never exceeded, and seconds by the rates of this machine."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wideproof.numeric.core.timing import arithmetic
from wideproof.numeric.process.factors import Factors
from wideproof.numeric.process.groups import perturbations
from wideproof.numeric.process.layout import Layout

DOUBLE = 8
STEP_ARRAYS = 8
"""Arrays of one step alive at once, in units of forms and processes."""
AT_ONCE = 2**17
"""Numbers of one process at one step for which replicates are taken together: more leave the cache."""
NUMBER_S = 2.5e-8
"""Seconds for one normal number or one activation of it, as measured on one core."""
CALL_S = 4e-4
"""Seconds of calls for one form, one step and one replicate, as measured on one core."""


@dataclass(frozen=True)
class KernelCost:
    """An estimate of the memory and the time of a sampled kernel.

    Units: bytes beside the result, and seconds of processor time.
    Error: memory is a bound; seconds within a factor of three.  Source: `PathWork`.
    """

    memory: float
    seconds: float

    def __str__(self) -> str:
        return f"about {self.memory / 1e6:.3g} MB and {self.seconds:.2g} s of processor time"


@dataclass(frozen=True)
class PathWork:
    """The arrays and products of paths: `normals`, `forms` and `processes` have paths, `moments` are matrix products.

    Source: `Paths`, counted.
    """

    factors: Factors
    steps: int
    points: int
    normals: int
    forms: int
    processes: int
    moments: int

    @classmethod
    def of(cls, layout: Layout, steps: int, points: int) -> PathWork:
        """Count the work of a layout."""
        factors = Factors(layout)
        forms = factors.used & layout.forms.keys()
        signs = perturbations(layout, factors.groups)
        normals = sum(factors.groups[form] not in signs for form in forms)
        others = len(factors.used) - len(forms)
        return cls(factors, steps, points, normals, len(forms), others, len(set(factors.moments)))

    def memory(self, sequences: int) -> float:
        """Return the bytes of so many sequences sampled together, by one replicate.

        Error: none; a bound, twice what single precision takes.  Source: the noise and the processes of all steps,
        the arrays of one step; factors and moments of all pairs.
        """
        variables = sequences * self.steps
        kept = variables * (self.forms + self.processes)
        now = sequences * (STEP_ARRAYS * (self.forms + self.processes) + 2 * self.processes)
        pairs = 6 * self.forms + 2 * self.moments
        return DOUBLE * (self.points * (kept + now) + pairs * variables**2)

    def most_within(self, memory: float) -> int:
        """Return how many sequences may be sampled together; 0 where not even one."""
        most = 0
        for bit in reversed(range(math.ceil(math.log2(2 + memory / DOUBLE)) + 1)):
            most += 2**bit if self.memory(most + 2**bit) <= memory else 0
        return most

    def together(self, sequences: int, replicates: int, memory: float) -> int:
        """Return how many replicates are taken together: a power of two that fits the cache and the memory."""
        most = min(replicates, AT_ONCE / (sequences * self.points), memory / self.memory(sequences))
        return 1 << max(0, int(most).bit_length() - 1)

    def cost(self, batches: list[int], replicates: int, memory: float) -> KernelCost:
        """Return the cost of batches of sequences, one after the other."""
        seconds = sum(self._seconds(size) for size in batches) * replicates
        most = max(self.memory(size) * self.together(size, replicates, memory) for size in batches)
        return KernelCost(most, seconds)

    def _seconds(self, sequences: int) -> float:
        variables = sequences * self.steps
        products = variables**2 * self.points * (self.forms + self.moments) + variables**3 * self.forms
        numbers = variables * self.points * (self.normals + self.forms + self.processes)
        return products / arithmetic("float64") + numbers * NUMBER_S + self.forms * self.steps * CALL_S
