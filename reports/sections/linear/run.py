"""What several sections on a linear recursion need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from wideproof.derive import equivalent_convolution, impulse_response, scale_factors
from wideproof.numeric.paper.experiments import Setting
from wideproof.numeric.paper.experiments.training_dynamics import plan_training
from wideproof.numeric.validation.linear_rnn import variances
from wideproof.reports.sections.monte_carlo import validation
from wideproof.reports.sections.needs import Making, ReportRun, checked, derived

response = derived(impulse_response)
scale = derived(scale_factors)
convolution = derived(equivalent_convolution)


@checked
def setting(run: Making) -> Setting:
    """How networks are trained: a method that does not apply is told before the long work."""
    found = Setting(**variances(run.program, run.nu))
    plan_training(found, method=run.method)
    return found


def trainer(run: Making) -> dict[str, Any]:
    """The options of everything that trains beside the scaled convolution."""
    return {"announce": run.announce, "tasks": run.tasks}


def lags_of(run: ReportRun) -> np.ndarray:
    """The lags of the Monte Carlo run."""
    return np.arange(1 + max(c.lag for c in run[validation].checks if isinstance(c.lag, int)))


def checks_of(run: ReportRun, quantity: str) -> Iterator[Any]:
    """The checks of one quantity in the order of their lags."""
    return (check for check in run[validation].checks if check.quantity == quantity)
