"""Gradients of any recursion at finite width, by the adjoint that `derive` emits.

A network runs forward once, keeping what each step computed, and back once for all cotangents together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import sympy as sp

from wideproof.derive import Program, Recursion
from wideproof.derive.calculus.recursion_rules import OUTPUT
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.errors import ShapeError
from wideproof.derive.language.notation import t
from wideproof.derive.language.program import Bias, Coordinate, MatVec, Parameter, State
from wideproof.derive.limits.adjoint import Cotangent, Gradient, Local, Outer, Pullback, adjoint
from wideproof.derive.proof.claims import Recurrence
from wideproof.numeric.core.arrays import Array, Stream, backend, check_finite, quietly, seed_sequence, stream
from wideproof.numeric.core.inputs import finite_array, sequences
from wideproof.numeric.networks.simulation import ForwardPass, sizes_of, symbol_values, weights_of
from wideproof.numeric.sampling.revealed_matrices import DENSE, RevealedMatrices, choose_matrices
from wideproof.numeric.sampling.whole_matrices import WholeMatrices


class KeptMatrices(WholeMatrices):
    """Whole matrices, the untied draws of all steps kept: the pass back in time meets them again."""

    def start(self, time: int) -> None:
        """Go to a step."""
        self.time = time


class KeptRevealed(RevealedMatrices):
    """Revealed matrices, the untied draws of all steps kept."""

    def start(self, time: int) -> None:
        """Go to a step."""
        self.time = time


@dataclass(frozen=True)
class Snapshot:
    """What a step knew: its input, the states before it, and the value of every coordinate it met."""

    x: Array
    past: dict[State, Array]
    known: dict[Coordinate, Array]


@dataclass(frozen=True, eq=False)
class Network:
    """Random networks after a run forward, with the adjoint of their recursion.

    Shapes: outputs (B, N, T, n_y).  Units: of the recursion.  Error: rounding.  Source: `run_forward`.
    """

    run: ForwardPass
    outputs: Array
    steps: tuple[Snapshot, ...]
    equations: Mapping[sp.Expr, sp.Expr]

    def at(self, time: int) -> ForwardPass:
        """Return the run as it was at a step."""
        step = self.steps[time]
        self.run.matrices.start(time)
        return replace(self.run, x=step.x, past=step.past, known=step.known)


def run_forward(
    recursion: Recursion | Program,
    inputs: Array,
    width: int,
    *,
    n_y: int = 1,
    trials: int = 1,
    seed: int | Stream = 0,
    method: str = "auto",
    weights: Mapping[str, Array] | None = None,
    cotangents: int = 1,
    device: str = "numpy",
    **parameters: float,
) -> Network:
    """Run random networks, or one with given weights, and keep what reverse mode needs.

    Shapes: inputs (N, T, n_x); weights as `simulate` takes them; `cotangents` counts those to come, for the choice
    of the sampler.  Units: parameters are the symbols of the definition.  Error: as `simulate`.
    Source: the recursion and wideproof.adjoint.
    """
    program = as_program(recursion)
    source = seed if isinstance(seed, Stream) else stream(backend(device), seed_sequence(seed))
    x = sequences("inputs", inputs, source.xp)
    width, n_y, trials = sizes_of("networks", width, n_y, trials)
    values = symbol_values(program, parameters)
    count, horizon, n_x = (int(size) for size in x.shape)
    choice = choose_matrices(program, width, count * (1 + cotangents), horizon, method, given=bool(weights))
    sizes = {"trials": trials, "width": width, "n_x": n_x, "n_y": n_y}
    kind = KeptMatrices if choice.name == DENSE else KeptRevealed
    drawn = kind(source, sizes, lambda expr: float(sp.sympify(expr, strict=True).subs(values)), dict(weights or {}))
    run = ForwardPass(program, values, drawn, source, (trials, count, width))
    outputs, steps = [], []
    run.begin()
    start = dict(run.past)
    run.read_backwards(x)
    backward = {state: c for state, c in program.updated.items() if state.backward}
    for time in range(horizon):
        after = run.later.get(time + 1, {})
        before = run.past | {state: after.get(c, start[state]) for state, c in backward.items()}
        outputs.append(run.step(time, x[:, time, :]))
        steps.append(Snapshot(run.x, before, run.known))
    return Network(run, source.xp.stack(outputs, axis=2), tuple(steps), _equations(program))


@lru_cache(maxsize=64)
def _equations(program: Program) -> Mapping[sp.Expr, sp.Expr]:
    """The equations of the adjoint by what they determine."""
    goal = adjoint(program).proof.goal
    assert isinstance(goal, Recurrence)
    return {e.left: e.right for e in goal.equations}


@dataclass
class Reverse:
    """One pass back in time for K cotangents of the outputs at once: the derived adjoint, read term by term.

    Shapes: seeds (K, N, T, n_y), dJ/dy; every cotangent (B, K, N, n).
    """

    network: Network
    seeds: Array
    memo: dict[Any, Array] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the cotangents of the states against their direction, so that no step waits for many others."""
        states = self.network.run.program.updated
        for backward in (False, True):
            times = range(self.horizon) if backward else range(self.horizon - 1, -1, -1)
            own = [c for state, c in states.items() if state.backward == backward]
            for time in times:
                for c in own:
                    if Cotangent(c, t) in self.network.equations:
                        self.cotangent(c, time)

    @property
    def horizon(self) -> int:
        """The number of steps."""
        return len(self.network.steps)

    def cotangent(self, c: sp.Expr, time: int) -> Array:
        """dJ/dc at a time; 0.0 where it vanishes for all."""
        if not 0 <= time < self.horizon:
            return 0.0
        if c == OUTPUT:
            return self.seeds[None, :, :, time, :]
        right = self.network.equations[Cotangent(c, t)]
        if (right, time) not in self.memo:
            self.memo[right, time] = self._value(right, time)
        return self.memo[right, time]

    def _value(self, expr: sp.Expr, time: int) -> Array:
        match expr:
            case sp.Add() | sp.Mul():
                parts = [self._value(a, time) for a in expr.args]
                if expr.is_Mul and any(isinstance(part, float) and part == 0.0 for part in parts):
                    return 0.0
                total = parts[0]
                for part in parts[1:]:
                    total = total + part if expr.is_Add else total * part
                return total
            case Cotangent():
                return self.cotangent(expr.args[0], time + self._shift(expr))
            case Pullback():
                return self._pullback(expr.args[0], time + self._shift(expr))
            case Local():
                at = time + self._shift(expr)
                if not 0 <= at < self.horizon:
                    return 0.0
                value = self.network.at(at).value(expr.args[0])
                return value[:, None, ...] if hasattr(value, "shape") else value
        return self.network.run.number(expr)

    def _shift(self, expr: sp.Expr) -> int:
        return int(expr.args[1] - t)

    def _pullback(self, c: sp.Expr, time: int) -> Array:
        if not 0 <= time < self.horizon:
            return 0.0
        if (c, time) not in self.memo:
            self.memo[c, time] = self._transposed(c, time)
        return self.memo[c, time]

    def _transposed(self, c: sp.Expr, time: int) -> Array:
        """n^{-1/2} M^T dJ/d(product)."""
        cotangent = self.cotangent(c, time)
        if isinstance(cotangent, float):
            return cotangent
        run = self.network.at(time)
        xp, matrices = run.xp, run.matrices
        term = run.program.table[c]
        assert isinstance(term, MatVec)
        trials, count, width = run.shape
        several = int(cotangent.shape[1])
        wide = xp.broadcast_to(cotangent, (trials, *cotangent.shape[1:]))
        flat = xp.reshape(wide, (trials, several * count, int(cotangent.shape[-1])))
        if term.matrix.role == "readout":
            C = matrices.array(term.matrix, (matrices.n_y, width))
            found = xp.matmul(flat, C) / math.sqrt(width)
        else:
            found = matrices.multiply_transposed(term.matrix, flat)
        return xp.reshape(found, (trials, several, count, width))

    def parts(self, name: str) -> list[tuple[Array, Array | None, int]]:
        """(cotangent, vector, time) of every use of a parameter; the vector of a bias is None.

        Shapes: (B, K, N, m), vectors (B, N, k) or (1, N, k) with the scale n^{-1/2} in them.
        """
        found = []
        right = self.network.equations[Gradient(sp.Symbol(name), t)]
        for time in range(self.horizon):
            for use in sp.Add.make_args(right):
                c = use.args[0]
                cotangent = self.cotangent(c, time)
                if not isinstance(cotangent, float):
                    found.append((cotangent, self._vector(c, time) if isinstance(use, Outer) else None, time))
        return found

    def _vector(self, c: Coordinate, time: int) -> Array:
        run = self.network.at(time)
        term = run.program.table[c]
        assert isinstance(term, MatVec)
        if term.matrix.role == "input_map":
            return run.x[None, ...]
        return run.wide(term.vector) / math.sqrt(run.shape[2])


def gradients(
    recursion: Recursion | Program, inputs: Array, cotangents: Array, width: int, **options: Any
) -> dict[str, Array]:
    """Return dJ/dM for every trainable parameter M, for a cost J with dJ/dy = cotangents.

    Shapes: inputs (N, T, n_x), cotangents (N, T, n_y) -> (B, *shape of M), or (B, T, *shape) where M is not tied.
    Units: of J over those of M.  Error: rounding.  Options: those of `run_forward`.  Source: wideproof.adjoint.

    >>> X, values = np.ones((1, 2, 1)), {"nu_W": 0.5, "nu_F": 1.0, "nu_C": 1.0}
    >>> found = wp.gradients(wp.models.linear_rnn(), X, np.ones((1, 2, 1)), 8, **values)
    >>> {name: gradient.shape for name, gradient in found.items()}
    {'W': (1, 8, 8), 'F': (1, 8, 1), 'C': (1, 1, 8)}
    """
    costs = finite_array("gradients: cotangents", cotangents, 3, backend(options.get("device", "numpy")))
    if options.get("weights"):
        options["weights"] = weights_of(options["weights"], backend(options.get("device", "numpy")))
    network = run_forward(recursion, inputs, width, n_y=int(costs.shape[-1]), **options)
    if (expected := network.outputs.shape[1:]) != costs.shape:
        raise ShapeError("gradients: cotangents", f"one for each output, {expected}", costs.shape, "They are dJ/dy.")
    return network_gradients(network, costs)


def network_gradients(network: Network, cotangents: Array) -> dict[str, Array]:
    """Return the gradients of networks that have run.

    Shapes: cotangents (N, T, n_y) -> as `gradients`.  Units, error: as there.
    Source: wideproof.adjoint.
    """
    run = network.run
    with quietly():
        back = Reverse(network, run.xp.asarray(cotangents)[None, ...])
        found = {p.name: _gradient(back, p) for p in trained(run.program)}
    for name, gradient in found.items():
        check_finite(f"gradients of {run.program.name}", [gradient], f" in that of {name}")
    return found


def trained(program: Program) -> list[Parameter]:
    """Return the trainable parameters that the program uses.

    Source: definition.
    """
    used = {getattr(x, "matrix", getattr(x, "parameter", None)) for _, x in program.terms}
    return [p for p in program.parameters if p.trainable and p in used]


def _gradient(back: Reverse, parameter: Parameter) -> Array:
    run = back.network.run
    xp = run.xp
    shape = shape_of(run, parameter)
    steps: list[Array] = [xp.zeros((run.shape[0], *shape)) for _ in range(1 if parameter.tied else back.horizon)]
    for cotangent, vector, time in back.parts(parameter.name):
        one = xp.broadcast_to(cotangent[:, 0, ...], (run.shape[0], *cotangent.shape[2:]))
        found = xp.sum(one, axis=1) if vector is None else xp.matmul(one.mT, vector)
        index = 0 if parameter.tied else time
        steps[index] = steps[index] + found
    return steps[0] if parameter.tied else xp.stack(steps, axis=1)


def shape_of(run: ForwardPass, parameter: Parameter) -> tuple[int, ...]:
    """Return the shape of one draw of a parameter.

    Source: `simulate`.
    """
    matrices, n = run.matrices, run.shape[2]
    read_out = any(run.program.table[c] == Bias(parameter) for c in run.program.output.free_symbols)
    bias = matrices.n_y if read_out else n
    return {"matrix": (n, n), "input_map": (n, matrices.n_x), "readout": (matrices.n_y, n)}.get(parameter.role, (bias,))
