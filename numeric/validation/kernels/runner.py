"""Running a plan of kernels: networks drawn batch by batch, resumable without a changed bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from wideproof.numeric.core.arrays import Host, backend, seed_sequence, stream, to_host
from wideproof.numeric.core.batched_moments import Gathered, Progress, gather
from wideproof.numeric.core.statistics import Moments
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.networks.empirical_kernels import empirical_ntk
from wideproof.numeric.sampling.revealed_matrices import DENSE
from wideproof.numeric.validation.kernels.plan import KernelBatch, KernelPlan
from wideproof.numeric.validation.linear_rnn.cost import ENOUGH_S, Cost, least_seconds, load_of

LEAST_COUNT = 100  # networks before a standard error may stop a width
KEPT = 2000  # outputs kept at the largest width
QUANTITIES = ("nngp", "ntk")
ALONE = 1024
"""Widths up to which products of whole matrices are too small for threads; skinny ones are at every width."""
LONG_S = 2.0
"""Seconds of two networks beyond which what a batch costs beside its networks is small, and no more are timed."""
UNUSED = 2**32 - 1  # index of the stream of the networks that are only timed


class KernelMeasurements(Gathered[KernelPlan]):
    """The moments of every entry of both kernels at every width of a plan, and single outputs at the largest.

    Shapes: `Moments` per (quantity, width), mean (P, 1), P the pairs of the plan; kept (m, N, T).
    Units: output^2.  Error: in the moments.  Source: `measure`.
    """

    def add(self, batch: KernelBatch) -> None:
        """Draw one batch from its own stream and merge its moments, unless its width is precise enough already."""
        if self.reached(batch.width):
            return
        found, outputs = kernels_of(self.plan, batch)
        for quantity, moments in found.items():
            self.merge((quantity, batch.width), moments)
        if batch.width == self.plan.width:
            self.keep(outputs, KEPT)

    def reached(self, width: int) -> bool:
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


def kernels_of(plan: KernelPlan, batch: KernelBatch) -> tuple[dict[str, Moments], Host]:
    """Return the moments of both kernels over one batch of networks, and the first output of each.

    Threads of linear algebra wait for each other, on a busy machine twenty times longer than the products take: they
    are let in only where the products are large.
    Shapes: as `KernelMeasurements`; outputs (B, N, T).  Units: output^2; output.  Error: rounding.
    Source: the covariance of the outputs over the readouts; inner products of gradients by wideproof.adjoint.
    """
    large = batch.width > ALONE and plan.choice(batch.width).name == DENSE
    with blas_threads(None if large else 1):
        return _drawn(plan, batch)


def _drawn(plan: KernelPlan, batch: KernelBatch) -> tuple[dict[str, Moments], Host]:
    xp = backend(plan.backend)
    source = stream(xp, seed_sequence(plan.seed, 1, batch.width, batch.index))
    found = empirical_ntk(
        plan.program, xp.asarray(plan.inputs), batch.width, n_y=plan.n_y or 1, rows=1, trials=batch.trials, seed=source,
        method=plan.sampler, parameterization=plan.parameterization, **dict[str, Any](plan.values),
    )  # fmt: skip
    size = plan.points
    covariance = found.given_states
    if covariance is None:
        y = xp.reshape(found.outputs, (batch.trials, size, -1))
        covariance = xp.matmul(y, y.mT) / y.shape[-1]
    kernels = {"nngp": covariance, "ntk": found.total}
    rows, columns = np.triu_indices(size)
    flat = xp.asarray(rows * size + columns)
    entries = {name: xp.take(xp.reshape(k, (batch.trials, -1)), flat, axis=1) for name, k in kernels.items()}
    outputs = to_host(found.outputs[:, :, :, 0])
    return {name: Moments.of(values[..., None]) for name, values in entries.items()}, outputs


def measure(plan: KernelPlan, progress: Progress | None = None, checkpoint: Path | None = None) -> KernelMeasurements:
    """Run all batches of a plan; its bits depend on the plan alone, however often it was interrupted.

    Shapes: as `KernelMeasurements`.  Units: output^2.  Error: ParameterError if the checkpoint is of another plan.
    Source: `gather`.
    """
    return gather(KernelMeasurements, plan, progress, checkpoint)


def estimate_kernel_cost(plan: KernelPlan) -> Cost:
    """Estimate what a plan needs, by running a few networks at each of its widths.

    Units: as `Cost`.  Error: as `Cost`.  Source: a batch like those of the run where it is short, else
    the time of a batch taken as affine in its networks.
    """
    memory = seconds = 0.0
    with load_of(plan.backend) as load:
        for width in plan.widths:
            seconds += _ladder_seconds(plan, width)
            memory = max(memory, 8.0 * plan.numbers(width) * plan.batch_size(width))
    return Cost(memory, seconds, seconds * load())


def _ladder_seconds(plan: KernelPlan, width: int) -> float:
    """The time of all batches of one width."""
    size, few = plan.batch_size(width), _seconds(plan, width, 2)
    batches = -(-plan.trials // size)
    if few > LONG_S:
        return few / 2 * plan.trials
    more = 10 if few < ENOUGH_S else 4
    each = max(_seconds(plan, width, more) - few, 0.0) / (more - 2)
    if size * each < ENOUGH_S:
        return _seconds(plan, width, size) * plan.trials / size
    return each * plan.trials + max(few - 2 * each, 0.0) * batches


def _seconds(plan: KernelPlan, width: int, trials: int) -> float:
    return least_seconds(lambda: kernels_of(plan, KernelBatch(width, UNUSED, trials)), plan.backend)
