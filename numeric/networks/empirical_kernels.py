"""Empirical tangent kernels of any recursion at finite width: inner products of its gradients, none kept as a matrix.

The inner product of two outer products is the product of two inner products.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import sympy as sp

from wideproof.derive import Program, Recursion
from wideproof.derive.calculus.tangent import MARK, tangent
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.program import Parameter
from wideproof.numeric.core.arrays import Array, Stream, backend, check_finite, quietly
from wideproof.numeric.core.inputs import choice, names as named, representable, sequences, whole
from wideproof.numeric.core.shown import InOneLine
from wideproof.numeric.networks.gradients import Network, Reverse, run_forward, trained
from wideproof.numeric.networks.narrow_width import warn_narrow
from wideproof.numeric.networks.simulation import sizes_of, weights_of

Readout = Literal["all", "last", "average"]


@dataclass(frozen=True, eq=False, repr=False)
class EmpiricalKernels(InOneLine):
    """The tangent kernels of random networks, one part for each trainable parameter, and the outputs they belong to.

    `given_states` is the covariance of the outputs over the readouts alone, the states being what they are: outputs
    are linear in readouts, so it is the part of these in the kernel by unit-variance parameters; None where a readout
    is frozen.
    Shapes: parts and given_states (B, N, T, n_y, N, T, n_y) for readout "all", (B, N, n_y, N, n_y) for "last" and
    "average"; outputs (B, N, T, n_y).  Units: output^2.  Error: rounding.  Source: `empirical_ntk`.
    """

    parts: dict[str, Array]
    outputs: Array
    given_states: Array | None

    @property
    def total(self) -> Array:
        """The kernel of all parameters together."""
        return sum(self.parts.values())


def empirical_ntk(
    recursion: Recursion | Program,
    inputs: Array,
    width: int,
    *,
    n_y: int = 1,
    rows: int | None = None,
    readout: Readout = "all",
    parameterization: str = "entries",
    parameters: str | Iterable[str] | None = None,
    trials: int = 1,
    **options: Any,
) -> EmpiricalKernels:
    """Return sum_M dy/dM . dy'/dM of networks of a finite width, parameter by parameter.

    Shapes: inputs (N, T, n_x) -> `EmpiricalKernels`; `rows` takes the kernel of the first outputs only.
    Units: output^2; "ntk" differentiates by unit-variance parameters.
    Error: rounding; ParameterError for an unknown readout, and for inputs whose squares underflow; TooLarge for an
    overflow.  Options: those of `run_forward`.
    Source: emami2021implicit, (13), and wideproof.adjoint.

    >>> found = wp.empirical_ntk(wp.models.linear_rnn(), np.ones((1, 2, 1)), 64, nu_W=0.5, nu_F=1.0, nu_C=1.0)
    >>> sorted(found.parts)
    ['C', 'F', 'W']
    """
    choice("empirical_ntk: readout", readout, ("all", "last", "average"), "See Kernel.")
    program = as_program(recursion)
    names = named("empirical_ntk: parameters", parameters)
    seed = options.get("seed")
    xp = seed.xp if isinstance(seed, Stream) else backend(options.get("device", "numpy"))
    inputs = representable("empirical_ntk: inputs", sequences("empirical_ntk: inputs", inputs, xp), xp)
    width, n_y, trials = sizes_of("empirical_ntk", width, n_y, trials)
    if options.get("weights"):
        options["weights"] = weights_of(options["weights"], xp)
    horizon, some = int(inputs.shape[1]), n_y if rows is None else min(whole("empirical_ntk: rows", rows, 1), n_y)
    several = some * (horizon if readout == "all" else 1)
    network = run_forward(program, inputs, width, n_y=n_y, trials=trials, cotangents=several, **options)
    if not options.get("weights"):
        warn_narrow(program, {name: options[name] for name in program.symbols}, width, horizon)
    with quietly():
        back = Reverse(network, _seeds(network, readout, some))
    scales = scales_of(program, parameterization)
    known = [p.name for p in trained(program)]
    if names is not None and (not names or set(names) - set(known)):
        hint = "Parts are of trained parameters."
        raise ParameterError("empirical_ntk: parameters", f"among {', '.join(known)}", parameters, hint)
    number, readouts = network.run.number, readouts_of(program)
    chosen = [p for p in trained(program) if names is None or p.name in names]
    with quietly():
        raw = {p: _kernel(back, p, readout, some) for p in {*chosen, *readouts} if p.trainable}
        parts = {p.name: number(scales[p.name]) * raw[p] for p in chosen}
    _check_steps(f"empirical_ntk of {program.name}", parts.values(), readout, horizon)
    given = sum(number(p.variance) * raw[p] for p in readouts) if all(p in raw for p in readouts) else None
    return EmpiricalKernels(parts, network.outputs, given)


def _check_steps(where: str, parts: Iterable[Array], readout: str, horizon: int) -> None:
    """Refuse parts that overflow.  Errors: TooLarge, with the first step whose output has such a kernel."""
    if readout != "all":
        check_finite(where, parts, f" at step {horizon - 1}")
    for step in range(horizon if readout == "all" else 0):
        check_finite(where, (part[:, :, step, ...] for part in parts), f" from step {step} on")


def scales_of(program: Program, parameterization: str) -> dict[str, sp.Expr]:
    """Return the squared length of the step in M for a unit step in what is trained: 1, or the variance of M.

    Units: none, or those of the variance.  Error: ParameterError for an unknown parameterization.
    Source: derive.calculus.tangent.
    """
    moved = tangent(program, parameterization)
    return {d.name.removeprefix(MARK): d.variance for d in moved.parameters if d.name.startswith(MARK)}


def readouts_of(program: Program) -> list[Parameter]:
    """Return the readouts and the biases of the output.

    Source: definition.
    """
    used = {getattr(x, "matrix", getattr(x, "parameter", None)) for c in program.output.free_symbols
            if (x := program.table.get(c)) is not None}  # fmt: skip
    return [p for p in program.parameters if p in used]


def _seeds(network: Network, readout: str, rows: int) -> Array:
    """One cotangent for each output and, where all are read, each time.  Shapes: -> (K, N, T, n_y)."""
    run, horizon = network.run, len(network.steps)
    xp, count = run.xp, run.shape[1]
    units = xp.eye(rows, run.matrices.n_y)  # (R, n_y)
    if readout == "all":
        seeds = xp.eye(horizon)[:, None, :, None] * units[None, :, None, :]  # (T, R, T, n_y)
    else:
        weight = xp.ones(horizon) / horizon if readout == "average" else xp.eye(horizon)[-1, :]
        seeds = (weight[:, None] * units[:, None, :])[None, ...]
    seeds = xp.reshape(seeds, (-1, 1, horizon, run.matrices.n_y))
    return xp.broadcast_to(seeds, (seeds.shape[0], count, horizon, run.matrices.n_y))


def _kernel(back: Reverse, parameter: Parameter, readout: str, rows: int) -> Array:
    """The part of one parameter.  Shapes: as `EmpiricalKernels`."""
    run = back.network.run
    xp, (trials, count, _) = run.xp, run.shape
    several = int(back.seeds.shape[0])
    parts = back.parts(parameter.name)
    total = xp.zeros((trials, several, count, several, count))
    groups = [parts] if parameter.tied else [[p for p in parts if p[2] == s] for s in {time for *_, time in parts}]
    for group in groups:
        total = total + _products(xp, group, trials)
    times = several // rows
    total = xp.reshape(total, (trials, times, rows, count, times, rows, count))
    total = xp.permute_dims(total, (0, 3, 1, 2, 6, 4, 5))
    return total if readout == "all" else total[:, :, 0, :, :, 0, :]


def _products(xp: Any, parts: list[tuple[Array, Array | None, int]], trials: int) -> Array:
    """Sum over all pairs of uses: <cotangent, cotangent'> <vector, vector'>.  Shapes: -> (B, K, N, K, N)."""
    first = parts[0][0]
    several, count, uses = int(first.shape[1]), int(first.shape[2]), len(parts)
    full = [xp.broadcast_to(c, (trials, *c.shape[1:])) for c, _, _ in parts]
    left = xp.reshape(xp.stack(full, axis=3), (trials, several * count * uses, -1))
    grams = xp.reshape(xp.matmul(left, left.mT), (trials, several, count, uses, several, count, uses))
    if parts[0][1] is not None:
        vectors = xp.stack([v for _, v, _ in parts], axis=2)  # (B, N, S, k)
        flat = xp.reshape(vectors, (vectors.shape[0], count * uses, -1))
        right = xp.reshape(xp.matmul(flat, flat.mT), (-1, 1, count, uses, 1, count, uses))
        grams = grams * right
    return xp.sum(grams, axis=(3, 6))
