"""What sampling paths of a process takes: bytes that are never exceeded, and seconds by the rates of this machine."""

from __future__ import annotations

import math
from collections import Counter
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
NUMBER_S = 2e-8
"""Seconds for one normal number or one activation of it, as measured on one core."""
CALL_S = 2e-3
"""Seconds of calls for one form, one step and one batch of replicates, as measured on one core."""
SKINNY = 3.0
"""How many times slower products with as many rows as sequences are than square ones."""


@dataclass(frozen=True)
class KernelCost:
    """An estimate of the memory and the time of a sampled kernel, and the work that no program can leave out.

    Units: bytes beside the result, seconds of processor time; operations in products of paths and in factors of
    covariances, and normal numbers drawn.
    Error: memory is a bound; seconds within a factor of three.  Source: `PathWork`.
    """

    memory: float
    seconds: float
    products: float
    factors: float
    draws: float

    def __str__(self) -> str:
        return f"about {self.memory / 1e6:.3g} MB and {self.seconds:.2g} s of processor time"


@dataclass(frozen=True)
class PathWork:
    """The arrays and products of paths: `normals`, `forms` and `processes` have paths, `moments` are matrix products.

    `factored` are the forms of each covariance that has a factor.
    Source: `Paths`, counted.
    """

    factors: Factors
    steps: int
    points: int
    normals: int
    forms: int
    processes: int
    moments: int
    factored: tuple[int, ...]

    @classmethod
    def of(cls, layout: Layout, steps: int, points: int) -> PathWork:
        """Count the work of a layout."""
        factors = Factors(layout)
        forms = factors.used & layout.forms.keys()
        signs = perturbations(layout, factors.groups)
        normals = sum(factors.groups[form] not in signs for form in forms)
        others = len(factors.used) - len(forms)
        groups = Counter(layout.groups[form] for form in layout.forms)
        factored = {layout.groups[factors.twins[form]] for form in forms}
        sizes = tuple(groups[group] for group in factored)
        return cls(factors, steps, points, normals, len(forms), others, len(set(factors.moments)), sizes)

    def memory(self, sequences: int) -> float:
        """Return the bytes of so many sequences sampled together, by one replicate.

        Error: none; a bound, twice what single precision takes.  Source: the noise and the processes of all steps,
        the arrays of one step; factors and moments of all pairs.
        """
        variables = sequences * self.steps
        kept = variables * (self.forms + self.processes)
        now = sequences * (STEP_ARRAYS * (self.forms + self.processes) + 2 * self.processes)
        pairs = sum(size**2 for size in self.factored) + self.moments * (1 + 2 / self.steps)
        strips = STEP_ARRAYS * (1 + max(self.factored, default=0))
        return DOUBLE * (self.points * (kept + now) + variables * (pairs * variables + strips * sequences))

    def most_within(self, memory: float) -> int:
        """Return how many sequences may be sampled together; 0 where not even one."""
        most = 0
        for bit in reversed(range(math.ceil(math.log2(2 + memory / DOUBLE)) + 1)):
            most += 2**bit if self.memory(most + 2**bit) <= memory else 0
        return most

    def together(self, sequences: int, replicates: int, memory: float) -> int:
        """Return how many replicates are taken together: a power of two that fits the cache and the memory."""
        most = min(replicates, AT_ONCE / (sequences**2 * self.points), memory / self.memory(sequences))
        return 1 << max(0, int(most).bit_length() - 1)

    def cost(self, batches: list[int], replicates: int, memory: float) -> KernelCost:
        """Return the cost of batches of sequences, one after the other."""
        together = {size: self.together(size, replicates, memory) for size in batches}
        seconds = sum(self._seconds(size, together[size]) for size in batches) * replicates
        most = max(self.memory(size) * count for size, count in together.items())
        products, factors = (replicates * sum(part) for part in zip(*map(self.flops, batches), strict=True))
        return KernelCost(most, seconds, products, factors, replicates * sum(map(self.draws, batches)))

    def flops(self, sequences: int) -> tuple[float, float]:
        """Return the operations of one replicate in products of paths, and in factors.

        Source: k rows of paths meet N new ones at every step, and N columns of a factor k earlier ones.
        """
        variables = float(sequences * self.steps)
        products = variables**2 * self.points * (self.forms + self.moments)
        return products, 2 / 3 * variables**3 * sum(size**3 for size in self.factored)

    def draws(self, sequences: int) -> float:
        """Return the normal numbers of one replicate."""
        return float(sequences * self.steps * self.points * self.normals)

    def _seconds(self, sequences: int, together: int) -> float:
        products, factors = self.flops(sequences)
        others = sequences * self.steps * self.points * (self.forms + self.processes)
        calls = (self.forms + self.moments) * self.steps / together
        rates = products / arithmetic("float32") + factors / arithmetic("float64")
        return SKINNY * rates + (self.draws(sequences) + others) * NUMBER_S + calls * CALL_S
