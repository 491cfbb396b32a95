"""Gradient descent with momentum: what one eigenvalue of the kernel does to the outputs, by steps and in the flow.

Both are linear with constant coefficients, so that the movement is a divided difference at the rest point and at the
two roots of the characteristic polynomial, which may be equal or conjugate.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.emit.derivation import Derivation, as_program, reads
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.gradient_descent import ETA, SIGMA, STEP
from wideproof.derive.linear.gradient_flow import RATE, TIME
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

MOMENTUM, FRICTION = sp.symbols("mu gamma", nonnegative=True)
SOURCE = "polyak1964some"


class StepsMoved(sp.Function):
    """g_l of g_{l+1} = g_l + v_{l+1}, v_{l+1} = mu v_l + eta (1 - sigma g_l), g_0 = v_0 = 0; of l eta sigma mu."""

    nargs = (4,)

    def _latex(self, printer: Any) -> str:
        return f"g_{{{printer._print(self.args[0])}}}"


class TimeMoved(sp.Function):
    """g of g'' = 1 - sigma g - gamma g', g(0) = g'(0) = 0; arguments time sigma gamma."""

    nargs = (3,)

    def _latex(self, printer: Any) -> str:
        return rf"g\left({printer._print(self.args[0])}\right)"


class PowerAtPair(sp.Function):
    """The divided difference of x^l at 1, s + sqrt(d) and s - sqrt(d): arguments l, s, d; real also where d < 0."""

    nargs = (3,)

    def doit(self, **hints: Any) -> sp.Expr:
        """The textbook form, valid where the three nodes differ."""
        power, s, d = self.args
        nodes = (sp.S.One, s + sp.sqrt(d), s - sp.sqrt(d))
        return sp.Add(*(x**power / sp.Mul(*(x - y for y in nodes if y != x)) for x in nodes))

    def _latex(self, printer: Any) -> str:
        return str(printer._print(self.doit()))


class ExpAtPair(sp.Function):
    """The divided difference of exp(time x) at 0, s + sqrt(d) and s - sqrt(d): arguments time, s, d."""

    nargs = (3,)

    def doit(self, **hints: Any) -> sp.Expr:
        """The textbook form, valid where the three nodes differ."""
        time, s, d = self.args
        w = sp.sqrt(d)
        return (1 - sp.exp(s * time) * (sp.cosh(w * time) - s * sp.sinh(w * time) / w)) / (s**2 - d)

    def _latex(self, printer: Any) -> str:
        return str(printer._print(self.doit()))


def momentum_gain(recursion: Recursion | Program) -> Derivation:
    """What l steps of size eta with momentum mu move along an eigenvector sigma: eta times `trajectory_gain` at mu = 0.

    Shapes: formula in l, eta, sigma, mu, for the loss half the sum of squares; stable while eta sigma < 2 (1 + mu).
    Error: rounding, times l near the edge of stability.  Source: polyak1964some.

    >>> wp.momentum_gain(wp.models.linear_rnn()).quantity
    'momentum-gain'
    """
    return _derived("momentum-gain", StepsMoved(STEP, ETA, SIGMA, MOMENTUM), recursion)


def momentum_flow_gain(recursion: Recursion | Program) -> Derivation:
    """The limit of `momentum_gain` for small steps: time = l sqrt(eta), friction gamma = (1 - mu) / sqrt(eta).

    Shapes: formula in sigma, time and gamma.  Error: rounding.  Source: polyak1964some; qian1999momentum.

    >>> wp.momentum_flow_gain(wp.models.linear_rnn()).quantity
    'momentum-flow-gain'
    """
    return _derived("momentum-flow-gain", TimeMoved(TIME, RATE, FRICTION), recursion)


def _derived(name: str, moved: sp.Expr, recursion: Recursion | Program) -> Derivation:
    return Derivation(name, prove(as_program(recursion), name, moved))


reads("momentum-gain", STEP, ETA, SIGMA, MOMENTUM, own=True)
reads("momentum-flow-gain", TIME, RATE, FRICTION, own=True)


@rule(
    "momentum-gain",
    source="a linear recurrence with constant coefficients; polyak1964some",
    rank=540,
    says=(
        "eliminating the velocity leaves a recurrence of second order, of which the nodes and 1 are the "
        "roots; the first three terms agree, so by induction"
    ),
)
def _momentum_gain(subject: Any, ask: Ask) -> Claim:
    """Without v, g_{l+2} - 2 m g_{l+1} + mu g_l = eta; nodes are its roots and 1, and three terms decide the rest."""
    steps, eta, sigma, mu = subject.args
    middle = (1 + mu - eta * sigma) / 2

    def later(state: tuple[sp.Expr, sp.Expr]) -> tuple[sp.Expr, sp.Expr]:
        speed = mu * state[1] + eta * (1 - sigma * state[0])
        return state[0] + speed, speed

    now = sp.symbols("g v")
    first, rest = later(now), (sp.S.Zero, sp.S.Zero)
    _annihilated("momentum-gain", later(first)[0] - 2 * middle * first[0] + mu * now[0], eta)
    found = eta * PowerAtPair(steps + 1, middle, middle**2 - mu)
    _agree(
        "momentum-gain",
        [x[0] for x in (rest, later(rest), later(later(rest)))],
        [found.subs(steps, i).doit() for i in range(3)],
    )
    return Equation(subject, found)


@rule(
    "momentum-flow-gain",
    source="a linear differential equation with constant coefficients; polyak1964some",
    rank=550,
    says="it starts at rest and satisfies the differential equation, hence",
)
def _momentum_flow_gain(subject: Any, ask: Ask) -> Claim:
    """The closed form starts at rest and satisfies g'' + gamma g' + sigma g = 1."""
    time, sigma, gamma = subject.args
    found = ExpAtPair(time, -gamma / 2, gamma**2 / 4 - sigma)
    moved = found.doit()
    speed = sp.diff(moved, time)
    _agree("momentum-flow-gain", [0, 0], [moved.subs(time, 0), speed.subs(time, 0)])
    _annihilated("momentum-flow-gain", sp.diff(speed, time) + gamma * speed + sigma * moved, sp.S.One)
    return Equation(subject, found)


def _agree(where: str, want: list[sp.Expr], got: list[sp.Expr]) -> None:
    if any(sp.simplify(a - b) != 0 for a, b in zip(want, got, strict=True)):
        raise ProofError(where, str(want), got, "The motion starts otherwise.")


def _annihilated(where: str, left: sp.Expr, right: sp.Expr) -> None:
    if sp.simplify(left - right) != 0:
        raise ProofError(where, str(right), left, "The motion obeys another equation.")
