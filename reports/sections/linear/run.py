"""The report of a linear recursion: what was run, and the sections that tell it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from wideproof.derive import (
    Derivation,
    Program,
    Recursion,
    equivalent_convolution,
    impulse_response,
    moments,
    scale_factors,
)
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.linear.convolution import ImpulseResponse
from wideproof.numeric.linear_rnn.training_choice import Announce
from wideproof.numeric.networks.narrow_width import quiet_widths
from wideproof.numeric.paper.experiments import (
    Dynamics,
    GapLadder,
    Protocol,
    RecordingComparison,
    Setting,
    compare,
    dynamics,
    gap_ladder,
)
from wideproof.numeric.paper.experiments.recording_protocol import QUICK
from wideproof.numeric.paper.experiments.training_dynamics import plan_training
from wideproof.numeric.recordings import Recording, load_recording
from wideproof.numeric.runs.stages import Stage
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Tasks
from wideproof.numeric.validation.convergence import KernelError, kernel_error
from wideproof.numeric.validation.judged import Validation
from wideproof.numeric.validation.linear_rnn import FiniteWidth, Measurements, finite_width
from wideproof.numeric.validation.validate import DEFAULTS, validate

SECOND_LAGS, FOURTH_LAGS = tuple(range(2, 7)), tuple(range(3))
"""Lags whose exact second and fourth moments a report states; those of lags 0 and 1 are the limit at every width."""
GAP_STEPS = 40  # the gap between the training curves is largest in the first few


@dataclass(frozen=True)
class LinearRun:
    """Everything the report of a linear recursion states, measured once."""

    program: Program
    response: ImpulseResponse
    scale: Derivation
    convolution: Derivation
    seconds: tuple[Derivation, ...]
    fourths: tuple[Derivation, ...]
    nu: dict[str, float]
    seed: int
    validation: Validation
    finite: FiniteWidth
    kernel: KernelError
    training: Dynamics
    gaps: GapLadder
    recordings: tuple[RecordingComparison, ...]

    def record(self) -> dict[str, Any]:
        """The numbers of the run as plain data, for run.json."""
        parts = {
            "validation": self.validation.checks,
            "finite_width": self.finite,
            "kernel": self.kernel,
            "training": self.training,
            "gaps": self.gaps,
            "recordings": self.recordings,
        }
        return {
            name: [asdict(x) for x in part] if isinstance(part, tuple) else asdict(part)  # type: ignore[call-overload]
            for name, part in parts.items()
        }


def run_linear(
    recursion: Recursion | Program,
    stage: Stage,
    seed: int = 0,
    width: int = 1024,
    trials: int = 8000,
    data: tuple[str, ...] = ("er-fmri", "daphnet"),
    columns: Mapping[str, Any] | None = None,
    method: str = "auto",
    announce: Announce | None = None,
    draws: Mapping[str, Any] | None = None,
    tasks: Tasks = NOTHING_KEPT,
    **nu: float,
) -> LinearRun:
    """Derive and verify, then confirm by Monte Carlo, by training and on recordings.

    `method` trains the RNN beside the scaled convolution; `announce` is told it before each start; `draws` are options
    of `validate` that say where its numbers are kept and who draws; `tasks` keep everything else, piece by piece.

    Errors: those of the derivations; ParameterError for a model without a finite-width sampler.
    """
    program = as_program(recursion)
    values: dict[str, Any] = DEFAULTS | nu
    loaded = [load_recording(name, **(columns or {})) for name in data]  # a wrong path is told before the long work
    setting = Setting(nu_W=values["nu_W"], nu_F=values["nu_F"], nu_C=values["nu_C"])
    plan_training(setting, method=method)  # and so is a method that does not apply
    (response, scale, convolution), exact = _derive(program, stage)
    with stage("Monte Carlo over a ladder of widths") as progress, quiet_widths():
        validation = validate(program, width, trials, seed, progress=progress, **(draws or {}), **values)
    assert isinstance(validation.measurements, Measurements)  # of a linear recursion
    with stage("exact moments at narrow widths") as progress:
        finite = finite_width(program, values, seed=seed, progress=progress)
    with stage("tangent kernel against width") as progress:
        kernel = kernel_error(values, [10**k for k in range(2, 8)], seed=seed, progress=progress, tasks=tasks)
    rho = scale.formula.compile("numpy")
    with stage("training beside the scaled convolution") as progress:
        training = dynamics(setting, seed=seed + 1, scale=rho, method=method, announce=announce, progress=progress,
                            tasks=tasks)  # fmt: skip
    with stage("training gap against width") as progress:
        gaps = gap_ladder(replace(setting, steps=GAP_STEPS), scale=rho, seeds=8, announce=announce, progress=progress,
                          tasks=tasks)  # fmt: skip
    grid = tuple(sorted({*QUICK.nu_W, values["nu_W"]}))
    protocol = replace(QUICK, nu_W=grid, nu_F=values["nu_F"], nu_C=values["nu_C"])
    recordings = tuple(_compare(recording, protocol, rho, seed, stage, announce, tasks) for recording in loaded)
    seconds, fourths = exact[: len(SECOND_LAGS)], exact[len(SECOND_LAGS) :]
    return LinearRun(
        program, response, scale, convolution, seconds, fourths, values, seed, validation, finite, kernel, training,
        gaps, recordings,
    )  # fmt: skip


def _derive(
    program: Program, stage: Stage
) -> tuple[tuple[ImpulseResponse, Derivation, Derivation], tuple[Derivation, ...]]:
    """The limits, and the second and then the fourth moments at finite width, each verified."""
    with stage("derivation and proofs") as progress:
        limits = impulse_response(program), scale_factors(program), equivalent_convolution(program)
        orders = ((SECOND_LAGS, 2), (FOURTH_LAGS, 4))
        exact = tuple(moments(program, lag=lag, order=order) for lags, order in orders for lag in lags)
        for done, derivation in enumerate((*limits, *exact), 1):
            derivation.proof.verify()
            progress(done, len(limits) + len(exact))
    return limits, exact


def _compare(recording: Recording, protocol: Protocol, rho: Callable[..., Any], seed: int, stage: Stage,
             announce: Announce | None, tasks: Tasks) -> RecordingComparison:  # fmt: skip
    with stage(f"recording {recording.name}") as progress:
        return compare(recording, protocol, scale=rho, seed=seed, announce=announce, progress=progress, tasks=tasks)


def lags_of(run: LinearRun) -> np.ndarray:
    """The lags of the Monte Carlo run."""
    return np.arange(1 + max(c.lag for c in run.validation.checks if isinstance(c.lag, int)))


def checks_of(run: LinearRun, quantity: str) -> Iterator[Any]:
    """The checks of one quantity in the order of their lags."""
    return (check for check in run.validation.checks if check.quantity == quantity)
