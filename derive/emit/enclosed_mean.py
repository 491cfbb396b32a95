"""Formulas that hold Gaussian expectations, in ball arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import sympy as sp

from wideproof.derive.algebra.ball_code import emitted, flint
from wideproof.derive.emit.mean_formula import MeanFormula
from wideproof.derive.expectation.enclosures.pairs import Factor, PairLaw, enclosure
from wideproof.derive.expectation.symbolic_expectation import GaussianMean


def enclosed_mean(formula: MeanFormula, values: Mapping[str, Any]) -> Any:
    """A ball that holds a formula for every value of its symbols in the given balls, at the precision that is set.

    Shapes: scalar.  Units: of the formula.  Error: none; NotAccurate where an expectation has no finite enclosure.
    """
    arb, acb = flint().arb, flint().acb
    nodes, laws, joined = _compiled(formula.nodes, tuple(formula.symbols.values()))
    given = [arb(values[name]) for name in formula.symbols]
    means = []
    for (factors, same), law in zip(nodes, laws(*given, False), strict=True):
        parts = [acb(x).real for x in law]
        first, second, a, c, b = parts if len(parts) == 5 else (parts[0], parts[0], parts[1], arb(0), parts[1])
        means.append(enclosure(factors, PairLaw((first, second), (a, b), c, same)))
    return acb(joined(*given, *means, False)).real


@lru_cache(maxsize=128)
def _compiled(expr: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> tuple[list[tuple[tuple[Factor, ...], bool]], Any, Any]:
    """The factors of every expectation and whether they are of one variable, its law, and the formula of them."""
    means = sorted(expr.atoms(GaussianMean), key=sp.default_sort_key)
    nodes = [
        (
            tuple((str(name), int(order)) for name, order in node.args[0]),
            len(set(node.args[1])) == len(set(node.args[2])) == 1,
        )
        for node in means
    ]
    dummies = {node: sp.Dummy(real=True) for node in means}
    laws = emitted(symbols, [[x for part in node.args[1:] for x in part] for node in means])
    return nodes, laws, emitted([*symbols, *dummies.values()], expr.xreplace(dummies))
