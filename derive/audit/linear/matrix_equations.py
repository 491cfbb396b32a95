"""The independent audit of matrix claims, in small random matrices: descents and recursions are run, not solved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mpmath as mp
import sympy as sp

from wideproof.derive.algebra.matrix_symbols import Length, MatrixSum, MatrixSymbol, Norm
from wideproof.derive.audit.auditor import check
from wideproof.derive.audit.linear.matrix_instances import WIDTH, WORK, Data, SmallNetwork, length, norm, scalar
from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.memory_horizon import RunDifference, looped, radius
from wideproof.derive.audit.world import World
from wideproof.derive.calculus.lags import Entry
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import Coordinate
from wideproof.derive.linear.gradient_descent import LagTaps, Residual, RootMeanSquare, Taps, Theta
from wideproof.derive.linear.realization import CausalSum, ImpulseAt, InputAt, Lagrange, Node, OutputAt, StateAt, Target
from wideproof.derive.linear.spectral_radius import EntryVariance, SpectralRadius, VarianceProfile
from wideproof.derive.proof.claims import MatrixEquation

SHOWN, HORIZON = 40, 3
DEFAULTS = {"eta": sp.Integer(29), "j": sp.S.Zero}
"""Where a claim names no step size it holds for large ones too."""
At = Mapping[sp.Symbol, Any]


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
    def network(self) -> SmallNetwork:
        """The network of this world."""
        return self.world.memo.get("network") or self._remember("network", SmallNetwork(self.world))

    def _remember(self, key: Any, value: Any) -> Any:
        self.world.memo[key] = value
        return value

    def named(self, name: str) -> Any:
        """The value of a scalar symbol by its name."""
        return scalar(sp.sympify(next((v for x, v in self.at.items() if x.name == name), DEFAULTS[name]), strict=True))

    def value(self, expr: sp.Expr) -> Any:
        """A matrix, or a scalar; a scalar added to a matrix is a multiple of the identity."""
        if isinstance(expr, MatrixSymbol):
            return self.letter(expr)
        if isinstance(expr, MatrixSum):
            matrix, count = self.value(expr.args[0]), self.world.integer(expr.args[1], self.at)
            return sum((matrix**i for i in range(count)), start=mp.zeros(matrix.rows, matrix.cols))
        if expr.func in FUNCTIONS:
            return FUNCTIONS[expr.func](self, [self.world.integer(a, self.at) for a in expr.args])
        if expr.is_commutative:
            return scalar(self.world.number(expr, self.at))
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

    def letter(self, letter: MatrixSymbol) -> Any:
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
            select = mp.eye(data.horizon * data.n_x)[:, lag * data.n_x : (lag + 1) * data.n_x]
            return data.block(lag) if name == "Toep_j" else select
        return {"Toep": lambda: data.operator, "D": lambda: data.gains, "Y": lambda: data.targets}[name]()


def _theta(e: Evaluator, at: list[int]) -> Any:
    return e.data.descend(e.named("eta") if at[-1] else 0, at[-1])


def _lag_taps(e: Evaluator, at: list[int]) -> Any:
    rows = e.data.n_x
    return (e.data.gains * _theta(e, at))[at[0] * rows : (at[0] + 1) * rows, :]


def _causal_sum(e: Evaluator, at: list[int]) -> Any:
    matrix, inputs = e.network.transition(), e.network.map("B")
    return sum(
        (matrix**lag * inputs * e.network.input(at[0] - lag) for lag in range(at[0] + 1)), start=mp.zeros(WIDTH, 1)
    )


def _impulse(e: Evaluator, at: list[int]) -> Any:
    columns = [e.network.run(at[0], impulse=c)[1] for c in range(2)]
    return mp.matrix([[columns[b][a] for b in range(2)] for a in range(2)])


FUNCTIONS: dict[type, Any] = {
    Theta: _theta,
    Taps: lambda e, at: e.data.gains * _theta(e, at),
    LagTaps: _lag_taps,
    Residual: lambda e, at: e.data.residual(_theta(e, at)),
    InputAt: lambda e, at: e.network.input(at[0]),
    StateAt: lambda e, at: e.network.run(at[0])[0],
    OutputAt: lambda e, at: e.network.run(at[0])[1],
    ImpulseAt: _impulse,
    CausalSum: _causal_sum,
}


@check.register
def _(claim: MatrixEquation, world: World) -> None:
    free = sorted((claim.left.free_symbols | claim.right.free_symbols) - set(world.parameters), key=str)
    for trial in range(3):
        at: dict[sp.Symbol, Any] = {}
        for x in (x for x in free if not isinstance(x, MatrixSymbol)):
            least = int(x.is_positive or 0)
            at[x] = (
                sp.Rational(trial + 1, 7)
                if not x.is_integer
                else sp.Integer(WIDTH if x == n else least + trial % HORIZON)
            )
        with_lag = {sp.Symbol("j", integer=True, nonnegative=True): sp.Integer(trial % HORIZON)}
        with mp.workdps(WORK):
            evaluator = Evaluator(world, {**with_lag, **at})
            gap = evaluator.value(claim.left) - evaluator.value(claim.right)
            size = length(gap) if isinstance(gap, mp.matrix) else abs(gap)
            if size > mp.mpf(10) ** (10 - SHOWN):
                raise ProofError(
                    "audit", "equal matrices", f"a difference of {mp.nstr(size, 5)}", f"At {at} {claim} is false."
                )


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
            variance = scalar(world.number(Entry(0, 0, 0, 0, sp.Integer(lag), sp.Integer(lag)), {}))
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


def _growth(world: World, u: Coordinate) -> tuple[Any, Any]:
    """What multiplies a state itself, and the variance its matrices add: from the first step of a difference."""
    seen = RunDifference(world, u)
    own = seen.second_moment(u, 1, 0)
    return own, seen.second_moment(u, 1, 1) - own**2


def _squares(world: World) -> sp.Matrix:
    """E of the square of each state after one step from a unit of each."""
    states = [world.program.updated[state] for state in world.program.states]
    return sp.Matrix([[sp.Rational(RunDifference(world, v).second_moment(u, 1, 1)) for v in states] for u in states])


def _profile(world: World, expr: sp.Expr, at: Any) -> Any:
    """The squares over the states that feed the given one and are fed by it."""
    states = [world.program.updated[state] for state in world.program.states]
    own = looped(_squares(world), states.index(expr.args[0]))
    return sp.ImmutableDenseMatrix(_squares(world).extract(own, own))


def _spectral_radius(world: World, expr: sp.Expr, at: Any) -> Any:
    """The root of the spectral radius of the squares, a state that carries itself over by its shifted disc."""
    squares = _squares(world)
    for i, state in enumerate(world.program.states):
        own, variance = map(sp.Rational, _growth(world, world.program.updated[state]))
        squares[i, i] = (abs(own) + sp.sqrt(variance)) ** 2
    return sp.sqrt(radius(squares))


MEANINGS |= {
    Norm: _normed(norm),
    Length: _normed(length),
    RootMeanSquare: _root_mean_square,
    Lagrange: _lagrange,
    Target: _target,
    Node: lambda world, expr, at: sp.Rational(_nodes(world, world.integer(expr.args[0], at) + 1)[-1]),
    EntryVariance: lambda world, expr, at: _growth(world, world.program.updates[0][0])[1],
    VarianceProfile: _profile,
    SpectralRadius: _spectral_radius,
}
