"""Running a plan of kernels: networks drawn chunk by chunk, resumable without a changed bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from wideproof.numeric.core.arrays import Stream, backend, seed_sequence, stream, to_host
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.networks.empirical_kernels import empirical_ntk
from wideproof.numeric.networks.narrow_width import quiet_widths
from wideproof.numeric.runs.chunks import Numbers
from wideproof.numeric.validation.kernels.plan import KernelPlan
from wideproof.numeric.validation.linear_rnn.cost import ENOUGH_S, Cost, least_seconds, load_of
from wideproof.numeric.validation.measurements import LadderMeasurements

LEAST_COUNT = 100  # networks before a standard error may stop a width
KEPT = 2000  # outputs kept at the largest width
QUANTITIES = ("nngp", "ntk")
LONG_S = 2.0
"""Seconds of two networks beyond which what a batch costs beside its networks is small, and no more are timed."""
UNUSED = 2**32 - 1  # index of the stream of the networks that are only timed
PILOT_STREAM = 2  # stream of the networks that say beforehand what a run can decide


class KernelMeasurements(LadderMeasurements[KernelPlan]):
    """The moments of every entry of both kernels at every width of a plan, and single outputs at the largest.

    Shapes: `Moments` per (quantity, width), mean (P, 1), P the pairs of the plan; kept (m, N, T).
    Units: output^2.  Error: in the moments.  Source: `measure`.
    """

    plan_class = KernelPlan

    @staticmethod
    def most(plan: KernelPlan) -> int:
        """So many networks, whatever their sequences."""
        return KEPT

    @staticmethod
    def draw_batch(plan: KernelPlan, group: str, width: int, trials: int, source: Stream) -> Numbers:
        """Draw networks.

        Source: the covariance of the outputs over the readouts; inner products of gradients by wideproof.adjoint.
        """
        return draw_networks(plan, width, trials, source)

    def reached(self, group: str, width: int) -> bool:
        """Whether the target of the plan is reached at a width: a function of the moments alone, so of the plan."""
        found = [self.moments.get((quantity, width)) for quantity in QUANTITIES]
        if self.plan.target is None or any(m is None or m.count < LEAST_COUNT for m in found):
            return False
        diagonal = np.array([pair[:2] == pair[2:] for pair in self.plan.pairs])
        estimates = [m.feature(0) for m in found if m is not None]
        return all(bool(np.max(e.stderr) <= self.plan.target * np.max(e.mean[diagonal])) for e in estimates)

    def trials(self, quantity: str) -> int:
        """The least number of networks that any width had."""
        return min(self.moments[quantity, width].count for width in self.plan.widths)


def draw_networks(plan: KernelPlan, width: int, trials: int, source: Stream) -> Numbers:
    """Draw some networks: the moments of both kernels over them, and the first output of each.

    Shapes: `Moments` per quantity, mean (P, 1); outputs (trials, N, T).  Units: output^2.  Source: `empirical_ntk`.
    """
    xp = source.xp
    with quiet_widths():
        found = empirical_ntk(
            plan.program, xp.asarray(plan.inputs), width, n_y=plan.n_y or 1, rows=1, trials=trials, seed=source,
            method=plan.sampler, parameterization=plan.parameterization, **dict[str, Any](plan.values),
        )  # fmt: skip
    size = plan.points
    covariance = found.given_states
    if covariance is None:
        y = xp.reshape(found.outputs, (trials, size, -1))
        covariance = xp.matmul(y, y.mT) / y.shape[-1]
    kernels = {"nngp": covariance, "ntk": found.total}
    rows, columns = np.triu_indices(size)
    flat = xp.asarray(rows * size + columns)
    entries = {name: xp.take(xp.reshape(k, (trials, -1)), flat, axis=1) for name, k in kernels.items()}
    outputs = to_host(found.outputs[:, :, :, 0])
    return Numbers({name: Moments.of(values[..., None]) for name, values in entries.items()}, outputs)


def estimate_kernel_cost(plan: KernelPlan) -> Cost:
    """Estimate what a plan needs, by running a few networks at each of its widths.

    Units: as `Cost`.  Error: as `Cost`.  Source: a batch like those of the run where it is short, else
    the time of a batch taken as affine in its networks.
    """
    with load_of(plan.backend) as load:
        seconds = sum(_ladder_seconds(plan, width) for width in plan.widths)
    return Cost(plan.memory().bytes, seconds, seconds * load())


def _ladder_seconds(plan: KernelPlan, width: int) -> float:
    """The time of all batches of one width."""
    size, few = plan.batch_size("kernels", width), _seconds(plan, width, 2)
    batches = -(-plan.trials // size)
    if few > LONG_S:
        return few / 2 * plan.trials
    more = 10 if few < ENOUGH_S else 4
    each = max(_seconds(plan, width, more) - few, 0.0) / (more - 2)
    if size * each < ENOUGH_S:
        return _seconds(plan, width, size) * plan.trials / size
    return each * plan.trials + max(few - 2 * each, 0.0) * batches


def _seconds(plan: KernelPlan, width: int, trials: int) -> float:
    def work() -> object:
        source = stream(backend(plan.backend), seed_sequence(plan.seed, 1, width, UNUSED))
        with blas_threads(1):
            return draw_networks(plan, width, trials, source)

    return least_seconds(work, plan.backend)
