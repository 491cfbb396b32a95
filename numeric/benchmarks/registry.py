"""The benchmarks, each with the problems it is run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from numeric.benchmarks import sampling, training
from numeric.benchmarks.records import Case
from numeric.benchmarks.rows import Outcome

Measure = Callable[[str, Sequence[Case], int], Iterator[Outcome]]
PAIRS, QUICK_PAIRS = 15, 3


@dataclass(frozen=True)
class Benchmark:
    """One question about speed: what is timed, on which problems, and on which where there is little time."""

    name: str
    says: str
    measure: Measure
    cases: tuple[Case, ...]
    quick: tuple[Case, ...]
    pairs: int = PAIRS

    def run(self, quick: bool = False) -> Iterator[Outcome]:
        """Yield the rows, and a note for each rival that is not installed."""
        return self.measure(self.name, self.quick if quick else self.cases, QUICK_PAIRS if quick else self.pairs)


SISO = Case(1000, N=50)
# 500 trials of L, 1000 of the NTK: measured the fastest batches whose arrays the allocator keeps (no page faults)
BENCHMARKS = (
    Benchmark(
        "training", "a step of gradient descent, one input, one output", training.steps,
        (SISO, Case(1000, N=50, dtype="float32"), Case(1000, T=100, N=50)), (SISO,),
    ),
    Benchmark(
        "training-many", "a step of gradient descent, several inputs and outputs", training.steps,
        (Case(1000, n_x=52, n_y=2, N=50), Case(1000, n_x=15, n_y=5, N=50)), (Case(1000, n_x=52, n_y=2, N=50),),
    ),
    Benchmark(
        "monte-carlo", "a trial of the impulse response", sampling.monte_carlo,
        tuple(Case(n, trials=500) for n in (100, 300, 1000, 3000)), (Case(1000, trials=500),),
    ),
    Benchmark(
        "monte-carlo-ntk", "a trial of the full empirical NTK", partial(sampling.monte_carlo, kernel=True),
        tuple(Case(n, trials=1000) for n in (100, 300, 1000, 3000)), (Case(1000, trials=1000),),
    ),
    Benchmark(
        "width", "a trial of the impulse response at any width", sampling.widths,
        tuple(Case(10**k, trials=500) for k in range(3, 13)), tuple(Case(10**k, trials=500) for k in (3, 12)),
    ),
    Benchmark(
        "width-ntk", "a trial of the full empirical NTK at any width", partial(sampling.widths, kernel=True),
        tuple(Case(10**k, trials=1000) for k in range(3, 13)), tuple(Case(10**k, trials=1000) for k in (3, 12)),
    ),
    Benchmark(
        "training-width", "500 steps of gradient descent in law at any width", training.in_law,
        tuple(Case(10**k, N=50) for k in (3, 6, 9, 12)), tuple(Case(10**k, N=50) for k in (3, 12)), pairs=5,
    ),
)  # fmt: skip
