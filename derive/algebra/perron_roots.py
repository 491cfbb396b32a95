"""The spectral radius of a small matrix of moments: a closed form where it is short, else a function of the entries."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any, TypeVar

import mpmath
import sympy as sp

Node = TypeVar("Node")
LARGEST = 6
"""Rows up to which the characteristic polynomial is looked at."""


class _OfEntries(sp.Function):
    """A function of the entries of a square matrix, row by row."""

    def _eval_is_extended_real(self) -> bool:
        return True

    def _eval_is_finite(self) -> bool:
        return True


class PerronRoot(_OfEntries):
    """The largest modulus of the eigenvalues of a matrix; for non-negative entries itself an eigenvalue."""

    def _eval_is_extended_nonnegative(self) -> bool:
        return True

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """The derivative by one entry."""
        return PerronSlope(argindex - 1, *self.args)

    def _eval_evalf(self, prec: int) -> sp.Expr:
        if not all(x.is_number for x in self.args):
            return self
        size = math.isqrt(len(self.args))
        with mpmath.workprec(prec + 20):
            rows = [[sp.N(x, mpmath.mp.dps)._to_mpmath(prec + 20) for x in self.args[i * size : (i + 1) * size]]
                    for i in range(size)]  # fmt: skip
            return sp.Float(max(map(abs, mpmath.eig(mpmath.matrix(rows), left=False, right=False))), precision=prec)

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        size = math.isqrt(len(self.args))
        body = rf"\varrho {printer._print(sp.ImmutableDenseMatrix(size, size, self.args))}"
        return f"{{{body}}}^{{{exp}}}" if exp else body


class PerronSlope(_OfEntries):
    """The derivative of a Perron root by one entry: arguments the number of the entry, then the entries."""


class PerronGap(_OfEntries):
    """An estimate of the error of a Perron root that was computed in double precision."""


def perron_root(matrix: sp.MatrixBase) -> sp.Expr:
    """The spectral radius of a matrix whose spectral radius is an eigenvalue, as that of a non-negative one is.

    A closed form where the characteristic polynomial is one of degree at most two in a power of its letter, else
    `PerronRoot`.  Source: perron1907theorie; krein1948linear for a cone of other matrices.
    """
    size = matrix.rows
    if size == 1:
        return matrix[0, 0]
    opaque = sp.ImmutableDenseMatrix(size, size, list(matrix))
    if size > LARGEST:
        return PerronRoot(*opaque)
    names = {x: sp.Dummy(nonnegative=True) for x in dict.fromkeys(opaque) if not x.is_Number}
    plain = opaque.xreplace(names)
    powers = {k: c for (k,), c in plain.charpoly().terms()}
    least = min(powers)
    step = math.gcd(*(k - least for k in powers)) or 1
    degree = (size - least) // step
    if degree > 2:
        return PerronRoot(*opaque)
    known = {dummy: x for x, dummy in names.items()}
    if degree == 0:
        return sp.S.Zero
    middle, last = (powers.get(size - (k * step), sp.S.Zero) for k in (1, 2))
    if degree == 1:
        root = -middle
    else:
        root = (-middle + sp.sqrt(sp.expand(middle**2 - 4 * last))) / 2
        if size == 2:  # without the difference of squares, in which digits would be lost
            (a, b), (c, d) = plain.tolist()
            root = (a + d + sp.sqrt((a - d) ** 2 + 4 * b * c)) / 2
    return sp.root(root, step).xreplace(known) if step > 1 else root.xreplace(known)


def strong_components(edges: Mapping[Node, Iterable[Node]]) -> tuple[tuple[Node, ...], ...]:
    """The nodes in groups that reach each other, each group after those it leads to.  Shapes: node -> where it leads.

    Source: definition.
    """
    reached = {x: {x, *edges[x]} for x in edges}
    for middle, x in product(edges, edges):
        if middle in reached[x]:
            reached[x] |= reached[middle]
    groups = list(dict.fromkeys(tuple(y for y in edges if y in reached[x] and x in reached[y]) for x in edges))
    return tuple(sorted(groups, key=lambda group: len(reached[group[0]])))
