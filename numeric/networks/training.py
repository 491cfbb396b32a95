"""Full-batch gradient descent on any recursion at finite width, by the derived adjoint."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive import Program, Recursion
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.errors import ParameterError, ShapeError, TooLarge
from wideproof.derive.language.plain_form import program_data
from wideproof.numeric.core.arrays import Array, Host, backend, check_finite, quietly, to_host
from wideproof.numeric.core.checkpoints import SAVE_EVERY, load, save
from wideproof.numeric.core.inputs import callback, choice, finite_array, real, sequences, whole
from wideproof.numeric.core.shown import InOneLine
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.networks.divergence import blown_up, diverged, risen, unstable
from wideproof.numeric.networks.empirical_kernels import Readout, empirical_ntk, scales_of
from wideproof.numeric.networks.gradients import Network, network_gradients, run_forward, shape_of, trained
from wideproof.numeric.networks.narrow_width import warn_narrow
from wideproof.numeric.networks.simulation import weights_of
from wideproof.numeric.runs.gathering import Progress


@dataclass(frozen=True, eq=False, repr=False)
class NetworkTraining(InOneLine):
    """Entry l of the loss is the mean square error after l steps; the outputs are those before and after training.

    Shapes: loss (steps + 1,); first, last as the targets; weights by parameter name as `simulate` takes them.
    Units: output^2; the step size is for a loss that is a mean over all outputs.  Error: rounding.
    Source: `train_network`.
    """

    step_size: float
    momentum: float
    loss: Host
    first: Host
    last: Host
    weights: dict[str, Host]


def train_network(
    recursion: Recursion | Program,
    X: Host,
    Y: Host,
    width: int,
    *,
    steps: int,
    step_size: float | None = None,
    momentum: float = 0.0,
    readout: Readout = "last",
    parameterization: str = "entries",
    weights: Mapping[str, Host] | None = None,
    seed: int = 0,
    device: str = "numpy",
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    **parameters: float,
) -> NetworkTraining:
    """Descend the mean square error of one network; a step is v <- mu v + gradient, theta <- theta - eta v.

    The gradient is by the entries of the parameters or, for "ntk", by unit-variance parameters. The default step is
    half the largest stable one of the linearised network. A run that is killed resumes from its checkpoint with the
    same bits. NumPy's linear algebra takes one thread, so that the bits are the same for any OMP_NUM_THREADS.
    Shapes: X (N, T, n_x); Y (N, n_y) for readout "last" and "average", (N, T, n_y) for "all".
    Units: parameters are the symbols of the definition.
    Error: rounding; ShapeError; Diverged, naming step, cause and a stable step size, where the loss blows up or an
    unstable step size leaves it above its start.
    Source: wideproof.adjoint; emami2021implicit, B.4 (61).

    >>> X, Y, values = np.ones((1, 2, 1)), np.ones((1, 1)), {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0}
    >>> found = wp.train_network(wp.models.linear_rnn(), X, Y, 16, steps=2, **values)
    >>> type(found).__name__
    'NetworkTraining'
    """
    program, xp = as_program(recursion), backend(device)
    X, Y = sequences("train_network: X", X), finite_array("train_network: Y", Y)
    _check(X, Y, readout)
    width, steps = whole("train_network: width", width, 1), whole("train_network: steps", steps)
    momentum = real("train_network: momentum", momentum, 0.0, below=1.0, hint="0 is plain descent, 0.9 is usual.")
    callback("train_network: progress", progress)
    options = {"n_y": int(Y.shape[-1]), "device": device, **parameters}
    run = _Descent(program, xp.asarray(X), xp.asarray(Y), width, readout, parameterization, options)
    if not weights:
        warn_narrow(program, parameters, width, int(X.shape[1]))
    with blas_threads(1):  # the bits of a sum depend on how many share it
        start = {**_drawn(program, X, width, seed, options), **weights_of(weights, xp)}
        step = step_size if step_size is not None else 1.0 / (run.curvature(start) or 1.0)
        step = real("train_network: step_size", step, 0.0, above=True, hint="Leave it out for a stable one.")
        identity = {
            "X": _digest(X), "Y": _digest(Y), "width": width, "step": step, "momentum": momentum, "seed": seed,
            "start": _digest(*(to_host(start[name]) for name in sorted(start))), "readout": readout,
            "parameterization": parameterization, "program": _text(program), "device": device, **parameters,
        }  # fmt: skip
        return _descend(run, start, steps, step, momentum, progress, checkpoint, identity)


def _check(X: Host, Y: Host, readout: str) -> None:
    choice("train_network: readout", readout, ("all", "last", "average"), "See Kernel.")
    if Y.shape[:-1] != (X.shape[:2] if readout == "all" else X.shape[:1]):
        want = "(N, T, n_y)" if readout == "all" else "(N, n_y)"
        hint = f"For readout={readout!r} the targets have shape {want}."
        raise ShapeError("train_network", "X of shape (N, T, n_x) and targets of as many sequences",
                         f"{X.shape} and {Y.shape}", hint)  # fmt: skip


@dataclass
class _Descent:
    """What a step needs: the recursion, the data, and how outputs are read."""

    program: Program
    X: Array
    Y: Array
    width: int
    readout: Readout
    parameterization: str
    options: dict[str, Any]

    @cached_property
    def power(self) -> float:
        """The mean square of the targets, infinite where it overflows."""
        with quietly():
            return float((self.Y**2).mean())

    def forward(self, weights: Mapping[str, Array]) -> tuple[Network, Array]:
        """The network at these weights, and what it says of each sequence."""
        network = run_forward(self.program, self.X, self.width, weights=weights, **self.options)
        return network, _read(network.run.xp, network.outputs[0, ...], self.readout)

    def tried(self, weights: Mapping[str, Array], start: Mapping[str, Array], losses: list[float], step: float,
              momentum: float) -> tuple[Network, Array]:  # fmt: skip
        """The same, and the loss at the end of the others.

        Errors: Diverged where steps have led out of the doubles; their cause is not that of a recursion that grows.
        """
        try:
            network, said = self.forward(weights)
        except TooLarge as error:
            if not losses:
                raise
            where, taken = "train_network: step_size", len(losses)
            raise diverged(where, step, self.curvature(start), momentum, step=taken, loss=math.inf) from error
        with quietly():
            losses.append(float(network.run.xp.mean((said - self.Y) ** 2)))
        return network, said

    def slopes(self, network: Network, said: Array) -> dict[str, Array]:
        """The gradient of the mean square error, scaled as the parameterization asks."""
        xp, number = network.run.xp, network.run.number
        slope = 2.0 * (said - self.Y) / self.Y.size
        if self.readout != "all":
            horizon = self.X.shape[1]
            weight = xp.ones(horizon) / horizon if self.readout == "average" else xp.eye(horizon)[-1, :]
            slope = slope[:, None, :] * weight[None, :, None]
        scales = scales_of(self.program, self.parameterization)
        return {name: number(scales[name]) * g[0, ...] for name, g in network_gradients(network, slope).items()}

    def curvature(self, weights: Mapping[str, Array]) -> float:
        """The largest curvature of the loss at these weights."""
        X, Y = to_host(self.X), to_host(self.Y)
        return curvature(self.program, X, Y, self.width, weights, self.readout, self.parameterization, self.options)

    def check(self, start: Mapping[str, Array], losses: list[float], step: float, momentum: float, ended: bool) -> None:
        """Raise Diverged, with its cause, where the loss has blown up, or an unstable step ended above its start."""
        check_finite("train_network: squares of outputs and targets", [losses[0], self.power], " at step 0")
        lost = blown_up(losses, self.power)
        if not lost and not (ended and risen(losses)):
            return
        largest, taken = self.curvature(start), len(losses) - 1
        if lost or unstable(step, largest, momentum):
            raise diverged("train_network: step_size", step, largest, momentum, step=taken, loss=losses[-1])


def _read(xp: Any, outputs: Array, readout: str) -> Array:
    if readout == "all":
        return outputs
    return outputs[:, -1, :] if readout == "last" else xp.mean(outputs, axis=1)


def _descend(
    run: _Descent, start: dict[str, Array], steps: int, step: float, momentum: float,
    progress: Progress | None, checkpoint: Path | None, identity: dict[str, Any],
) -> NetworkTraining:  # fmt: skip
    xp, kept = backend(run.options["device"]), load(checkpoint, identity) if checkpoint else None
    weights = dict(start)
    velocity = {p.name: xp.zeros_like(weights[p.name]) for p in trained(run.program)}
    losses, first = [], to_host(run.forward(start)[1])
    if kept:
        losses = list(kept["loss"])
        if len(losses) > steps:
            hint = f"Its networks of earlier steps are gone: ask for {len(losses)} steps or more, or name another file."
            raise ParameterError(f"checkpoint {checkpoint}", f"a run of at most {steps} steps", f"{len(losses)}", hint)
        for name in velocity:
            weights[name], velocity[name] = (xp.asarray(kept[f"{kind}/{name}"]) for kind in ("weights", "velocity"))
    saved = time.monotonic()
    for k in range(len(losses), steps + 1):
        network, said = run.tried(weights, start, losses, step, momentum)
        run.check(start, losses, step, momentum, k == steps)
        if k == steps:
            break
        for name, slope in run.slopes(network, said).items():
            velocity[name] = momentum * velocity[name] + slope
            weights[name] = weights[name] - step * velocity[name]
        if checkpoint and time.monotonic() - saved >= SAVE_EVERY:
            _save(checkpoint, identity, losses, weights, velocity)
            saved = time.monotonic()
        if progress:
            progress(k + 1, steps)
    last = to_host(run.forward(weights)[1])
    return NetworkTraining(step, momentum, np.array(losses[: steps + 1]), first, last,
                           {name: to_host(w) for name, w in weights.items()})  # fmt: skip


def _save(
    path: Path, identity: dict[str, Any], losses: list[float], weights: Mapping[str, Array],
    velocity: Mapping[str, Array],
) -> None:  # fmt: skip
    arrays = {f"weights/{name}": to_host(weights[name]) for name in velocity}
    arrays |= {f"velocity/{name}": to_host(v) for name, v in velocity.items()}
    save(path, identity, {"loss": np.array(losses), **arrays})


def _drawn(program: Program, X: Host, width: int, seed: int, options: dict[str, Any]) -> dict[str, Array]:
    """The random start: every parameter as `simulate` takes it."""
    network = run_forward(program, X, width, seed=seed, method="dense", **options)
    run, found = network.run, {}
    for p in program.parameters:
        draws = []
        for step in range(1 if p.tied else X.shape[1]):
            run.matrices.start(step)
            draws.append(run.matrices.array(p, shape_of(run, p))[0, ...])
        found[p.name] = draws[0] if p.tied else run.xp.stack(draws)
    return found


def curvature(
    program: Program, X: Host, Y: Host, width: int, weights: Mapping[str, Array], readout: Readout,
    parameterization: str, options: dict[str, Any],
) -> float:  # fmt: skip
    """Return the largest eigenvalue of the Gauss-Newton Hessian of the loss at a network.

    Shapes: as `train_network` -> scalar.  Units: of the loss over those of the squared step.  Error: rounding.
    Source: 2/count times the largest eigenvalue of the empirical tangent kernel.
    """
    kernels = empirical_ntk(program, X, width, readout=readout, parameterization=parameterization, weights=weights,
                            **options)  # fmt: skip
    size = int(Y.size)
    return float(2.0 / size * np.linalg.eigvalsh(to_host(kernels.total).reshape(size, size))[-1])


def _digest(*arrays: Host) -> str:
    return hashlib.blake2b(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays), digest_size=12).hexdigest()


def _text(program: Program) -> str:
    return hashlib.blake2b(json.dumps(program_data(program), sort_keys=True).encode()).hexdigest()[:24]
