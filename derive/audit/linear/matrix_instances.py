"""Small random instances that matrix claims are audited on: a descent that is run, a recursion that is run."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import mpmath as mp
import sympy as sp

from wideproof.derive.audit.world import World
from wideproof.derive.language.program import Bias, Coordinate, Input, MatVec, Parameter, coordinates_of
from wideproof.derive.linear.convolution import Rho

WORK, WIDTH = 50, 4


def scalar(value: Any) -> Any:
    """An exact value as a number of many digits."""
    return mp.mpf(sp.N(value, WORK)._to_mpmath(170)) if isinstance(value, sp.Basic) else value


class Data:
    """A data operator, targets and parameters at one horizon: gradient descent is run, not solved."""

    def __init__(self, world: World, sizes: tuple[int, int, int]) -> None:
        self.world, (self.horizon, self.n_x, self.n_y) = world, sizes
        x = self.draw(self.horizon, self.n_x)
        rows = [
            [x[t - lag, c] if t >= lag else 0 for lag in range(self.horizon) for c in range(self.n_x)]
            for t in range(self.horizon)
        ]
        operator = mp.matrix(rows)
        self.operator = operator / (norm(operator) * mp.sqrt(self.weight))
        self.done: dict[Any, Any] = {}
        self.targets, self.start = self.draw(self.horizon, self.n_y), self.draw(self.horizon * self.n_x, self.n_y)

    def draw(self, rows: int, columns: int) -> Any:
        """A random rational matrix."""
        pick = self.world.random.randint
        return mp.matrix([[mp.mpf(pick(-9, 9) or 1) / pick(1, 7) for _ in range(columns)] for _ in range(rows)])

    @property
    def tangent(self) -> bool:
        """Whether the program of this world has scale factors."""
        return self.world.program.base is not None

    @cached_property
    def rho(self) -> list[Any]:
        """The scale factors in this world, by pairings."""
        return [scalar(self.world.number(Rho(sp.Integer(i)), {})) for i in range(self.horizon)]

    @property
    def weight(self) -> Any:
        """A scale that makes random step sizes stable about half of the time."""
        return sum(self.rho) if self.tangent else mp.mpf(1)

    @cached_property
    def gains(self) -> Any:
        """D."""
        return mp.diag([mp.sqrt(r) for r in self.rho for _ in range(self.n_x)])

    @cached_property
    def scaled(self) -> Any:
        """The operator on parameters."""
        return self.operator * self.gains

    def loss(self, theta: Any, targets: Any) -> Any:
        """Half the sum of squares, of all outputs or of some columns."""
        error = targets - self.scaled * theta
        return sum(v * v for v in error) / 2

    def descend(self, eta: Any, steps: int, targets: Any = None) -> Any:
        """theta after some steps; central differences of a quadratic are its exact slope."""
        if steps == 0:
            return self.start
        key = (eta, steps, targets is None or tuple(targets))
        if key not in self.done:
            self.done[key] = self._step(
                self.descend(eta, steps - 1, targets), eta, self.targets if targets is None else targets
            )
        return self.done[key]

    def _step(self, theta: Any, eta: Any, targets: Any) -> Any:
        slope = mp.matrix(theta.rows, theta.cols)
        for b in range(theta.cols):  # the loss of the other columns does not change
            column, wanted = theta[:, b], targets[:, b]
            for a in range(theta.rows):
                up, down = column.copy(), column.copy()
                up[a, 0] += 1
                down[a, 0] -= 1
                slope[a, b] = (self.loss(up, wanted) - self.loss(down, wanted)) / 2
        return theta - eta * slope

    def residual(self, theta: Any, targets: Any = None) -> Any:
        """Targets minus predictions."""
        return (self.targets if targets is None else targets) - self.scaled * theta

    def contraction(self, eta: Any) -> Any:
        """The matrix that takes one residual to the next, column by column."""
        size = self.operator.rows
        matrix = mp.matrix(size, size)
        for i in range(size):
            unit = mp.matrix(size, self.n_y)
            unit[i, 0] = 1
            targets = unit + self.scaled * self.start
            after = self.residual(self.descend(eta, 1, targets), targets)
            for a in range(size):
                matrix[a, i] = after[a, 0]
        return matrix

    def block(self, lag: int) -> Any:
        """The columns of one lag."""
        return self.operator[:, lag * self.n_x : (lag + 1) * self.n_x]


class SmallNetwork:
    """The recursion with random matrices of width 4: it is run, not unrolled."""

    def __init__(self, world: World) -> None:
        self.world, self.program = world, world.program
        self.values: dict[Any, Any] = {}

    def matrix(self, parameter: Parameter) -> Any:
        """The declared matrix."""
        if parameter not in self.values:
            shape = {"matrix": (WIDTH, WIDTH), "input_map": (WIDTH, 2), "readout": (2, WIDTH)}[parameter.role]
            pick = self.world.random.randint
            self.values[parameter] = mp.matrix(
                [[mp.mpf(pick(-9, 9)) / pick(1, 7) for _ in range(shape[1])] for _ in range(shape[0])]
            )
        return self.values[parameter]

    def input(self, time: int) -> Any:
        """A random input; none before the start."""
        if time not in self.values:
            pick = self.world.random.randint
            self.values[time] = mp.matrix([[mp.mpf(pick(-9, 9)) if time >= 0 else mp.mpf(0)] for _ in range(2)])
        return self.values[time]

    def run(self, time: int, impulse: int | None = None) -> tuple[Any, Any]:
        """State and output at a time, for the random input or for a unit impulse in one channel at time 0."""
        state, output = mp.matrix(WIDTH, 1), None
        ((_, body),) = self.program.updates
        for step in range(time + 1):
            x = (
                self.input(step)
                if impulse is None
                else mp.matrix([[mp.mpf(step == 0 and c == impulse)] for c in range(2)])
            )
            state = self._apply(body, state, x)
            output = self._apply(self.program.output, state, x)
        return state, output

    def _apply(self, expr: sp.Expr, state: Any, x: Any) -> Any:
        total: Any = None
        for c in coordinates_of(expr):
            value = scalar(self.world.number(sp.diff(expr, c), {})) * self._term(c, state, x)
            total = value if total is None else total + value
        return total

    def _term(self, c: Coordinate, state: Any, x: Any) -> Any:
        term = self.program.table[c]
        if isinstance(term, MatVec):
            scale = 1 if term.matrix.role == "input_map" else 1 / mp.sqrt(WIDTH)
            return scale * self.matrix(term.matrix) * self._term(term.vector, state, x)
        if isinstance(term, Bias):
            return mp.matrix(WIDTH, 1)  # the matrices of a step are those of the difference of two runs
        return x if isinstance(term, Input) else state

    def transition(self) -> Any:
        """The matrix of one step without input, column by column."""
        ((_, body),) = self.program.updates
        zero = mp.matrix(2, 1)
        columns = []
        for i in range(WIDTH):
            unit = mp.matrix(WIDTH, 1)
            unit[i] = 1
            columns.append(self._apply(body, unit, zero))
        return mp.matrix([[columns[b][a] for b in range(WIDTH)] for a in range(WIDTH)])

    def map(self, name: str) -> Any:
        """The input map ("B") or the scaled-up readout ("R"), from single steps."""
        ((_, body),) = self.program.updates
        if name == "B":
            columns = [
                self._apply(body, mp.matrix(WIDTH, 1), mp.matrix([[mp.mpf(i == c)] for i in range(2)]))
                for c in range(2)
            ]
        else:
            units = [mp.matrix([[mp.mpf(i == c)] for i in range(WIDTH)]) for c in range(WIDTH)]
            columns = [mp.sqrt(WIDTH) * self._apply(self.program.output, unit, None) for unit in units]
        return mp.matrix([[columns[b][a] for b in range(len(columns))] for a in range(columns[0].rows)])


def norm(matrix: Any) -> Any:
    """The largest singular value."""
    gram = matrix.T * matrix if matrix.rows >= matrix.cols else matrix * matrix.T
    return mp.sqrt(max(mp.eigsy(gram, eigvals_only=True)))


def length(matrix: Any) -> Any:
    """The Frobenius norm."""
    return mp.sqrt(sum(v * v for v in matrix))
