"""Stability: the spectral radius of the transition matrix, by the circular law."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.algebra.matrix_symbols import MatrixSymbol
from wideproof.derive.calculus.moments import is_linear
from wideproof.derive.emit.derivation import Derivation, as_program, reads
from wideproof.derive.language.errors import NotLinear
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.realization import TRANSITION, transition_parts
from wideproof.derive.proof.claims import Claim, Equation, Limit
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule


class EntryVariance(sp.Function):
    """n times the variance of one entry of a random matrix."""

    nargs = (1,)

    def _latex(self, printer: Any) -> str:
        return rf"n\,\mathrm{{Var}}\left[{printer._print(self.args[0])}_{{ik}}\right]"


class SpectralRadius(sp.Function):
    """The largest modulus of the eigenvalues of a matrix of width n: arguments the matrix, n."""

    nargs = (2,)

    def _latex(self, printer: Any) -> str:
        return rf"\max\left|\mathrm{{spec}}\,{printer._print(self.args[0])}\right|"


def stability(recursion: Recursion | Program) -> Derivation:
    """The spectral radius of the transition matrix of a wide recursion tends to this; below 1 it is stable.

    For h_t = n^{-1/2} W h_{t-1} + F x_t it is sqrt(nu_W), neither nu_W nor the operator norm 2 sqrt(nu_W) (E1).
    At finite width a draw may be unstable although the limit is below 1;
    numeric.linear_rnn.unstable_draws measures how often.
    Shapes: formula in the variances.  Units: per step.
    Errors: NotLinear; NotClosed for several states or redrawn matrices.
    Source: emami2021implicit, section 2, with erratum E1; the circular law.
    """
    program = as_program(recursion)
    if not is_linear(program):
        raise NotLinear(
            f"stability({program.name})",
            "a linear recursion",
            "another",
            "It has no one spectrum; memory(rnn) says whether two runs come together.",
        )
    transition_parts(program)
    return Derivation("stability", prove(program, "circular-law", SpectralRadius(TRANSITION, n)))


reads("stability")


@rule(
    "transition-variance",
    source="variances of independent Gaussian matrices add",
    rank=570,
    says="variances of independent Gaussian matrices add, hence that of the whole transition is",
)
def transition_variance(subject: Any, ask: Ask) -> Claim:
    """n times the variance of an off-diagonal entry of the transition matrix."""
    program = ask.program
    claim = ask.matrices("transition", TRANSITION)
    _, parts = transition_parts(program)
    scaled = sp.expand(sp.sqrt(n) * claim.right)
    return Equation(subject, sp.Add(*(scaled.coeff(MatrixSymbol(x.name)) ** 2 * x.variance for x in parts)))


@rule(
    "circular-law",
    source="geman1986spectral; bai1986limiting; tao2010random",
    rank=580,
    says="by the circular law the eigenvalues fill a disc, so as the width grows",
    status="cited",
)
def circular_law(subject: Any, ask: Ask) -> Claim:
    """The eigenvalues fill the disc of the given variance, shifted by what multiplies the state itself."""
    program = ask.program
    ask.matrices("transition", TRANSITION)
    variance = ask.equation("transition-variance", EntryVariance(TRANSITION))
    own, _ = transition_parts(program)
    return Limit(subject, abs(own) + sp.sqrt(variance.right), "in probability")
