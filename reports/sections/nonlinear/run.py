"""What the report of a recursion states, derived and measured once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri, stdtrit

from wideproof.derive import Derivation, Memory, Program, Recursion, adjoint, memory, nngp, ntk
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.errors import DeriveError
from wideproof.derive.language.plain_form import program_data, program_of
from wideproof.derive.language.variants import untied
from wideproof.derive.memory_horizon.two_run_maps import Memoryless
from wideproof.numeric.core.arrays import Host, seed_sequence, to_host
from wideproof.numeric.core.checks import Check, Claim, Level, Verdict, judge, overall
from wideproof.numeric.core.width_ladder import extrapolate
from wideproof.numeric.kernels.kernel import Kernel
from wideproof.numeric.memory_horizon.fixed_points import Analysis, analyse
from wideproof.numeric.networks.training import train_network
from wideproof.numeric.runs.gathering import Progress
from wideproof.numeric.runs.stages import Stage
from wideproof.numeric.runs.tasks import NOTHING_KEPT, Arrays, Tasks
from wideproof.numeric.validation.convergence import KernelError
from wideproof.numeric.validation.judged import Validation
from wideproof.numeric.validation.kernels import (
    KernelCurves,
    LimitComparison,
    compare_limits,
    kernel_curves,
    kernel_distance,
)
from wideproof.numeric.validation.validate import settings, validate

DISTANCE_WIDTHS = (64, 128, 256, 512, 1024, 2048)
CURVE_WIDTH, CURVE_TRIALS = 512, 200
TRAINED_WIDTHS, TRAINED_NETWORKS, STEPS, SEQUENCES = (64, 128, 256, 512), 12, 20, 6
SEEN = 0.1
"""The relative distance of trained outputs from the limiting descent that its check must be able to see."""
INPUT_SIZE = 1.0
"""x.x of the common inputs at which the memory is evaluated: the length that the other experiments use."""


@dataclass(frozen=True)
class Trained:
    """Networks trained by gradient descent beside the descent that the limiting kernel predicts.

    Shapes: losses (steps + 1,) of one network by width; gaps (widths,), the distance of the outputs after training
    relative to that of the outputs from the targets before, root mean square over the networks.
    Error: stderrs, by the delta method; `check` judges the mean square at infinite width, which is zero in the limit.
    """

    widths: tuple[int, ...]
    step_size: float
    losses: tuple[Host, ...]
    predicted: Host
    gaps: tuple[float, ...]
    stderrs: tuple[float, ...]
    networks: int
    check: Check


@dataclass(frozen=True)
class KernelRun:
    """Everything the report of a recursion states; what does not exist for it is None.

    `forgetful` says why a memory is not derived; it is empty where there is none, as no state feeds itself.
    """

    program: Program
    nngp: Derivation
    ntk: Derivation
    gradient: Derivation
    values: dict[str, float]
    seed: int
    validation: Validation
    curves: KernelCurves
    distance: KernelError
    untied: LimitComparison | None
    memory: Memory | None
    analysis: Analysis | None
    forgetful: str
    training: Trained

    @property
    def nu(self) -> dict[str, float]:
        """The numbers of the symbols."""
        return self.values

    @property
    def verdict(self) -> Verdict:
        """Of both kernels and of training together."""
        return overall((*self.validation.checks, self.training.check))

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
    draws: Mapping[str, Any] | None = None, tasks: Tasks = NOTHING_KEPT, **nu: float,
) -> KernelRun:  # fmt: skip
    """Derive and verify, then confirm by Monte Carlo and by training; `draws` and `tasks` as `run_linear`
    takes them.

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
        validation = validate(program, width, trials, seed, progress=progress, **(draws or {}), **values)
    assert isinstance(validation, Validation)
    with stage("kernels against correlation and lag") as progress:
        curves = kernel_curves(program, values, width=CURVE_WIDTH, trials=CURVE_TRIALS, seed=seed, progress=progress,
                               tasks=tasks)  # fmt: skip
    with stage("tangent kernel against width") as progress:
        inputs = validation.measurements.plan.inputs
        distance = kernel_distance(program, values, inputs, DISTANCE_WIDTHS, seed=seed, progress=progress,
                                   tasks=tasks)  # fmt: skip
    with stage("tied against untied"):
        comparison = _untied(program, validation)
    with stage("memory"):
        remembered, analysis, reason = _memory(program, values)
    with stage("training beside the limit") as progress:
        training = _training(program, values, seed, progress, tasks)
    return KernelRun(program, *found, values, seed, validation, curves, distance, comparison, remembered, analysis,
                     reason, training)  # fmt: skip


def _untied(program: Program, validation: Validation) -> LimitComparison | None:
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
    except Memoryless:
        return None, None, ""
    except DeriveError as error:
        return None, None, f"It needs {error.expected}. {error.hint}"


def _training(program: Program, values: dict[str, float], seed: int, progress: Progress, tasks: Tasks) -> Trained:
    """Networks at each width, and the descent of their outputs by the limiting kernel from the same starts."""
    generator = np.random.default_rng(seed_sequence(seed, 5))
    X, Y = generator.standard_normal((SEQUENCES, 4, 2)) / 2**0.5, generator.standard_normal((SEQUENCES, 1))
    numbers: dict[str, Any] = dict(values)
    K = to_host(Kernel(program, readout="last", **numbers).ntk(X))
    step = float(SEQUENCES / (2 * np.linalg.eigvalsh(K)[-1]))
    common = {"program": program_data(program), "X": X.tolist(), "Y": Y.tolist(), "step": step, "steps": STEPS,
              "values": numbers}  # fmt: skip
    plans = [common | {"width": width, "seed": int(seed_sequence(seed, 6, width, k).generate_state(1)[0])}
             for width in TRAINED_WIDTHS for k in range(TRAINED_NETWORKS)]  # fmt: skip
    runs = tasks.results(trained_network, plans, progress)
    ways = [_descent(K, (run["first"] - Y)[:, 0], step) for run in runs]
    squares = np.array([np.sum(((run["last"] - Y)[:, 0] - way[-1]) ** 2) / np.sum(way[0] ** 2)
                        for run, way in zip(runs, ways, strict=True)]).reshape(len(TRAINED_WIDTHS), -1)  # fmt: skip
    losses = [run["loss"] for run in runs[::TRAINED_NETWORKS]]
    predicted = np.mean(ways[-TRAINED_NETWORKS] ** 2, axis=1)
    gaps, spread = squares.mean(axis=1) ** 0.5, squares.std(axis=1, ddof=1) / TRAINED_NETWORKS**0.5
    errors = spread / (2 * gaps)
    return Trained(TRAINED_WIDTHS, step, tuple(losses), predicted, tuple(gaps.tolist()), tuple(errors.tolist()),
                   TRAINED_NETWORKS, _judged(squares.mean(axis=1), spread))  # fmt: skip


def trained_network(plan: dict[str, Any]) -> Arrays:
    """Return the losses of one network, and its outputs before and after training.

    Shapes: loss (steps + 1,); first, last (N, 1).  Units: output^2, output.  Error: rounding.  Source: `train_network`.
    """
    X, Y = np.asarray(plan["X"]), np.asarray(plan["Y"])
    run = train_network(program_of(plan["program"]), X, Y, plan["width"], steps=plan["steps"], step_size=plan["step"],
                        seed=plan["seed"], **plan["values"])  # fmt: skip
    return {"loss": run.loss, "first": run.first, "last": run.last}


def _descent(K: Host, start: Host, step: float) -> Host:
    """Residuals f - y of gradient descent by the limiting kernel.  Shapes: (N, N), (N,) -> (STEPS + 1, N)."""
    found = [start]
    for _ in range(STEPS):
        found.append(found[-1] - 2 * step / SEQUENCES * K @ found[-1])
    return np.array(found)


def _judged(means: Host, stderrs: Host) -> Check:
    """The mean square distance extrapolated in 1/n, which vanishes in the limit if networks train as it says.

    Errors of so few networks are scaled from Student's law to the normal one of `judge`, at its level.
    """
    level = Level(effects={"training": SEEN**2})
    scale = stdtrit(TRAINED_NETWORKS - 1, level.false_alarm / 2) / ndtri(level.false_alarm / 2)
    fit = extrapolate(np.array(TRAINED_WIDTHS, dtype=float), means, scale * stderrs, 1, precision=2.0)
    claim = Claim("training", STEPS, TRAINED_WIDTHS, TRAINED_NETWORKS, 0.0, fit.mean, fit.stderr, "trained networks",
                  lack_of_fit=fit.lack_of_fit)  # fmt: skip
    return judge((claim,), level)[0]
