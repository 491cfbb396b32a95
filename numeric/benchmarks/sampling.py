"""Monte Carlo without the matrix against Monte Carlo with it, and against itself at other widths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from wideproof.numeric.benchmarks.machine import floor
from wideproof.numeric.benchmarks.records import Case, DisagreementError, Floor, Row
from wideproof.numeric.benchmarks.rivals import DenseSampler
from wideproof.numeric.benchmarks.rows import Outcome, row
from wideproof.numeric.core.arrays import Host, backend, seed_sequence, stream, to_host
from wideproof.numeric.core.timing import paired
from wideproof.numeric.sampling.linear import Draw, LinearSetting, dense, draw, kernel_weights

TOLERANCE, Z = 1e-10, 5.0
"""Largest relative distance of equal draws, and largest score of one of the compared moments."""
LAW_WIDTH, LAW_TRIALS = 40, 4000
Rival = Callable[[Case, np.random.Generator], DenseSampler]


def monte_carlo(
    name: str, cases: Sequence[Case], pairs: int, kernel: bool = False, rival: Rival = DenseSampler
) -> Iterator[Outcome]:
    """Trials of L, or of the full empirical NTK, drawn at a cost free of n, against whole matrices."""
    for case in cases:
        said = agree(case, kernel, rival)
        sampler = rival(case, np.random.default_rng(1))
        timing = paired(ours(case, kernel), sampler.kernel if kernel else sampler.response, pairs)
        yield per_trial(row(name, "dense NumPy", case, timing, "one trial", least(case, kernel), said))


def precision(name: str, cases: Sequence[Case], pairs: int) -> Iterator[Outcome]:
    """Whole matrices in single precision against double precision; the floor is that of single precision."""
    for case in cases:
        setting, trials = setting_of(case), case.trials or 1
        works = [
            partial(draw, setting, trials, stream(backend("numpy"), seed_sequence(k)), False, "dense", dtype)
            for k, dtype in enumerate(("float32", "float64"))
        ]
        timing = paired(works[0], works[1], pairs)
        entries = trials * case.n**2
        least = floor(4.0 * entries * case.T, 2.0 * entries * (case.T - 1), entries, 4.0 * case.n**2, "float32")
        said = "one text; the error of single precision is tested"
        yield row(name, "ours in float64", case, timing, "one batch", least, said)


def widths(name: str, cases: Sequence[Case], pairs: int, kernel: bool = False) -> Iterator[Outcome]:
    """The cost of the same number of trials at each width, against the first width."""
    base = ours(cases[0], kernel)
    said = "one program; its law is tested at every width"
    for case in cases:
        timing = paired(base if case == cases[0] else ours(case, kernel), base, pairs)
        made = row(name, f"ours at n = {cases[0].n}", case, timing, "one trial", least(case, kernel), said)
        yield replace(per_trial(made), rival_s=timing.rival_s / (case.trials or 1))


def ours(case: Case, kernel: bool, seed: int = 0) -> Callable[[], Host]:
    """Our trials of a case in one batch: L_j, or all inner products of the gradients of L_j and L_j'."""
    setting, source = setting_of(case), stream(backend("numpy"), seed_sequence(seed))
    trials = case.trials or 1

    def work() -> Host:
        drawn = draw(setting, trials, source, kernel, "matrix-free")
        return to_host(kernel_weights(drawn) if kernel else drawn.response)

    return work


def setting_of(case: Case) -> LinearSetting:
    """The setting of the samplers."""
    return LinearSetting(case.n, case.T, case.n_x, case.n_y, case.nu_W, case.nu_F, case.nu_C)


def per_trial(made: Row) -> Row:
    """The row of a batch as one of a single trial; the rival's work is one trial already."""
    count = made.trials or 1
    if made.rival.startswith("ours"):
        return replace(made, ours_s=made.ours_s / count)
    ratios = {name: count * getattr(made, name) for name in ("ratio", "ratio_low", "ratio_high")}
    return replace(made, ours_s=made.ours_s / count, **ratios)


def agree(case: Case, kernel: bool, rival: Rival = DenseSampler) -> str:
    """Say how well the rival agrees with the definition draw by draw, and our trials with the rival in law.

    The first compares networks drawn from equal generators; the second the mean squares of the entries of L, or the
    means of the kernel's diagonal, at a width where whole matrices are cheap.
    Errors: DisagreementError beyond 1e-10, or beyond five standard errors in one of the moments.
    """
    apart = distance(case, kernel, rival)
    if not apart <= TOLERANCE:
        hint = "A ratio of times means nothing between programs that compute different things."
        raise DisagreementError("dense rival", f"a relative distance ≤ {TOLERANCE:g}", apart, hint)
    small = replace(case, n=min(case.n, LAW_WIDTH), trials=LAW_TRIALS)
    theirs = rival(small, np.random.default_rng(2))
    one = theirs.kernel if kernel else theirs.response
    drawn = ours(small, kernel, 3)(), [one() for _ in range(LAW_TRIALS)]
    score = largest_score(moments(drawn[0], kernel), moments(drawn[1], kernel))
    if not score <= Z:
        raise DisagreementError("law of our trials", f"scores ≤ {Z:g}", score, "Compare the samplers' moments.")
    return f"same draws within {apart:.1e}; at n = {small.n} moments within {score:.1f} standard errors"


def distance(case: Case, kernel: bool, rival: Rival) -> float:
    """The relative distance of the rival's value from the definition's, on one network of the case's width."""
    xp = backend("numpy")
    drawn: Draw = dense(setting_of(case), 1, stream(xp, seed_sequence(4)), grams=kernel)
    want = (kernel_weights(drawn) if kernel else drawn.response)[0]
    sampler = rival(case, np.random.default_rng(seed_sequence(4)))
    got = sampler.kernel() if kernel else sampler.response()
    return float(np.linalg.norm(got - want) / np.linalg.norm(want))


def moments(trials: Sequence[Host] | Host, kernel: bool) -> Host:
    """What is compared in the mean.  Shapes: (B, …) -> (B, entries)."""
    values = np.asarray(trials)
    if kernel:
        size = math.prod(values.shape[1:4])
        return np.diagonal(values.reshape(len(values), size, size), axis1=1, axis2=2)
    return values.reshape(len(values), -1) ** 2


def largest_score(first: Host, second: Host) -> float:
    """The largest difference of two means in its standard errors.  Shapes: (B, k), (B', k) -> scalar."""
    variance = first.var(axis=0, ddof=1) / len(first) + second.var(axis=0, ddof=1) / len(second)
    return float(np.max(np.abs(first.mean(axis=0) - second.mean(axis=0)) / np.sqrt(variance)))


def least(case: Case, kernel: bool) -> Floor:
    """Per trial: the draws of the trapezoids, which are also what is moved, and the products with them."""
    inner, outer = sorted((case.n_x, case.n_y))
    sides = (outer, inner) if kernel else (inner,)
    dimension = min(case.n, case.T * sum(sides))
    draws = sum(trapezoid(min(case.n, case.T * side), dimension) for side in sides)
    draws += 0 if kernel else outer * dimension
    flops = 2.0 * sum((case.T - 1) * dimension**2 * side for side in sides)
    return floor(2.0 * 8.0 * draws, flops, draws, 2.0**20)


def trapezoid(count: int, size: int) -> float:
    """The entries of `count` fresh vectors in a basis that grows with them to `size`."""
    square = min(count, size)
    return square * (square + 1) / 2.0 + (size - square) * count
