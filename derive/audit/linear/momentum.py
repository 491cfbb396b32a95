"""What motion with momentum means: its definition step by step, its power series, and matrices with given roots."""

from __future__ import annotations

from typing import Any

import sympy as sp
from mpmath import mp

from wideproof.derive.audit.meanings import MEANINGS
from wideproof.derive.audit.world import World
from wideproof.derive.linear.momentum import ExpAtPair, PowerAtPair, StepsMoved, TimeMoved

SERIES = 160


def _values(world: World, expr: sp.Expr, at: Any) -> list[sp.Expr]:
    return [sp.sympify(x, strict=True).subs({**world.parameters, **at}) for x in expr.args]


def _steps_moved(world: World, expr: sp.Expr, at: Any) -> Any:
    """Step by step, in rationals."""
    steps, eta, sigma, mu = _values(world, expr, at)
    position = speed = sp.S.Zero
    for _ in range(int(steps)):
        speed = mu * speed + eta * (1 - sigma * position)
        position += speed
    return position


def _time_moved(world: World, expr: sp.Expr, at: Any) -> Any:
    """The power series of the differential equation, in rationals."""
    time, sigma, gamma = _values(world, expr, at)
    found = [sp.S.Zero, sp.S.Zero]
    for k in range(SERIES):
        found.append((int(k == 0) - gamma * (k + 1) * found[k + 1] - sigma * found[k]) / ((k + 1) * (k + 2)))
    return sp.N(sp.Add(*(x * time**k for k, x in enumerate(found))), 40)


def _power_at_pair(world: World, expr: sp.Expr, at: Any) -> Any:
    """A power of the matrix whose eigenvalues are the nodes, in rationals."""
    power, s, d = _values(world, expr, at)
    return (sp.Matrix([[1, 0, 1], [0, s, d], [0, 1, s]]) ** int(power))[0, 1]


def _exp_at_pair(world: World, expr: sp.Expr, at: Any) -> Any:
    """The exponential of that matrix, to more digits than are compared."""
    time, s, d = _values(world, expr, at)
    with mp.workdps(50):
        matrix = mp.matrix(
            [
                [mp.mpf(sp.Rational(x).p) / sp.Rational(x).q for x in row]
                for row in ((0, 0, time), (0, time * s, time * d), (0, time, time * s))
            ]
        )
        return sp.Float(mp.expm(matrix, method="taylor")[0, 1], 40)


MEANINGS.update(
    {StepsMoved: _steps_moved, TimeMoved: _time_moved, PowerAtPair: _power_at_pair, ExpAtPair: _exp_at_pair}
)
