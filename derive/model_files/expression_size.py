"""How large an expression becomes before it is made: read by the same grammar, with sizes in place of terms."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import sympy as sp

from wideproof.derive.language.errors import LanguageError

TERMS, NODES = 200, 500
"""Terms of an expression once it is multiplied out; its operations with all parts written out."""


@dataclass(frozen=True)
class Size:
    """Bounds on the terms of an expression when it is multiplied out, and on its operations, parts written out.

    Adding, multiplying, applying sizes gives the size of the sum, product, image of the expressions they belong to.
    Errors: LanguageError beyond `TERMS` and `NODES`, so that what is then made of the text takes little time.
    """

    terms: int = 1
    nodes: int = 1

    def __post_init__(self) -> None:
        for found, most, what in ((self.terms, TERMS, "terms when multiplied out"), (self.nodes, NODES, "operations")):
            if found > most:
                raise LanguageError(
                    "size",
                    f"an expression of at most {most} {what}",
                    "more of them, parts counted as often as they are used",
                    "Give the model another state, or write it in Python: FILE.py:NAME.",
                )

    @property
    def next(self) -> Size:
        """The updated value of a state is as large as the state."""
        return self

    def __add__(self, other: Any) -> Size:
        other = _size(other)
        return Size(self.terms + other.terms, self.nodes + other.nodes + 1)

    def __mul__(self, other: Any) -> Size:
        other = _size(other)
        return Size(self.terms * other.terms, self.nodes + other.nodes + 1)

    def __matmul__(self, other: Any) -> Size:
        return Size(self.terms, self.nodes + self.terms * (_size(other).nodes + 1))

    def __pow__(self, exponent: Any) -> Size:
        if isinstance(exponent, Size) or not exponent.is_Rational:
            return self * exponent
        n = max(1, math.ceil(abs(exponent)))
        return Size(math.comb(self.terms + n - 1, n), n * self.nodes + 1)

    def __neg__(self) -> Size:
        return Size(self.terms, self.nodes + 1)

    def __rpow__(self, base: Any) -> Size:
        return _size(base) * self

    __sub__ = __radd__ = __rsub__ = __add__
    __rmul__ = __truediv__ = __rtruediv__ = __mul__


def _size(value: Any) -> Size:
    """The size of an operand; a number has that of a name."""
    return value if isinstance(value, Size) else Size()


def called(*arguments: Size | sp.Expr) -> Size:
    """The size of a function of arguments of these sizes; they may be multiplied out inside it."""
    sizes = [_size(x) for x in arguments]
    return Size(1, 1 + sum(x.nodes + x.terms for x in sizes))
