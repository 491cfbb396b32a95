"""The leading correction of the second moment at finite width, as a function of the lag."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.errors import NotClosed, ParameterError
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.notation import j, n
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.language.scalars import as_whole
from wideproof.derive.linear.finite_width import moments

DEGREE, CHECKED = 4, 3
"""The degree that is fitted, and at how many further lags of each parity the fit is compared with the exact moment."""


@dataclass(frozen=True)
class WidthCorrection:
    """E L_j^2 is its limit times 1 + c(j)/n^2 + O(1/n^3), with c = `even` or `odd` by the parity of j.

    Fitted and verified, not derived: polynomials of degree 4 through the exact moments of the lags `fitted`, which give
    those of the lags `verified` too. As c grows like j^4, a width is wide where j^2 is small against n.

    >>> wp.width_correction(wp.models.linear_rnn()).at(5)
    62
    """

    even: sp.Expr
    odd: sp.Expr
    fitted: tuple[int, ...]
    verified: tuple[int, ...]

    def at(self, lag: int) -> sp.Expr:
        """The coefficient of 1/n^2 at a lag.  Errors: ParameterError for what is no whole lag >= 0."""
        found = as_whole(lag)
        if found is None or found < 0:
            raise ParameterError("WidthCorrection.at", "a whole lag >= 0", shortened(lag), "For example at(5).")
        return (self.odd if found % 2 else self.even).subs(j, found)


def width_correction(recursion: Recursion | Program) -> WidthCorrection:
    """The coefficient of 1/n^2 in E L_j^2 relative to its limit, a quartic for even lags and one for odd lags.

    Shapes: polynomials in j.  Units: none.
    Errors: as `moments`; NotClosed where no quartic fits, as in recursions with coefficients of their own.
    The exact moments to lag 15 take seconds.
    Source: loop equations (erratum E2), interpolated.

    >>> wp.width_correction(wp.models.linear_rnn()).even
    j**4/24 + j**3/3 - j**2/6 - j/3
    """
    program = as_program(recursion)
    found: list[sp.Expr] = []
    fitted: list[int] = []
    verified: list[int] = []
    for parity in (0, 1):
        lags = [parity + 2 * i for i in range(DEGREE + 1 + CHECKED)]
        values = {lag: _relative(program, lag) for lag in lags}
        known, further = lags[: DEGREE + 1], lags[DEGREE + 1 :]
        curve = sp.expand(sp.interpolate([(lag, values[lag]) for lag in known], j))
        if any(sp.expand(curve.subs(j, lag) - values[lag]) != 0 for lag in further):
            what = f"a polynomial of degree {DEGREE} in the lag"
            raise NotClosed(f"width_correction({program.name})", what, "another", "moments(rnn, lag=j) has each lag.")
        found.append(curve)
        fitted += known
        verified += further
    return WidthCorrection(found[0], found[1], tuple(sorted(fitted)), tuple(sorted(verified)))


def _relative(program: Program, lag: int) -> sp.Expr:
    """The coefficient of 1/n^2 in the second moment over its limit."""
    moment = sp.expand(moments(program, lag=lag).formula.expr)
    return sp.cancel(moment.coeff(n, -2) / moment.coeff(n, 0))
