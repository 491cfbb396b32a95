"""Any recursion of the language at finite width, run from its terms.

The interpreter walks the update expressions; what a matrix does to a vector is left to a sampler: `dense` draws
whole matrices, `matrix-free` reveals each one only along the vectors it meets, at O(n k²) and in the same law.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import sympy as sp

from wideproof.derive import Program, Recursion
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.activations import Phi
from wideproof.derive.language.errors import LanguageError
from wideproof.derive.language.program import Bias, Coordinate, Input, MatVec, Parameter, Previous, State, Updated
from wideproof.derive.language.scalars import check_keywords
from wideproof.numeric.core.activations import activation_function
from wideproof.numeric.core.arrays import (
    Array,
    Namespace,
    Stream,
    backend,
    check_finite,
    quietly,
    seed_sequence,
    stream,
)
from wideproof.numeric.core.inputs import finite_array, instance, real, sequences, whole
from wideproof.numeric.core.shown import InOneLine
from wideproof.numeric.networks.narrow_width import warn_narrow
from wideproof.numeric.sampling.linear.setting import LARGEST_WIDTH
from wideproof.numeric.sampling.revealed_matrices import DENSE, RevealedMatrices, choose_matrices
from wideproof.numeric.sampling.whole_matrices import WholeMatrices


@dataclass(frozen=True, eq=False, repr=False)
class Simulation(InOneLine):
    """Independent trials of a recursion at finite width, each on the same N input sequences.

    Shapes: outputs (B, N, T, n_y); states by name (B, N, T, n), empty unless asked for.
    Units: those of the recursion.  Error: rounding; exact in law at every n >= 1.  Source: `simulate`.
    """

    outputs: Array
    states: dict[str, Array]
    method: str
    reason: str


def simulate(
    recursion: Recursion | Program,
    inputs: Array,
    width: int,
    *,
    n_y: int = 1,
    trials: int = 1,
    seed: int | Stream = 0,
    method: str = "auto",
    states: bool = False,
    weights: Mapping[str, Array] | None = None,
    device: str = "numpy",
    **parameters: float,
) -> Simulation:
    """Run a recursion with random parameters, or with given ones, on a batch of input sequences.

    Shapes: inputs (N, T, n_x); weights by parameter name: a matrix (n, n), an input map (n, n_x), a readout
    (n_y, n), a bias (n,) or (n_y,), with a leading axis T where the parameter is not tied.
    Units: parameters are the symbols of the definition, such as nu_W=0.3: variances of entries.
    Error: ParameterError for a missing, unknown or negative one; ShapeError for inputs of another shape.
    Source: emami2021implicit, (1) and (68), by the terms of the program.
    """
    program = as_program(recursion)
    source = seed if isinstance(seed, Stream) else stream(backend(device), seed_sequence(seed))
    inputs = sequences("simulate: inputs", inputs, source.xp)
    width, n_y, trials = sizes_of("simulate", width, n_y, trials)
    values = symbol_values(program, parameters)
    count, horizon, n_x = inputs.shape
    if not weights:
        warn_narrow(program, parameters, width, int(horizon))
    choice = choose_matrices(program, width, count, horizon, method, given=bool(weights))
    sizes = {"trials": trials, "width": width, "n_x": int(n_x), "n_y": n_y}
    kind = WholeMatrices if choice.name == DENSE else RevealedMatrices
    drawn = kind(source, sizes, lambda expr: _number(expr, values), weights_of(weights, source.xp))
    run = ForwardPass(program, values, drawn, source, (trials, int(count), width))
    outputs, kept = run.all_steps(inputs, states)
    return Simulation(outputs, kept, choice.name, choice.reason)


def weights_of(weights: Mapping[str, Array] | None, xp: Namespace) -> dict[str, Array]:
    """Return given weights as arrays; complex ones, as complex-step derivatives take, are left as they are.

    Error: ParameterError naming the parameter whose weights are no finite numbers.
    """
    found = {}
    for name, value in instance("weights", weights or {}, Mapping, "Arrays by the name of a parameter.").items():
        kept = getattr(getattr(value, "dtype", None), "kind", "") == "c" and not isinstance(value, np.ma.MaskedArray)
        found[name] = xp.asarray(value) if kept else finite_array(f"weights of {name}", value, None, xp)
    return found


def sizes_of(where: str, width: int, n_y: int, trials: int) -> tuple[int, int, int]:
    """Return the sizes of random networks, checked.  Error: ParameterError naming the one that is no count."""
    width, n_y, trials = (
        whole(f"{where}: {name}", size, 1, LARGEST_WIDTH, "Sizes count entries.")
        for name, size in (("width", width), ("n_y", n_y), ("trials", trials))
    )
    return width, n_y, trials


OPTIONS = (
    "readout",
    "parameterization",
    "backend",
    "memory",
    "points",
    "seed",
    "progress",
    "trials",
    "device",
    "steps",
)
"""Arguments, of those who take the symbols beside them, that a misspelt name may have been."""


def symbol_values(program: Program, parameters: Mapping[str, float]) -> dict[sp.Symbol, float]:
    """Return the value of every free symbol of a program, checked.

    Units: of each symbol.  Error: ParameterError naming the missing, unknown or bad one.
    Source: definition.
    """
    check_keywords(program.name, parameters, program.symbols, options=OPTIONS)
    values = {}
    for name, symbol in program.symbols.items():
        least = 0.0 if symbol.is_nonnegative else -math.inf
        values[symbol] = real(name, parameters[name], least, hint="One number for each symbol.")
    return values


def _number(expr: sp.Expr, values: Mapping[sp.Symbol, float]) -> float:
    return float(sp.sympify(expr, strict=True).subs(dict(values)))


@dataclass
class ForwardPass:
    """One pass over time: the states, and per step the value of every coordinate met.  Shapes: values (B, N, n)."""

    program: Program
    values: dict[sp.Symbol, float]
    matrices: WholeMatrices
    source: Stream
    shape: tuple[int, int, int]
    past: dict[State, Array] = field(default_factory=dict)
    known: dict[Coordinate, Array] = field(default_factory=dict)
    later: dict[int, dict[Coordinate, Array]] = field(default_factory=dict)
    x: Array = None

    @property
    def xp(self) -> Namespace:
        """The namespace of its arrays."""
        return self.source.xp

    def all_steps(self, inputs: Array, keep: bool) -> tuple[Array, dict[str, Array]]:
        """The outputs of every step, and where asked the states.  Shapes: inputs (N, T, n_x); as `Simulation`."""
        outputs, history = [], {state.name: [] for state in self.program.states if keep}  # type: ignore[var-annotated]
        self.begin()
        self.read_backwards(inputs)
        for time in range(inputs.shape[1]):
            outputs.append(self.step(time, inputs[:, time, :]))
            for state in self.past if keep else ():
                history[state.name].append(self.past[state])
        kept = {name: self.xp.stack(values, axis=2) for name, values in history.items()}
        return self.xp.stack(outputs, axis=2), kept

    def begin(self) -> None:
        """Set the states to their initial values."""
        self.past = {state: self._initial(state) for state in self.program.states}

    def read_backwards(self, inputs: Array) -> None:
        """Compute the backward states from the end of the sequences, for the steps that follow."""
        backward = {state: c for state, c in self.program.updated.items() if state.backward}
        for time in range(inputs.shape[1] - 1, -1, -1) if backward else ():
            self.x, self.known = inputs[:, time, :], {}
            self.matrices.start(time)
            self.past |= {state: self.value(c) for state, c in backward.items()}
            self.later[time] = {c: self.past[state] for state, c in backward.items()}

    def number(self, expr: sp.Expr) -> float:
        """The value of an expression in symbols alone."""
        return _number(expr, self.values)

    def step(self, time: int, x: Array) -> Array:
        """Make the step `time` and return the output.  Shapes: x (N, n_x) -> (B, N, n_y)."""
        self.x, self.known = x, dict(self.later.get(time, {}))
        self.matrices.start(time)
        with quietly():
            output = self.value(self.program.output)
            self.past = {state: self.value(c) for state, c in self.program.updated.items()}
        check_finite(f"networks of {self.program.name}", [output, *self.past.values()], f" at step {time}")
        return output

    def _initial(self, state: State) -> Array:
        deviation = math.sqrt(_number(state.initial, self.values))
        trials, count, width = self.shape
        if deviation == 0:
            return self.xp.zeros(self.shape)
        drawn = self.source.normal(trials, 1 if state.shared else count, width)
        return deviation * self.xp.broadcast_to(drawn, self.shape)

    def value(self, expr: sp.Expr) -> Array:
        """The value of an expression in coordinates at this step.  Shapes: (B, N, n), or a float."""
        match expr:
            case Coordinate():
                if expr not in self.known:
                    self.known[expr] = self._term(expr)
                return self.known[expr]
            case Phi():
                name, order, argument = expr.args
                return activation_function(str(name), int(order))(self.wide(argument))
            case sp.Add() | sp.Mul():
                total = self.value(expr.args[0])
                for argument in expr.args[1:]:
                    value = self.value(argument)
                    total = total + value if expr.is_Add else total * value
                return total
            case sp.Pow() if expr.has(Coordinate) and not expr.exp.has(Coordinate):
                return self.value(expr.base) ** _number(expr.exp, self.values)
        if expr.has(Coordinate):
            hint = "Write it with sums, products, powers and the activations of the language."
            raise LanguageError(f"simulate {self.program.name}", "an expression with a value", expr, hint)
        return _number(expr, self.values)

    def wide(self, expr: sp.Expr) -> Array:
        """As `_value`, with a number spread over all entries."""
        value = self.value(expr)
        return value if hasattr(value, "shape") else value * self.xp.ones(self.shape)

    def _term(self, c: Coordinate) -> Array:
        match self.program.table[c]:
            case Previous(state):
                return self.past[state]
            case Updated():
                return self.wide(self.program.bodies[c])
            case MatVec(matrix, vector):
                return self._product(matrix, vector)
            case Bias(parameter):
                return self.matrices.bias(parameter, c in self.program.output.free_symbols)
            case term:
                raise LanguageError(f"simulate {self.program.name}", "x behind an input map", term, "Write F @ x.")

    def _product(self, matrix: Parameter, vector: sp.Expr) -> Array:
        if matrix.role == "input_map":
            assert isinstance(self.program.table[vector], Input)
            return self.matrices.drive(matrix, self.x)
        if matrix.role == "readout":
            return self.matrices.read(matrix, self.wide(vector))
        return self.matrices.multiply(matrix, self.wide(vector))
