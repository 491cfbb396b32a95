"""What sampling paths of a process takes: bytes that are never exceeded, and seconds by the rates of this machine."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import NamedTuple

from wideproof.derive.expectation.mehler_series import LENGTHS, PLACES
from wideproof.derive.expectation.tables.compiled_sweep import installed
from wideproof.numeric.core.timing import arithmetic, bandwidth, drawing, statement
from wideproof.numeric.process.factors import Factors, factors_of
from wideproof.numeric.process.groups import perturbations
from wideproof.numeric.process.layout import Layout

SINGLE, DOUBLE = 4, 8
STEP_ARRAYS = 8
"""Arrays of one step alive at once, in units of forms and processes."""
AT_ONCE = 2**18
"""Numbers of one process at one step, or of one moment given the paths, for which replicates are taken together."""
CALLS, RUNS = 200, 350
"""Statements for one form, one activation or one moment at a step, and for a program of one pair of steps."""
PASSES, ORDERS = 6, 80
"""Passes of a loop over one moment given the paths, its operands read, and over one expectation by series."""
ARRAYS = 5
"""How many times longer such passes take on arrays, where Numba is not installed."""
SKINNY = 2.0
"""How many times slower products with as many rows as sequences are than square ones."""
CACHED = 2**18
"""Bytes of what loops read again and again."""


@dataclass(frozen=True)
class KernelCost:
    """An estimate of the memory and the time of a sampled kernel, and the work that no program can leave out.

    Units: bytes beside the result, seconds of processor time; operations in products of paths and in factors of
    covariances, and normal numbers drawn.
    Error: memory is a bound; seconds within a factor of two on a machine that is not busy.  Source: `PathWork`.
    """

    memory: float
    seconds: float
    products: float
    factors: float
    draws: float

    def __str__(self) -> str:
        return f"about {self.memory / 1e6:.3g} MB and {self.seconds:.2g} s of processor time"


class Extent(NamedTuple):
    """How many steps sequences have, whether only the last of them is read, and whether NumPy's arrays hold them."""

    steps: int
    last: bool
    host: bool


@dataclass(frozen=True)
class PathWork:
    """The arrays and products of paths: `normals`, `forms` and `processes` have paths, `moments` are matrix products.

    `points` are the paths of a replicate, `kinds` the moments given them, and `series` the activations whose
    expectations take none; `factored` are the forms of each covariance that has a factor, `drawn` those whose variables
    are kept, `columns` the steps that a moment is kept with, and `otherwise` is the work where all expectations take
    paths.
    Source: `Paths`, counted.
    """

    factors: Factors
    steps: int
    points: int
    normals: int
    forms: int
    processes: int
    moments: int
    kinds: int
    series: int
    factored: tuple[int, ...]
    drawn: int
    columns: int
    otherwise: PathWork | None = None

    @classmethod
    def expected(cls, layout: Layout, extent: Extent, points: int) -> PathWork:
        """Count the work of a layout, and what it is where no series is short enough."""
        factors = factors_of(layout)
        inexact = frozenset(phi for phi in layout.activations if factors.exact(phi, phi))
        otherwise = cls.of(factors_of(layout, factors.inexact | inexact), extent, points)
        return replace(cls.of(factors, extent, points), otherwise=otherwise)

    @classmethod
    def of(cls, factors: Factors, extent: Extent, points: int) -> PathWork:
        """Count the work of moments in factors."""
        layout = factors.layout
        forms = factors.used & layout.forms.keys()
        signs = perturbations(layout, factors.groups)
        normals = sum(factors.groups[form] not in signs for form in forms)
        others = len(factors.used) - len(forms)
        groups = Counter(layout.groups[form] for form in layout.forms)
        factored = {layout.groups[factors.twins[form]] for form in forms}
        sizes, paths = tuple(groups[group] for group in factored), factors.paths(points)
        series, drawn = len(factors.series), normals if extent.host and installed() else len(forms)
        columns = 2 if factors.passing and extent.last else extent.steps + 1
        return cls(factors, extent.steps, paths, normals, len(forms), others, len(factors.moments),
                   factors.integration.kinds, series, sizes, drawn, columns)  # fmt: skip

    def with_points(self, points: int) -> PathWork:
        """Return the same work with other points of the kernel."""
        otherwise = self.otherwise and self.otherwise.with_points(points)
        return replace(self, points=self.factors.paths(points), otherwise=otherwise)

    def memory(self, sequences: int) -> float:
        """Return the bytes of so many sequences sampled together, by one replicate, whatever series are short.

        Error: as `_alone`.  Source: the larger of two ways.
        """
        return max(work._alone(sequences) for work in (self, self.otherwise) if work)

    def _alone(self, sequences: int, width: int = DOUBLE) -> float:
        """The same this way only, for paths of numbers of so many bytes.

        Error: none; a bound.  Source: the noise and the processes of all steps,
        the arrays of one step; factors and moments of all pairs; moments given the paths, of two steps with all.
        """
        variables = sequences * self.steps
        kept: float = variables * (self.drawn + self.processes)
        now = sequences * (STEP_ARRAYS * (self.forms + self.processes) + 2 * self.processes)
        pairs: float = sum(size**2 for size in self.factored)
        pairs += self.moments * self.columns * (1 + 2 / self.steps) / self.steps
        strips = STEP_ARRAYS * (1 + max(self.factored, default=0))
        given = bool(self.kinds) * sequences**2 * (self.kinds * (self.steps + 1) + STEP_ARRAYS)
        kept += bool(self.kinds) * variables * self.forms
        pairs += 3 * self.kinds / self.steps
        series = SINGLE * (self.series * LENGTHS[-1] + LENGTHS[-2]) + DOUBLE * self.series * (len(PLACES) + 1)
        pairs = variables * (pairs * variables + strips * sequences)
        return width * self.points * (kept + now + given) + DOUBLE * pairs + bool(self.series) * series * variables

    def most_within(self, memory: float) -> int:
        """Return how many sequences may be sampled together; 0 where not even one."""
        most = 0
        for bit in reversed(range(math.ceil(math.log2(2 + memory / DOUBLE)) + 1)):
            most += 2**bit if self.memory(most + 2**bit) <= memory else 0
        return most

    def together(self, sequences: int, replicates: int, memory: float, width: int = SINGLE) -> int:
        """Return how many replicates are taken together: a power of two that fits the cache and the memory."""
        numbers = self.points * sequences ** (2 if self.kinds else 1)
        most = min(replicates, AT_ONCE / numbers, memory / self._alone(sequences, width))
        return 1 << max(0, int(most).bit_length() - 1)

    def cost(self, batches: list[int], replicates: int, memory: float) -> KernelCost:
        """Return the cost of batches of sequences, one after the other."""
        together = {size: self.together(size, replicates, memory) for size in batches}
        seconds = sum(self._seconds(size, together[size]) for size in batches) * replicates
        ways = [work for work in (self, self.otherwise) if work]
        most = max(way._alone(size, width) * way.together(size, replicates, memory, width)
                   for way in ways for width in (SINGLE, DOUBLE) for size in batches)  # fmt: skip
        products, factors = (replicates * sum(part) for part in zip(*map(self.flops, batches), strict=True))
        return KernelCost(most, seconds, products, factors, replicates * sum(map(self.draws, batches)))

    def flops(self, sequences: int) -> tuple[float, float]:
        """Return the operations of one replicate in products of paths, and in factors.

        Source: k rows of normal variables, or of paths, meet N new ones at every step, and N columns of a factor k
        earlier ones; a moment given the paths of any two variables is two products and two sums. The transform of
        signs takes a fiftieth of their products.
        """
        variables = float(sequences * self.steps)
        sums = 2 * self.kinds or self.moments
        products = variables**2 * self.points * (self.normals + sums)
        return products, 2 / 3 * variables**3 * sum(size**3 for size in self.factored)

    def draws(self, sequences: int) -> float:
        """Return the normal numbers of one replicate."""
        return float(sequences * self.steps * self.points * self.normals)

    def _seconds(self, sequences: int, together: int) -> float:
        """The seconds of one replicate: what is counted here, at the rates of this machine.

        Error: a factor of 1.7 for twelve kernels of 10 to 50 steps and 20 to 100 sequences.  Source: counted.
        """
        pairs = 0.5 * (sequences * self.steps) ** 2
        products, factors = self.flops(sequences)
        numbers = self.draws(sequences) + sequences * self.steps * self.points * (self.forms + self.processes)
        calls = 1.0 * CALLS * self.steps * (self.forms + self.moments + self.series)
        calls += RUNS * bool(self.kinds) * self.steps**2 / 2
        passes = PASSES * self.points * self.kinds * 3 * SINGLE + ORDERS * (self.series + self.moments) * DOUBLE
        seconds = factors / arithmetic("float64") + numbers / drawing() + calls * statement() / together
        if not self.kinds:
            seconds += SKINNY * products / arithmetic("float32")
        return seconds + pairs * passes / bandwidth(CACHED) * (1 if installed() else ARRAYS)
