"""The pieces of a comparison on a recording: convolutions solved for on one training part, and one RNN trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np

from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.checkpoints import canonical
from wideproof.numeric.linear_rnn.closed_descent import ClosedPath, EigenDescent
from wideproof.numeric.linear_rnn.convolution import Convolution, matched
from wideproof.numeric.linear_rnn.krylov import LinearRNN, draw_rnn, impulse_response
from wideproof.numeric.linear_rnn.training import impulse_of, model_curvature, train
from wideproof.numeric.networks.divergence import Diverged
from wideproof.numeric.paper.experiments.recording_protocol import Parts, Protocol, prepare_part
from wideproof.numeric.paper.experiments.settling import SETTLED, to_gain
from wideproof.numeric.recordings import Recording
from wideproof.numeric.runs.tasks import Arrays, Shared

MATCHED, ZERO = "matched", "zero"
Plan = dict[str, Any]

RECORDED = 25  # steps at which the course of a training is kept


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """One trained model: its validation R² at the best number of steps, and its impulse responses.

    `gain` is the validation R² that more steps than the `steps` taken may bring, 0 for a path known to its end.
    Shapes: impulse (T, n_y, n_x), recorded (k, T, n_y, n_x).
    """

    validation_r2: float
    best_step: int
    steps: int
    gain: float
    impulse: Host
    recorded: Host


def shared_recording(recording: Recording) -> Shared:
    """Return the numbers of a recording as workers read them.  Shapes, units: kept.  Error: none, bits are kept."""
    return Shared.of({"inputs": recording.inputs, "outputs": recording.outputs})


def place(protocol: Protocol, regime: str, part: int) -> Plan:
    """Return what every piece on one training part depends on besides the recording."""
    return {"protocol": asdict(protocol), "regime": regime, "part": part}


def solved_models(plan: Plan, recording: Shared) -> Arrays:
    """Return the runs of a convolution on one part, for one variance of the networks whose start it takes.

    Its descent is solved for, to convergence, in one eigenbasis: for every start, network and step size.
    Shapes: START_NETWORK_FRACTION_NAME as `TrainingRun` and `ClosedPath`, none of them where the step diverges.
    Units: training standard deviations.  Error: rounding.  Source: `EigenDescent`.
    """
    parts, protocol, rho = _part(plan, recording), _protocol(plan), plan["rho"]
    basis = _basis(recording, _place(plan), None if rho is None else tuple(rho))
    found: Arrays = {}
    for start in plan["starts"]:
        for network, seed in enumerate(plan["seeds"] if start == MATCHED else [None]):
            first = _start(plan, parts, seed)
            for k, fraction in enumerate(dict.fromkeys(protocol.step_fractions)):
                made = _solved(basis, first, parts, fraction, record_steps(protocol.steps))
                found |= {f"{start}_{network}_{k}_{name}": values for name, values in made.items()}
    return found


def trained_rnn(plan: Plan, recording: Shared) -> Arrays:
    """Return the run of one network on one part with one step size: it ends where it has settled.

    Shapes: as `TrainingRun`; nothing where the step diverges.  Units: training standard deviations.  Error: rounding.
    Source: `train`; when it has settled, `to_gain`.
    """
    parts, protocol = _part(plan, recording), _protocol(plan)
    wide, start = ClosedPath(*map(_numbers, plan["path"])), _network(plan, parts, plan["seed"])
    steps = record_steps(protocol.steps)
    step_size = plan["fraction"] / (model_curvature(start, parts.training) or 1.0)

    def gain(losses: Host) -> float:
        return to_gain(losses, step_size, wide) / parts.spread

    try:
        found = train(start, parts.training, parts.validation, steps=protocol.steps, step_size=step_size, record=steps,
                      until=lambda losses: gain(losses) <= SETTLED)  # fmt: skip
    except Diverged:
        return {}
    r2, taken = parts.validation_r2(float(found.test_loss[found.best_step])), len(found.test_loss) - 1
    rest = len(steps) - len(found.recorded)  # beyond its end it stays where it is
    last = np.asarray(impulse_of(found.final, parts.training.lags))[None].repeat(rest, axis=0)
    recorded = np.concatenate([np.asarray(found.impulses), last])
    return arrays_of(
        TrainingRun(r2, found.best_step, taken, gain(found.test_loss), np.asarray(found.best_impulse), recorded)
    )


def _solved(basis: EigenDescent, start: Convolution, parts: Parts, fraction: float, steps: Sequence[int]) -> Arrays:
    step_size = fraction / (basis.largest or 1.0)
    try:
        path = basis.descend(start, step_size)
    except Diverged:
        return {}
    *recorded, impulse = basis.impulses(start, step_size, (*steps, path.best_step))
    r2 = parts.validation_r2(float(np.min(path.losses)))
    run = TrainingRun(r2, int(path.best_step), int(path.steps[-1]), 0.0, impulse, np.stack(recorded))
    ends = np.array([step_size, path.best_step])
    return {**arrays_of(run), "ends": ends, "path": np.stack([path.steps, path.losses])}


def path_of(arrays: Mapping[str, Host]) -> list[Any]:
    """Return the path that a solved run was taken from, as plain data: the fields of a `ClosedPath`."""
    step_size, best = arrays["ends"].tolist()
    return [step_size, *arrays["path"].tolist(), best]


def _numbers(field: Any) -> Any:
    return np.array(field) if isinstance(field, list) else field


def runs_of(found: Mapping[str, Host], start: str, network: int, fraction: int) -> Arrays:
    """Return the arrays of one run of `solved_models`; none where its step diverges."""
    prefix = f"{start}_{network}_{fraction}_"
    return {name.removeprefix(prefix): values for name, values in found.items() if name.startswith(prefix)}


def arrays_of(run: TrainingRun) -> Arrays:
    """Return a run as named arrays."""
    return {field.name: np.array(getattr(run, field.name)) for field in fields(run)}


def run_of(arrays: Mapping[str, Host]) -> TrainingRun | None:
    """Return the run whose `arrays_of` these are, or None where there are none: its step diverges."""
    if not arrays:
        return None
    r2, gain = (float(arrays[name]) for name in ("validation_r2", "gain"))
    best, steps = (int(arrays[name]) for name in ("best_step", "steps"))
    return TrainingRun(r2, best, steps, gain, arrays["impulse"], arrays["recorded"])


def _start(plan: Plan, parts: Parts, seed: int | None) -> Convolution:
    """The convolution at zero, or with the impulse response that a network has at its start."""
    data, rho = parts.training, None if plan["rho"] is None else np.array(plan["rho"])
    if seed is None:
        return matched(np.zeros((data.lags, data.n_y, data.n_x)), rho)
    return matched(impulse_response(_network(plan, parts, seed), data.lags), rho)


def _network(plan: Plan, parts: Parts, seed: int) -> LinearRNN:
    """One draw for each seed: its entries scale with the variance, so that variances are compared in pairs."""
    data, protocol = parts.training, _protocol(plan)
    return draw_rnn(
        protocol.width, data.n_x, data.n_y, nu_W=plan["nu"], nu_F=protocol.nu_F, nu_C=protocol.nu_C,
        rng=np.random.default_rng(seed),
    )  # fmt: skip


def _protocol(plan: Plan) -> Protocol:
    given: dict[str, Any] = {name: tuple(x) if isinstance(x, list) else x for name, x in plan["protocol"].items()}
    return Protocol(**given)


def _part(plan: Plan, recording: Shared) -> Parts:
    return _prepared(recording, _place(plan))


def _place(plan: Plan) -> str:
    return canonical({name: plan[name] for name in ("protocol", "regime", "part")})


@lru_cache(maxsize=1)
def _prepared(recording: Shared, place: str) -> Parts:
    """The part of a plan, once for all pieces on it that follow each other in one process."""
    plan, numbers = json.loads(place), recording.arrays
    inputs, outputs = (tuple(map(str, range(numbers[name].shape[1]))) for name in ("inputs", "outputs"))
    whole = Recording("recording", numbers["inputs"], numbers["outputs"], inputs, outputs, None, "", "", "")
    return prepare_part(whole, _protocol(plan), plan["regime"], plan["part"])


@lru_cache(maxsize=1)
def _basis(recording: Shared, place: str, rho: tuple[float, ...] | None) -> EigenDescent:
    """The eigenbasis of a part, once for all pieces in it that follow each other in one process."""
    parts = _prepared(recording, place)
    weights = np.ones(parts.training.lags) if rho is None else np.array(rho)
    return EigenDescent(parts.training, weights, parts.validation)


def record_steps(steps: int) -> tuple[int, ...]:
    """About 25 steps from 0 to `steps`, evenly spaced in the logarithm."""
    return tuple(sorted({0, *(int(k) for k in np.round(np.geomspace(1, steps, RECORDED)))}))
