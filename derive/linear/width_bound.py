"""How far the empirical tangent kernel at width n is from its limit: exactly, and with what probability.

No limit theorem is believed: the mean square of the gap is a polynomial in 1/n, by Isserlis' theorem and integration
by parts alone, and Chebyshev's inequality turns it into a probability.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.emit.derivation import Derivation, quantity, reads
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.language.notation import n
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.finite_width import (
    KernelCovariance,
    KernelEntry,
    KernelMoment,
    entry_latex,
    entry_of,
    moved,
)
from wideproof.derive.polynomial_recursions.index_sums import by_monomials
from wideproof.derive.proof.claims import Claim, Equation, Inequality
from wideproof.derive.proof.proof import prove
from wideproof.derive.proof.rules import Ask, rule

TOLERANCE = sp.Symbol("tolerance", positive=True)
"""How far an entry is off, typeset epsilon."""


class KernelGap(sp.Function):
    """E of the square of an entry of the empirical kernel at width n less the limit of its mean: n, the entry."""

    nargs = (2,)

    def _latex(self, printer: Any) -> str:
        entry = entry_latex(self.args[1])
        return rf"\mathbb{{E}}_n\left[\left({entry} - \lim_{{n\to\infty}}\mathbb{{E}}_n {entry}\right)^2\right]"


class Deviation(sp.Function):
    """P of an entry of the empirical kernel at width n to be further than epsilon from its limit: n, entry, epsilon."""

    nargs = (3,)

    def _latex(self, printer: Any) -> str:
        entry, size = entry_latex(self.args[1]), printer._print(self.args[2])
        return rf"\mathbb{{P}}_n\left[\left|{entry} - \lim_{{n\to\infty}}\mathbb{{E}}_n {entry}\right| > {size}\right]"


@quantity
def ntk_gap(recursion: Recursion | Program, lag: int | KernelEntry, parameterization: str = "entries") -> Derivation:
    """E (Theta_n - Theta)^2 for one entry of the empirical tangent kernel: a polynomial in 1/n without a constant.

    Theta is the limit of the mean, for the entry of a lag with itself the scale factor.
    Shapes: formula in n and the variances.  Units: (output/input)^4.
    Errors and cost: as `ntk_covariance`.  Source: variance plus squared bias.

    >>> wp.ntk_gap(wp.models.linear_rnn(), 0).formula.expr
    2*nu_C**2/n + 2*nu_F**2/n
    """
    entry = sp.Tuple(*entry_of(lag, "ntk_gap"))
    return Derivation("ntk-gap", prove(moved(recursion, parameterization), "kernel-gap", KernelGap(n, entry)))


@quantity
def ntk_deviation(
    recursion: Recursion | Program, lag: int | KernelEntry, parameterization: str = "entries"
) -> Derivation:
    """P(|Theta_n - Theta| > tolerance) <= formula = c / (n tolerance^2) at every width n; no limit theorem is believed.

    c is the mean square of the gap at width 1: n times that of width n falls with n.
    Shapes: formula in n, tolerance and the variances.  Units: none.
    Errors and cost: as `ntk_covariance`.  Source: Chebyshev's inequality.

    >>> wp.ntk_deviation(wp.models.linear_rnn(), 0).formula.expr
    (2*nu_C**2 + 2*nu_F**2)/(n*tolerance**2)
    """
    entry = sp.Tuple(*entry_of(lag, "ntk_deviation"))
    program = moved(recursion, parameterization)
    return Derivation("ntk-deviation", prove(program, "chebyshev", Deviation(n, entry, TOLERANCE)))


reads("ntk-gap", n)
reads("ntk-deviation", n, TOLERANCE)


@rule(
    "kernel-gap",
    source="variance plus squared bias",
    rank=783,
    says="the mean square of the gap is the variance and the square of the bias,",
)
def kernel_gap(subject: Any, ask: Ask) -> Claim:
    """The variance, and the square of what the mean is off its limit."""
    _, entry = subject.args
    mean = ask.equation("kernel-pairings", KernelMoment(n, entry)).right
    variance = ask.equation("kernel-covariance", KernelCovariance(n, entry, entry)).right
    constant = sp.Add(*(term for term in sp.Add.make_args(sp.expand(mean)) if not term.has(n)))
    return Equation(subject, by_monomials(variance + (mean - constant) ** 2))


@rule(
    "chebyshev",
    source="Chebyshev's inequality; the powers of $1/n$ are at most $1/n$",
    rank=784,
    says="by Chebyshev's inequality, and as every power of $1/n$ is at most $1/n$,",
)
def chebyshev(subject: Any, ask: Ask) -> Claim:
    """The probability is at most the mean square over epsilon^2, whose powers of 1/n are at most 1/n."""
    _, entry, size = subject.args
    gap = ask.equation("kernel-gap", KernelGap(n, entry)).right
    terms = [term for term in sp.Add.make_args(sp.expand(gap)) if not term.could_extract_minus_sign()]
    if any(term.as_coeff_exponent(n)[1] > -1 for term in terms):
        raise NotClosed("chebyshev", "a gap that vanishes as n grows", gap, "This entry does not converge.")
    return Inequality(subject, sp.Add(*(term.subs(n, 1) for term in terms)) / (n * size**2), ())
