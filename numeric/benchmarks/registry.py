"""The benchmarks, each with the problems it is run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter

from wideproof.numeric.benchmarks import gates, kernels, sampling, training
from wideproof.numeric.benchmarks.records import Case
from wideproof.numeric.benchmarks.rows import Outcome

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
    threads: int = 1

    def run(self, quick: bool = False) -> Iterator[Outcome]:
        """Yield the rows, and a note for each rival that is not installed."""
        return self.measure(self.name, self.quick if quick else self.cases, QUICK_PAIRS if quick else self.pairs)


SISO = Case(1000, N=50)
LIMIT = 0  # the width of a kernel in the limit
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
    Benchmark(
        "training-subspace", "100 steps of a given network along the directions they meet", training.subspace,
        (Case(1000, N=50), Case(2000, N=50), Case(4000, N=50)), (Case(1000, N=50),), pairs=3,
    ),
    Benchmark(
        "precision", "a trial of the impulse response by whole matrices, float32 against float64", sampling.precision,
        tuple(Case(n, trials=max(1, 10**5 // n**2), dtype="float32") for n in (100, 300, 1000, 3000)),
        (Case(1000, trials=1, dtype="float32"),),
    ),
    Benchmark(
        "kernel-net", "the NTK of a feed-forward net of depth 3, n = infinity", kernels.feed_forward,
        (Case(LIMIT, T=1, n_x=10, N=1000),), (Case(LIMIT, T=1, n_x=10, N=1000),), pairs=9,
    ),
    Benchmark(
        "kernel-net-threads", "the same by two threads each, by the clock",
        partial(kernels.feed_forward, clock=perf_counter),
        (Case(LIMIT, T=1, n_x=10, N=1000),), (Case(LIMIT, T=1, n_x=10, N=1000),), pairs=9, threads=2,
    ),
    Benchmark(
        "kernel-net-tanh", "the same of tanh", kernels.feed_forward_tanh,
        (Case(LIMIT, T=1, n_x=10, N=200),), (Case(LIMIT, T=1, n_x=10, N=200),), pairs=3,
    ),
    Benchmark(
        "kernel-all", "the NTK of an Elman erf network between all pairs of times of one sequence", kernels.all_times,
        tuple(Case(LIMIT, T=t, n_x=10, N=1) for t in (200, 500, 1000, 2000)), (Case(LIMIT, T=200, n_x=10, N=1),),
        pairs=3,
    ),
    Benchmark(
        "kernel-last", "the NTK of an Elman erf network after its last step", kernels.last_step,
        tuple(Case(LIMIT, T=t, n_x=10, N=n) for n, t in ((200, 50), (200, 100), (200, 200), (400, 50), (800, 50))),
        (Case(LIMIT, T=50, n_x=10, N=200), Case(LIMIT, T=100, n_x=10, N=200)), pairs=5,
    ),
    Benchmark(
        "kernel-sweep", "the NTK after the last step in one compiled sweep, against array code", kernels.swept,
        (Case(LIMIT, T=50, n_x=10, N=200),), (Case(LIMIT, T=50, n_x=10, N=200),), pairs=5,
    ),
    Benchmark(
        "kernel-scan", "the NTK of an Elman network after its last step, against a scan over steps in JAX",
        kernels.scanned, (Case(LIMIT, T=50, n_x=10, N=200), Case(LIMIT, T=100, n_x=10, N=1000)),
        (Case(LIMIT, T=50, n_x=10, N=200),), pairs=5,
    ),
    Benchmark(
        "kernel-coupled", "the same of leaky and residual networks, over all pairs of times",
        partial(kernels.swept, nets=kernels.COUPLED, coupled=True),
        (Case(LIMIT, T=10, n_x=10, N=200), Case(LIMIT, T=20, n_x=10, N=200)),
        (Case(LIMIT, T=10, n_x=10, N=200),), pairs=3,
    ),
    Benchmark(
        "kernel-smooth", "the NTK of an Elman tanh network after its last step, against erf", kernels.smooth,
        (Case(LIMIT, T=50, n_x=10, N=200), Case(LIMIT, T=100, n_x=10, N=1000)), (Case(LIMIT, T=50, n_x=10, N=200),),
        pairs=3,
    ),
    Benchmark(
        "kernel-smooth-coupled", "the same of leaky and residual tanh networks, over all pairs of times",
        partial(kernels.smooth, made=kernels.CARRIED, coupled=True),
        (Case(LIMIT, T=20, n_x=10, N=200, nu_W=0.1),), (Case(LIMIT, T=20, n_x=10, N=200, nu_W=0.1),), pairs=3,
    ),
    Benchmark(
        "kernel-threads", "the NTK after the last step by two threads, against one, by the clock", kernels.in_threads,
        (Case(LIMIT, T=50, n_x=10, N=200), Case(LIMIT, T=100, n_x=10, N=1000)), (Case(LIMIT, T=50, n_x=10, N=200),),
        pairs=3,
    ),
    Benchmark(
        "kernel-gates", "the NTK of a GRU and of an LSTM after the last step, by paths", gates.gated,
        tuple(Case(LIMIT, T=t, n_x=2, N=n, nu_W=1.4) for n, t in ((10, 20), (20, 20), (20, 40))),
        (Case(LIMIT, T=20, n_x=2, N=10, nu_W=1.4), Case(LIMIT, T=20, n_x=2, N=20, nu_W=1.4)), pairs=3,
    ),
    Benchmark(
        "kernel-tanh", "Gaussian expectations of tanh within 1e-10", kernels.tanh_dual,
        (Case(LIMIT, T=1, N=100),), (Case(LIMIT, T=1, N=100),), pairs=3,
    ),
)  # fmt: skip
