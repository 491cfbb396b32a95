"""Formulas that hold Gaussian expectations: derivatives by Price's theorem, closed forms, estimated errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import emitted, namespace
from wideproof.derive.algebra.perron_roots import PerronGap, PerronRoot
from wideproof.derive.emit.compiled import Compiled
from wideproof.derive.emit.formula import Formula
from wideproof.derive.emit.kernel_stepper import variables_of
from wideproof.derive.expectation.dual_activations import a, b, c, dual, k, m, written
from wideproof.derive.expectation.pair_integrals import Factor, expectation
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.errors import by_name

ROUNDING = 32 * float(np.finfo(float).eps)
V = sp.Symbol("v", nonnegative=True)
SHORT = 300
"""Operations up to which SymPy may spend its time on a nicer form."""


def price(expr: sp.Expr, x: sp.Symbol) -> sp.Expr:
    """The derivative by x of an expression with Gaussian means, whose covariances may depend on x.

    dE[f]/d cov_ij = E[d_i d_j f], half of it on the diagonal.  Source: price1958useful.
    """
    nodes = {node: sp.Dummy() for node in sorted(expr.atoms(GaussianMean), key=sp.default_sort_key)}
    plain = expr.xreplace(nodes)
    inner = sp.Add(*(sp.diff(plain, dummy) * _price(node, x) for node, dummy in nodes.items()))
    return sp.expand((sp.diff(plain, x) + inner).xreplace({dummy: node for node, dummy in nodes.items()}))


def _price(node: GaussianMean, x: sp.Symbol) -> sp.Expr:
    functions, means, upper = node.args
    places = [(i, j) for i in range(len(functions)) for j in range(i, len(functions))]
    total = sp.Add(*(sp.diff(mean, x) * _raised(node, (i,)) for i, mean in enumerate(means)))
    for (i, j), entry in zip(places, upper, strict=True):
        weight = sp.diff(entry, x) * (sp.S.Half if i == j else 1)
        total += weight * _raised(node, (i, j)) if weight != 0 else 0
    return total


def _raised(node: GaussianMean, places: tuple[int, ...]) -> GaussianMean:
    functions = [sp.Tuple(name, order + places.count(i)) for i, (name, order) in enumerate(node.args[0])]
    return GaussianMean(sp.Tuple(*functions), *node.args[1:])


def closed_mean(node: GaussianMean) -> sp.Expr | None:
    """The closed form of one Gaussian mean by the table of dual activations, or None where it has none."""
    functions, means, upper = node.args
    names = {str(name) for name, _ in functions}
    if len(names) != 1 or len(functions) > 2:
        return None
    orders = tuple(int(order) for _, order in functions)
    centred = all(mean == 0 for mean in means)
    if len(functions) == 2 and len(set(upper)) == 1 and centred:
        one = _coincident(names.pop(), orders)
        return None if one is None else one.subs(V, upper[0])
    name = names.pop()
    if len(orders) == 2 and upper[0] == upper[2] and centred:
        pair = _equal_variances(name, orders)
        return None if pair is None else pair.subs({V: upper[0], c: upper[1]}, simultaneous=True)
    row = dual(name)
    if row is None or not (centred or row.shifted):
        return None
    found = row.mean(orders[0]) if len(orders) == 1 else row.derivative(*orders)
    if found is None:
        return None
    law = (upper[0], upper[0], upper[0]) if len(orders) == 1 else (upper[0], upper[2], upper[1])
    at = dict(zip((a, b, c, m, k), (*law, means[0], means[-1]), strict=True))
    return written(found.subs(at, simultaneous=True))


@cache
def _equal_variances(name: str, orders: tuple[int, int]) -> sp.Expr | None:
    """E[phi^(i)(u) phi^(k)(v)] in the variance v of both and their covariance c; simplified where it is short."""
    row = dual(name)
    expr = None if row is None else row.derivative(*orders)
    if expr is None:
        return None
    one = sp.Dummy(positive=True)
    found = written(expr.subs({a: one, b: one, m: 0, k: 0}))
    return (sp.simplify(found) if found.count_ops() < SHORT else found).subs(one, V)


@cache
def _coincident(name: str, orders: tuple[int, int]) -> sp.Expr | None:
    """E[phi^(i)(u) phi^(k)(u)] in the variance v of u."""
    row = dual(name)
    expr = None if row is None else row.derivative(*orders)
    if expr is None:
        return None
    one = sp.Dummy(positive=True)
    return sp.simplify(written(expr.subs({a: one, b: one, c: one, m: 0, k: 0}))).subs(one, V)


def closed(expr: sp.Expr) -> sp.Expr | None:
    """An expression with every Gaussian mean replaced by its closed form, or None where one has none."""
    found = {node: closed_mean(node) for node in expr.atoms(GaussianMean)}
    if any(value is None for value in found.values()):
        return None
    return expr.xreplace(found)


@dataclass(frozen=True, repr=False)
class MeanFormula(Formula):
    """A formula in Gaussian means `nodes`; `expr` is its closed form where the table has one, else the same.

    The compiled function evaluates the nodes, by table or by series, and estimates its error; bounds are
    those of `enclosed_mean`.
    """

    nodes: sp.Expr = sp.S.Zero

    def compile(self, backend: str = "numpy") -> MeanFunction:
        """A vectorised function of keyword arguments; `.with_error` returns an estimate of the error too.

        Errors: ParameterError for an unknown backend; NotClosed for products the series does not reach.
        """
        return MeanFunction(self, backend)


class MeanFunction(Compiled):
    """A compiled formula with Gaussian means: each evaluated with its error, joined by the formula."""

    how = "Gaussian expectations, with error estimates."
    takes_nan = False
    formula: MeanFormula

    def __call__(self, *unnamed: Any, **values: Any) -> Any:
        """The values, refused nowhere: ask `with_error` how good they are."""
        by_name(self.formula.name, self.formula.arguments, unnamed)
        return self.with_error(**values)[0]

    def with_error(self, **values: Any) -> tuple[Any, Any]:
        """The values and estimates of their errors, first order in those of the expectations, rounding included."""
        xp = namespace(self.backend)
        arrays = [x.astype(xp.float64) for x in self._checked(values).values()]
        shaped = list(xp.broadcast_arrays(*arrays)) if arrays else []
        shape = shaped[0].shape if shaped else ()
        means, doubts = [], []
        for (factors, _), law in zip(self._nodes, self._laws(*shaped), strict=True):
            spread = [xp.broadcast_to(xp.asarray(x, dtype=xp.float64), shape) for x in law]
            mean, doubt = expectation(factors, variables_of(spread, self.backend))
            means.append(mean)
            doubts.append(doubt + ROUNDING * abs(mean))
        result, of_roots, *slopes = (xp.asarray(x, dtype=xp.float64) for x in self._joined(*shaped, *means))
        own = ROUNDING * abs(result) + of_roots
        error = sum((abs(slope) * doubt for slope, doubt in zip(slopes, doubts, strict=True) if xp.any(doubt)), own)
        return xp.broadcast_to(result, shape) + 0.0, xp.broadcast_to(error, shape) + 0.0

    @cached_property
    def _means(self) -> list[GaussianMean]:
        return sorted(self.formula.nodes.atoms(GaussianMean), key=sp.default_sort_key)

    @cached_property
    def _nodes(self) -> list[tuple[tuple[Factor, ...], list[sp.Expr]]]:
        """The factors of every expectation, and the means and covariances it is taken at."""
        return [
            (
                tuple((str(name), int(order)) for name, order in node.args[0]),
                [x for part in node.args[1:] for x in part],
            )
            for node in self._means
        ]

    @cached_property
    def _laws(self) -> Callable[..., Any]:
        return emitted(list(self.formula.symbols.values()), [law for _, law in self._nodes], self.backend)

    @cached_property
    def _joined(self) -> Callable[..., Any]:
        """The formula, the error that the roots in it add, and its derivatives by the expectations in it."""
        dummies = {node: sp.Dummy(real=True) for node in self._means}
        plain = self.formula.nodes.xreplace(dummies)
        arguments = [*self.formula.symbols.values(), *dummies.values()]
        of_roots = _error_of_roots(plain)
        return emitted(arguments, [plain, of_roots, *(sp.diff(plain, x) for x in dummies.values())], self.backend)


def _error_of_roots(expr: sp.Expr) -> sp.Expr:
    """What the errors of the computed Perron roots add to an expression, in first order."""
    dummies = {root: sp.Dummy(real=True) for root in sorted(expr.atoms(PerronRoot), key=sp.default_sort_key)}
    opaque = expr.xreplace(dummies)
    terms = [sp.Abs(sp.diff(opaque, x)) * PerronGap(*root.args) for root, x in dummies.items()]
    return sp.Add(*terms).xreplace({x: root for root, x in dummies.items()})
