"""What the report of a recursion states, derived and measured once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from derive import Derivation, Memory, Program, Recursion, adjoint, memory, nngp, ntk
from derive.derivation import as_program
from derive.errors import DeriveError
from derive.variants import untied
from numeric.arrays import Host, seed_sequence, to_host
from numeric.convergence import KernelError
from numeric.kernel_checks import (
    Comparison,
    KernelCurves,
    KernelValidation,
    compare_limits,
    kernel_curves,
    kernel_distance,
)
from numeric.kernels import Kernel
from numeric.memory import Analysis, analyse
from numeric.network_training import NetworkTraining, train_network
from numeric.validate import settings, validate

Progress = Callable[[int, int], None]
Stage = Callable[[str], AbstractContextManager[Progress]]
DISTANCE_WIDTHS = (64, 128, 256, 512, 1024, 2048)
CURVE_WIDTH, CURVE_TRIALS = 512, 200
TRAINED_WIDTHS, STEPS, SEQUENCES = (64, 256, 1024), 20, 6
INPUT_SIZE = 1.0
"""x.x of the common inputs at which the memory is evaluated: the length that the other experiments use."""


@dataclass(frozen=True)
class Trained:
    """Networks trained by gradient descent beside the descent that the limiting kernel predicts.

    Shapes: losses (steps + 1,) by width; gaps (widths,), the distance of the outputs after training relative to that
    of the outputs from the targets before.
    """

    widths: tuple[int, ...]
    step_size: float
    losses: tuple[Host, ...]
    predicted: Host
    gaps: tuple[float, ...]


@dataclass(frozen=True)
class KernelRun:
    """Everything the report of a recursion states; what does not exist for it is None, with the reason."""

    program: Program
    nngp: Derivation
    ntk: Derivation
    gradient: Derivation
    values: dict[str, float]
    seed: int
    validation: KernelValidation
    curves: KernelCurves
    distance: KernelError
    untied: Comparison | None
    memory: Memory | None
    analysis: Analysis | None
    forgetful: str
    training: Trained

    @property
    def nu(self) -> dict[str, float]:
        """The numbers of the symbols."""
        return self.values

    def record(self) -> dict[str, Any]:
        """The numbers of the run as plain data, for run.json."""
        parts: dict[str, Any] = {"curves": self.curves, "distance": self.distance, "training": self.training}
        parts |= {"memory": self.analysis} if self.analysis else {}
        found: dict[str, Any] = {name: asdict(part) for name, part in parts.items()}
        found["validation"] = [asdict(check) for check in self.validation.checks]
        if self.untied is not None:
            found["untied"] = [asdict(check) for check in self.untied.other]
        return found


def run_kernels(
    recursion: Recursion | Program, stage: Stage, seed: int = 0, width: int = 1024, trials: int | None = None,
    **nu: float,
) -> KernelRun:  # fmt: skip
    """Derive and verify, then confirm by Monte Carlo and by training.

    Errors: those of the derivations and of validate.
    """
    program = as_program(recursion)
    values: dict[str, Any] = settings(program, nu)
    with stage("derivation and proofs") as progress:
        found = nngp(program), ntk(program), adjoint(program)
        for done, derivation in enumerate(found, 1):
            derivation.proof.verify()
            progress(done, len(found))
    with stage("Monte Carlo over a ladder of widths") as progress:
        validation = validate(program, width, trials, seed, progress=progress, **values)
    assert isinstance(validation, KernelValidation)
    with stage("kernels against correlation and lag") as progress:
        curves = kernel_curves(program, values, width=CURVE_WIDTH, trials=CURVE_TRIALS, seed=seed, progress=progress)
    with stage("tangent kernel against width") as progress:
        inputs = validation.measurements.plan.inputs
        distance = kernel_distance(program, values, inputs, DISTANCE_WIDTHS, seed=seed, progress=progress)
    with stage("tied against untied"):
        comparison = _untied(program, validation)
    with stage("memory"):
        remembered, analysis, reason = _memory(program, values)
    with stage("training beside the limit") as progress:
        training = _training(program, values, seed, progress)
    return KernelRun(program, *found, values, seed, validation, curves, distance, comparison, remembered, analysis,
                     reason, training)  # fmt: skip


def _untied(program: Program, validation: KernelValidation) -> Comparison | None:
    """The independent-weights limit on the same networks; None where nothing is shared between steps."""
    twin = untied(program)
    return None if twin == program else compare_limits(validation.measurements, validation.checks, twin)


def _memory(program: Program, values: dict[str, float]) -> tuple[Memory | None, Analysis | None, str]:
    try:
        derived = memory(program)
        for part in (derived, *derived.parts.values()):
            part.proof.verify()
        given: dict[str, Any] = {"X": INPUT_SIZE, **values}
        return derived, analyse(derived, **given), ""
    except DeriveError as error:
        return None, None, f"They need {error.expected}."


def _training(program: Program, values: dict[str, float], seed: int, progress: Progress) -> Trained:
    """One network at each width, and the descent of its outputs by the limiting kernel from the same start."""
    generator = np.random.default_rng(seed_sequence(seed, 5))
    X, Y = generator.standard_normal((SEQUENCES, 4, 2)) / 2**0.5, generator.standard_normal((SEQUENCES, 1))
    numbers: dict[str, Any] = dict(values)
    K = to_host(Kernel(program, readout="last", **numbers).ntk(X))
    step = float(SEQUENCES / (2 * np.linalg.eigvalsh(K)[-1]))
    runs: list[NetworkTraining] = []
    for done, width in enumerate(TRAINED_WIDTHS, 1):
        runs.append(train_network(program, X, Y, width, steps=STEPS, step_size=step, seed=seed, **numbers))
        progress(done, len(TRAINED_WIDTHS))
    gaps, predicted = [], np.empty(0)
    for run in runs:
        residual = (run.first - Y)[:, 0]
        losses = [float(np.mean(residual**2))]
        for _ in range(STEPS):
            residual = residual - 2 * step / SEQUENCES * K @ residual
            losses.append(float(np.mean(residual**2)))
        gap = np.linalg.norm((run.last - Y)[:, 0] - residual) / np.linalg.norm(run.first - Y)
        gaps.append(float(gap))
        predicted = np.array(losses)
    return Trained(TRAINED_WIDTHS, step, tuple(run.loss for run in runs), predicted, tuple(gaps))
