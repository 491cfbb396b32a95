"""Gradient flow: the limit of small steps, in which every eigenvector of the kernel relaxes at its own rate."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.emit.derivation import Derivation, as_program, reads
from wideproof.derive.expectation.dual_activations import Damped
from wideproof.derive.language.errors import ProofError
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

TIME, PAST = sp.Symbol("time", nonnegative=True), sp.Symbol("tau", nonnegative=True)
RATE = sp.Symbol("sigma", positive=True)


def flow_gain(recursion: Recursion | Program) -> Derivation:
    """The integral of exp(-sigma tau) over 0 < tau < time: along an eigenvector the outputs move by sigma times this.

    The residual obeys du/dtime = -sigma u for the loss half the sum of squares, as `trajectory_gain` with small steps.
    Shapes: formula in sigma > 0 and time.  Source: jacot2018neural, section 5; lee2019wide.

    >>> wp.flow_gain(wp.models.linear_rnn()).formula.expr
    2*Damped(sigma*time/2, sigma*time/2, 1)/sigma
    """
    program = as_program(recursion)
    proof = prove(program, "flow-gain", sp.Integral(sp.exp(-RATE * PAST), (PAST, 0, TIME)))
    return Derivation("flow-gain", proof)


reads("flow-gain", RATE, TIME, own=True)


@rule(
    "flow-gain",
    source="the fundamental theorem of calculus",
    rank=530,
    says="the integral is 0 at the start and grows by the residual, hence",
)
def _flow_gain(subject: Any, ask: Ask) -> Claim:
    """Zero at the start, with the residual as derivative; written without the difference that would cancel."""
    closed = subject.doit()
    half = sp.Wild("x")
    found = sp.expand(closed * RATE).match(1 - sp.exp(-half))
    if found is None:
        raise ProofError("flow-gain", "1 - exp(-x) over sigma", closed, "The residual decays otherwise.")
    right = 2 * Damped(found[half] / 2, found[half] / 2, 1) / RATE
    written = right.doit().rewrite(sp.exp)
    slope = sp.expand(sp.diff(written, TIME)) - subject.function.subs(PAST, TIME)
    if sp.simplify(slope) != 0 or sp.simplify(written.subs(TIME, 0)) != 0:
        raise ProofError("flow-gain", "zero at the start, then the residual", right, "The integral is another one.")
    return Equation(subject, right)
