"""The independent audit of matrix claims, in small random matrices: descents and recursions are run, not solved."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import mpmath as mp
import sympy as sp

from .algebra import Length, Letter, MatrixSum, Norm
from .audit import check
from .claims import MatrixEquation
from .convolution import Rho
from .descent import LagTaps, Residual, RootMeanSquare, Taps, Theta
from .errors import ProofError
from .lags import Entry
from .language import Coordinate, Input, MatVec, Parameter, coordinates_of
from .meanings import MEANINGS
from .moments import Moment
from .notation import n, p
from .realization import (
    CausalSum,
    ImpulseAt,
    InputAt,
    Lagrange,
    Node,
    OutputAt,
    StateAt,
    Target,
)
from .stability import EntryVariance, SpectralRadius
from .world import World

WORK, SHOWN = 50, 40
HORIZON, WIDTH = 3, 4
DEFAULTS = {"eta": sp.Rational(2, 7), "j": sp.S.Zero}
At = Mapping[sp.Symbol, Any]


def _scalar(value: Any) -> Any:
    return mp.mpf(sp.N(value, WORK)._to_mpmath(170)) if isinstance(value, sp.Basic) else value


class Data:
    """A data operator, targets and parameters at one horizon: gradient descent is run, not solved."""

    def __init__(self, world: World, sizes: tuple[int, int, int]) -> None:
        self.world, (self.horizon, self.n_x, self.n_y) = world, sizes
        x = self.draw(self.horizon, self.n_x)
        rows = [[x[t - lag, c] if t >= lag else 0 for lag in range(self.horizon) for c in range(self.n_x)]
                for t in range(self.horizon)]
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
        return [_scalar(self.world.number(Rho(sp.Integer(i)), {})) for i in range(self.horizon)]

    @property
    def weight(self) -> Any:
        """A scale that makes random step sizes stable about half of the time."""
        return sum(self.rho) if self.tangent else mp.mpf(1)

    @cached_property
    def gains(self) -> Any:
        """D."""
        return mp.diag([mp.sqrt(r) for r in self.rho for _ in range(self.n_x)])

    def loss(self, theta: Any, targets: Any) -> Any:
        """Half the sum of squares."""
        error = targets - self.operator * self.gains * theta
        return sum(v * v for v in error) / 2

    def descend(self, eta: Any, steps: int, targets: Any = None) -> Any:
        """theta after some steps; central differences of a quadratic are its exact slope."""
        if steps == 0:
            return self.start
        key = (eta, steps, targets is None or tuple(targets))
        if key not in self.done:
            self.done[key] = self._step(self.descend(eta, steps - 1, targets), eta,
                                        self.targets if targets is None else targets)
        return self.done[key]

    def _step(self, theta: Any, eta: Any, targets: Any) -> Any:
        slope = mp.matrix(theta.rows, theta.cols)
        for a in range(theta.rows):
            for b in range(theta.cols):
                up, down = theta.copy(), theta.copy()
                up[a, b] += 1
                down[a, b] -= 1
                slope[a, b] = (self.loss(up, targets) - self.loss(down, targets)) / 2
        return theta - eta * slope

    def residual(self, theta: Any, targets: Any = None) -> Any:
        """Targets minus predictions."""
        return (self.targets if targets is None else targets) - self.operator * self.gains * theta

    def contraction(self, eta: Any) -> Any:
        """The matrix that takes one residual to the next, column by column."""
        size = self.operator.rows
        matrix = mp.matrix(size, size)
        for i in range(size):
            unit = mp.matrix(size, self.n_y)
            unit[i, 0] = 1
            targets = unit + self.operator * self.gains * self.start
            after = self.residual(self.descend(eta, 1, targets), targets)
            for a in range(size):
                matrix[a, i] = after[a, 0]
        return matrix

    def block(self, lag: int) -> Any:
        """The columns of one lag."""
        return self.operator[:, lag * self.n_x:(lag + 1) * self.n_x]


class Network:
    """The recursion with random matrices of width 4: it is run, not unrolled."""

    def __init__(self, world: World) -> None:
        self.world, self.program = world, world.program
        self.values: dict[Any, Any] = {}

    def matrix(self, parameter: Parameter) -> Any:
        """The declared matrix."""
        if parameter not in self.values:
            shape = {"matrix": (WIDTH, WIDTH), "input_map": (WIDTH, 2), "readout": (2, WIDTH)}[parameter.role]
            pick = self.world.random.randint
            self.values[parameter] = mp.matrix([[mp.mpf(pick(-9, 9)) / pick(1, 7) for _ in range(shape[1])]
                                                for _ in range(shape[0])])
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
        (_, body), = self.program.updates
        for step in range(time + 1):
            x = self.input(step) if impulse is None else mp.matrix([[mp.mpf(step == 0 and c == impulse)]
                                                                    for c in range(2)])
            state = self._apply(body, state, x)
            output = self._apply(self.program.output, state, x)
        return state, output

    def _apply(self, expr: sp.Expr, state: Any, x: Any) -> Any:
        total: Any = None
        for c in coordinates_of(expr):
            value = _scalar(self.world.number(sp.diff(expr, c), {})) * self._term(c, state, x)
            total = value if total is None else total + value
        return total

    def _term(self, c: Coordinate, state: Any, x: Any) -> Any:
        term = self.program.table[c]
        if isinstance(term, MatVec):
            scale = 1 if term.matrix.role == "input_map" else 1 / mp.sqrt(WIDTH)
            return scale * self.matrix(term.matrix) * self._term(term.vector, state, x)
        return x if isinstance(term, Input) else state

    def transition(self) -> Any:
        """The matrix of one step without input, column by column."""
        (_, body), = self.program.updates
        zero = mp.matrix(2, 1)
        columns = []
        for i in range(WIDTH):
            unit = mp.matrix(WIDTH, 1)
            unit[i] = 1
            columns.append(self._apply(body, unit, zero))
        return mp.matrix([[columns[b][a] for b in range(WIDTH)] for a in range(WIDTH)])

    def map(self, name: str) -> Any:
        """The input map ("B") or the scaled-up readout ("R"), from single steps."""
        (_, body), = self.program.updates
        if name == "B":
            columns = [self._apply(body, mp.matrix(WIDTH, 1), mp.matrix([[mp.mpf(i == c)] for i in range(2)]))
                       for c in range(2)]
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


class Evaluator:
    """Values of expressions in letters, at one point of one world."""

    def __init__(self, world: World, at: At) -> None:
        self.world, self.at = world, at

    @property
    def data(self) -> Data:
        """Data of the horizon of this point; a single number each at T = 1, where bounds are attained."""
        sizes = {x.name: int(v) for x, v in self.at.items() if x.name in ("T", "n_x", "n_y")}
        horizon = sizes.get("T", HORIZON)
        least = 1 if horizon == 1 else 2
        shape = horizon, sizes.get("n_x", least), sizes.get("n_y", least)
        return self.world.memo.get(("data", shape)) or self._remember(("data", shape), Data(self.world, shape))

    @property
    def network(self) -> Network:
        """The network of this world."""
        return self.world.memo.get("network") or self._remember("network", Network(self.world))

    def _remember(self, key: Any, value: Any) -> Any:
        self.world.memo[key] = value
        return value

    def named(self, name: str) -> Any:
        """The value of a scalar symbol by its name."""
        return _scalar(sp.sympify(next((v for x, v in self.at.items() if x.name == name), DEFAULTS[name])))

    def value(self, expr: sp.Expr) -> Any:
        """A matrix, or a scalar; a scalar added to a matrix is a multiple of the identity."""
        if isinstance(expr, Letter):
            return self.letter(expr)
        if isinstance(expr, MatrixSum):
            matrix, count = self.value(expr.args[0]), self.world.integer(expr.args[1], self.at)
            return sum((matrix**i for i in range(count)), start=mp.zeros(matrix.rows, matrix.cols))
        if expr.func in FUNCTIONS:
            return FUNCTIONS[expr.func](self, [self.world.integer(a, self.at) for a in expr.args])
        if expr.is_commutative:
            return _scalar(self.world.number(expr, self.at))
        if expr.is_Add:
            return self._sum([self.value(a) for a in expr.args])
        if expr.is_Mul:
            result = mp.mpf(1)
            for factor in expr.args:
                result = result * self.value(factor)
            return result
        assert expr.is_Pow
        return self.value(expr.base) ** self.world.integer(expr.exp, self.at)

    def _sum(self, values: list[Any]) -> Any:
        size = next((v.rows for v in values if isinstance(v, mp.matrix)), None)
        total = None
        for v in values:
            v = v if isinstance(v, mp.matrix) or size is None else v * mp.eye(size)
            total = v if total is None else total + v
        return total

    def letter(self, letter: Letter) -> Any:
        """The value of a named matrix."""
        if letter.name.endswith("'"):
            return self.letter(letter.transposed).T
        name = letter.name
        if name in ("A", "B", "R"):
            return self.network.transition() if name == "A" else self.network.map(name)
        own = next((x for x in self.world.program.parameters if x.name == name), None)
        if own is not None:
            return self.network.matrix(own)
        return self._of_data(name)

    def _of_data(self, name: str) -> Any:
        data = self.data
        if name == "M":
            return data.contraction(self.named("eta"))
        if name in ("Toep_j", "E_j"):
            lag = int(self.named("j"))
            select = mp.eye(data.horizon * data.n_x)[:, lag * data.n_x:(lag + 1) * data.n_x]
            return data.block(lag) if name == "Toep_j" else select
        return {"Toep": lambda: data.operator, "D": lambda: data.gains, "Y": lambda: data.targets}[name]()


def _theta(e: Evaluator, at: list[int]) -> Any:
    return e.data.descend(e.named("eta") if at[-1] else 0, at[-1])


def _lag_taps(e: Evaluator, at: list[int]) -> Any:
    rows = e.data.n_x
    return (e.data.gains * _theta(e, at))[at[0] * rows:(at[0] + 1) * rows, :]


def _causal_sum(e: Evaluator, at: list[int]) -> Any:
    matrix, inputs = e.network.transition(), e.network.map("B")
    return sum((matrix**lag * inputs * e.network.input(at[0] - lag) for lag in range(at[0] + 1)),
               start=mp.zeros(WIDTH, 1))


def _impulse(e: Evaluator, at: list[int]) -> Any:
    columns = [e.network.run(at[0], impulse=c)[1] for c in range(2)]
    return mp.matrix([[columns[b][a] for b in range(2)] for a in range(2)])


FUNCTIONS: dict[type, Any] = {
    Theta: _theta, Taps: lambda e, at: e.data.gains * _theta(e, at), LagTaps: _lag_taps,
    Residual: lambda e, at: e.data.residual(_theta(e, at)),
    InputAt: lambda e, at: e.network.input(at[0]), StateAt: lambda e, at: e.network.run(at[0])[0],
    OutputAt: lambda e, at: e.network.run(at[0])[1], ImpulseAt: _impulse, CausalSum: _causal_sum,
}


@check.register
def _(claim: MatrixEquation, world: World) -> None:
    free = sorted((claim.left.free_symbols | claim.right.free_symbols) - set(world.parameters), key=str)
    for trial in range(3):
        at: dict[sp.Symbol, Any] = {}
        for x in (x for x in free if not isinstance(x, Letter)):
            least = int(x.is_positive or 0)
            at[x] = sp.Rational(trial + 1, 7) if not x.is_integer else \
                sp.Integer(WIDTH if x == n else least + trial % HORIZON)
        with_lag = {sp.Symbol("j", integer=True, nonnegative=True): sp.Integer(trial % HORIZON)}
        with mp.workdps(WORK):
            evaluator = Evaluator(world, {**with_lag, **at})
            gap = evaluator.value(claim.left) - evaluator.value(claim.right)
            size = length(gap) if isinstance(gap, mp.matrix) else abs(gap)
            if size > mp.mpf(10) ** (10 - SHOWN):
                raise ProofError("audit", "equal matrices", f"a difference of {mp.nstr(size, 5)}",
                                 f"At {at} {claim} is false.")


def _normed(measure: Any) -> Any:
    def meaning(world: World, expr: sp.Expr, at: Any) -> Any:
        with mp.workdps(WORK):
            return sp.Float(str(measure(Evaluator(world, at).value(expr.args[0]))), SHOWN)
    return meaning


def _root_mean_square(world: World, expr: sp.Expr, at: Any) -> Any:
    """The start is independent of the targets, and its entries of each other: squares add."""
    with mp.workdps(WORK):
        data = Evaluator(world, at).data
        total = length(data.targets) ** 2
        for lag in range(data.horizon):
            variance = _scalar(world.number(Entry(0, 0, 0, 0, sp.Integer(lag), sp.Integer(lag)), {}))
            total += variance * data.n_y * length(data.block(lag)) ** 2
        return sp.Float(str(mp.sqrt(total)), SHOWN)


def _nodes(world: World, count: int) -> list[Any]:
    found = world.memo.setdefault("nodes", [])
    while len(found) < count:
        x = world.rational()
        if x not in found:
            found.append(x)
    return list(found[:count])


def _lagrange(world: World, expr: sp.Expr, at: Any) -> Any:
    i, k, horizon = (world.integer(x, at) for x in expr.args)
    return lagrange_by_solving(world, horizon)[i, k]


def lagrange_by_solving(world: World, horizon: int) -> Any:
    """The inverse of the Vandermonde matrix, by elimination."""
    key = ("lagrange", horizon)
    if key not in world.memo:
        nodes = list(map(sp.Rational, _nodes(world, horizon)))
        matrix = sp.Matrix(horizon, horizon, lambda k, power: nodes[k] ** power)
        world.memo[key] = matrix.inv()
    return world.memo[key]


def _target(world: World, expr: sp.Expr, at: Any) -> Any:
    return world.memo.setdefault(("target", world.integer(expr.args[0], at)), world.rational())


def _growth(world: World) -> tuple[Any, Any]:
    """What multiplies the state itself, and the variance the matrices add: from the first two lags of an impulse."""
    (state, _), = world.program.updates
    m00, m11, m10 = (world.number(Moment(state, state, a, b, p, p), {}) for a, b in ((0, 0), (1, 1), (1, 0)))
    own = m10 / m00
    return own, m11 / m00 - own**2


MEANINGS |= {
    Norm: _normed(norm), Length: _normed(length), RootMeanSquare: _root_mean_square,
    Lagrange: _lagrange, Target: _target,
    Node: lambda world, expr, at: sp.Rational(_nodes(world, world.integer(expr.args[0], at) + 1)[-1]),
    EntryVariance: lambda world, expr, at: _growth(world)[1],
    SpectralRadius: lambda world, expr, at: abs(_growth(world)[0]) + sp.sqrt(_growth(world)[1]),
}
