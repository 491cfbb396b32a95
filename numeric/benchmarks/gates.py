"""Kernels of gated networks by paths: what one costs beside its products and draws, at which standard error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from wideproof.derive import models
from wideproof.numeric.benchmarks.kernels import NU_B, inputs
from wideproof.numeric.benchmarks.records import Case, Floor
from wideproof.numeric.benchmarks.rows import Outcome, row
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.timing import arithmetic, drawing, paired
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.process import KernelCost

POINTS = 1024
NU_F = 0.8
GATED = {"gru": models.gru, "lstm": models.lstm}


def gated(name: str, cases: Sequence[Case], pairs: int, points: int = POINTS) -> Iterator[Outcome]:
    """The NTK of a GRU and of an LSTM after the last step, against that of the first case, with its standard error."""
    nu = dict[str, Any](nu_W=cases[0].nu_W, nu_F=NU_F, nu_b=NU_B, nu_C=cases[0].nu_C)
    for title, model in GATED.items():
        kernel = Kernel(model(), readout="last", points=points, **nu)
        for case in cases:
            X = inputs(case)
            told = kernel.cost("ntk", X)
            assert told is not None, "sequences so few and short that nothing is sampled are no case"
            timing = paired(partial(kernel.ntk, X), partial(kernel.ntk, inputs(cases[0])), pairs)
            rival = f"{title}, ours at N = {cases[0].N}, T = {cases[0].T}"
            error = f"standard error {standard_error(kernel, X):.2%} of the size of an entry; told {told}"
            yield row(name, rival, case, timing, "one kernel", floor_of(told), error)


def standard_error(kernel: Kernel, X: Host) -> float:
    """The root mean square of the standard errors, as a part of the size of an entry."""
    found = kernel.evaluate("ntk", X)
    sizes = np.sqrt(np.diag(found.value))
    return float(np.sqrt(np.mean((found.stderr / np.outer(sizes, sizes)) ** 2)))


def floor_of(told: KernelCost) -> Floor:
    """The products of paths in single precision, those of factors in double, and the draws of all replicates."""
    seconds = told.products / arithmetic("float32") + told.factors / arithmetic("float64") + told.draws / drawing()
    return Floor(0.0, told.products + told.factors, told.draws, seconds)
