"""Truncated Gaussian moments M_p(theta, v) = E[(u - theta)_+^p], and means of ramps of one variable as such."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.proof.claims import Claim, Equation
from wideproof.derive.proof.rules import Ask, rule


class Ramp(sp.Function):
    """E[(u - theta)_+^p] of a centred Gaussian u: arguments p, theta, its variance; p = 0 is P(u > theta)."""

    nargs = (3,)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        p, theta, v = map(printer._print, self.args)
        body = rf"M_{{{p}}}\left({theta}, {v}\right)"
        return rf"{{{body}}}^{{{exp}}}" if exp else body


THETA, VARIANCE = sp.Symbol("theta", nonnegative=True), sp.Symbol("v", positive=True)


@rule(
    "truncated-moment",
    source="stein1981estimation, for the power of a ramp",
    rank=910,
    says="integrate by parts; the power of a ramp is differentiated to the next lower one,",
)
def truncated_moment(subject: Any, ask: Ask) -> Claim:
    """E[u f(u)] = v E[f'(u)] with f = (u - theta)_+^{p-1}; for p = 1 the derivative is a point mass."""
    p, theta, v = subject.args
    if p == 0:
        return Equation(subject, (1 - sp.erf(theta / sp.sqrt(2 * v))) / 2)
    below = ask.equation("truncated-moment", Ramp(p - 1, theta, v))
    if p == 1:
        slope = sp.exp(-(theta**2) / (2 * v)) / sp.sqrt(2 * sp.pi * v)
    else:
        second = ask.equation("truncated-moment", Ramp(p - 2, theta, v))
        slope = (p - 1) * second.right
    return Equation(subject, sp.expand(v * slope - theta * below.right))


def as_ramp(node: GaussianMean) -> sp.Expr | None:
    """The mean of a product of ramps of one variable as a truncated moment; None where it is none."""
    functions, means, upper = node.args
    theta, variance = -means[0], upper[0]
    plain = all(str(name) == "relu" and order <= 1 for name, order in functions)
    one = len(set(means)) == 1 and all(sp.expand(c**2 - variance**2) == 0 for c in upper)
    if not plain or not one:
        return None
    if any(sp.expand(c - variance) != 0 for c in upper):  # ramps of u and of -u: one of the two is zero
        return sp.S.Zero if theta.is_nonnegative else None
    return Ramp(sum(1 - int(order) for _, order in functions), theta, variance)
