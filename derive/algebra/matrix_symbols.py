"""Letters that do not commute: matrices of any size inside SymPy expressions, and norms of them."""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.language.activations import RealFunction
from wideproof.derive.language.notation import latex_name

SPECIAL = {"Toep": r"\mathcal{T}", "Y": "y", "E": "E"}


class MatrixSymbol(sp.Symbol):
    """A matrix by its name; a prime transposes it, `_j` is its block of lag j."""

    __slots__ = ()

    def __new__(cls, name: str) -> MatrixSymbol:  # noqa: D102
        return super().__new__(cls, name, commutative=False)

    def __getnewargs_ex__(self) -> tuple[tuple[str], dict[str, Any]]:
        return (self.name,), {}

    @property
    def transposed(self) -> MatrixSymbol:
        """The transposed matrix."""
        return MatrixSymbol(self.name.removesuffix("'") if self.name.endswith("'") else self.name + "'")

    def _latex(self, printer: Any) -> str:
        head, _, tail = self.name.removesuffix("'").partition("_")
        body = SPECIAL.get(head, latex_name(head)) + (f"_{{{tail}}}" if tail else "")
        return body + (r"^{\mathsf{T}}" if self.name.endswith("'") else "")


class MatrixFunction(sp.Function):
    """A matrix that depends on indices."""

    is_commutative = False
    letter, upper = "", False

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        inside = [printer._print(a) for a in self.args]
        if self.upper:
            low = f"_{{{inside[0]}}}" if len(inside) == 2 else ""
            return rf"{self.letter}{low}^{{({inside[-1]})}}"
        return rf"{self.letter}_{{{', '.join(inside)}}}"


class Norm(RealFunction):
    """The largest singular value of a matrix."""

    nargs = (1,)

    def _eval_is_commutative(self) -> bool:
        return True

    def _eval_is_nonnegative(self) -> bool:
        return True

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = rf"\left\lVert {printer._print(self.args[0])}\right\rVert"
        return rf"{body}^{{{exp}}}" if exp else body


class Length(Norm):
    """The root of the sum of squared entries."""

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        body = rf"\left\lVert {printer._print(self.args[0])}\right\rVert_F"
        return rf"{body}^{{{exp}}}" if exp else body


class MatrixSum(sp.Function):
    """sum_{k < l} M^k of a square matrix; arguments M, l."""

    is_commutative = False
    nargs = (2,)

    @classmethod
    def eval(cls, matrix: sp.Expr, count: sp.Expr) -> sp.Expr | None:
        """The empty sum is zero."""
        return sp.S.Zero if count == 0 else None

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        matrix, count = map(printer._print, self.args)
        return rf"\sum_{{k<{count}}} {matrix}^k"


def is_zero(expr: sp.Expr) -> bool:
    """Whether an expression in letters expands to zero."""
    return bool(sp.expand(expr) == 0)
