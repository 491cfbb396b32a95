"""Products of functions of one argument, such as z tanh(z), as one function of it: an activation by its own name.

The calculus takes activations of Gaussian variables. A product of several of the same variable is one of them; kept as
a product it would need derivatives that a kink or a jump does not have, or moments of many variables. An affine
function is no activation, and is written out.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import sympy as sp

from wideproof.derive.language.activations import Phi, affine_definition, product_name
from wideproof.derive.language.program import Coordinate

Factor = tuple[sp.Expr, int]
Combination = dict[tuple[str, ...], sp.Expr]
"""Names of the factors of each product of functions of one argument -> its coefficient."""


@lru_cache(maxsize=4096)  # a part is met many times, and each time folded with all its own parts
def folded(expr: sp.Expr) -> sp.Expr:
    """The same expression, affine activations written out, and products of functions of one argument one activation."""
    return _folded(expr.replace(Phi, _written_out))


def _written_out(name: sp.Symbol, order: sp.Expr, z: sp.Expr) -> sp.Expr:
    """An activation that is an affine function, as what it is: a linear recursion is then seen to be one."""
    affine = affine_definition(str(name)) if order == 0 else None
    return Phi(name, order, z) if affine is None else affine[0] * z + affine[1]


def _folded(expr: sp.Expr) -> sp.Expr:
    """Activations of one argument multiplied by each other or by it joined to one activation."""
    if isinstance(expr, sp.Add):
        return sp.Add(*map(_folded, _collected(expr)))
    if isinstance(expr, Phi):
        return Phi(*expr.args[:2], _folded(expr.args[2]))
    if not expr.has(Phi):
        return expr
    factors = [_power(x) for x in sp.Mul.make_args(expr)]
    return _joined(factors) if all(factors) else expr  # type: ignore[arg-type]


def _collected(expr: sp.Add) -> list[sp.Expr]:
    """The terms of a sum, those put together that share their activations and fold only together: a f(z) + b f(z)."""
    groups: dict[sp.Expr, list[sp.Expr]] = {}
    for term in expr.args:
        beside, functions = term.as_independent(Phi, as_Add=False)
        groups.setdefault(functions, []).append(beside)
    terms = []
    for functions, besides in groups.items():
        whole = sp.Mul(sp.Add(*besides), functions, evaluate=False)
        folds = functions != 1 and len(besides) > 1 and _folded(whole).atoms(Phi) != functions.atoms(Phi)
        terms += [whole] if folds else [beside * functions for beside in besides]
    return terms


def _power(factor: sp.Expr) -> Factor | None:
    """A factor as base and whole positive power; what holds no coordinate is its own base."""
    if not factor.has(Coordinate):
        return factor, 1
    base, power = factor.as_base_exp()
    return (_folded(base), int(power)) if power.is_Integer and power > 0 else None


def _joined(factors: list[Factor]) -> sp.Expr:
    whole = sp.Mul(*(base**power for base, power in factors))
    for z in sorted({phi.args[2] for phi in whole.atoms(Phi) if _is_plain(phi)}, key=str):
        parts = {base: found for base, _ in factors if (found := _functions_of(base, z))}
        if sum(power for base, power in factors if base in parts) < 2 or not any(base.has(Phi) for base in parts):
            continue
        rest = [(base, power) for base, power in factors if base not in parts]
        joined = _product_of([parts[base] for base, power in factors if base in parts for _ in range(power)])
        functions = sp.Add(*(c * _function(names, z) for names, c in joined.items()))
        return sp.Add(*(_joined([*rest, (x, 1)]) for x in sp.Add.make_args(functions))) if rest else functions
    return whole


def _is_plain(phi: Phi) -> bool:
    return phi.args[1] == 0 and phi.args[2].has(Coordinate)


def _functions_of(base: sp.Expr, z: sp.Expr) -> Combination:
    """A factor as coefficients of 1, z and activations of z; empty where it is no combination of these."""
    found: Combination = {}
    left = sp.expand(base)
    for phi in sorted(left.atoms(Phi), key=str):
        if _is_plain(phi) and phi.args[2] == z:
            found[str(phi.args[0]),] = left.coeff(phi)
            left = sp.expand(left - left.coeff(phi) * phi)
    ratio = _ratio(left, sp.expand(z))
    constant = sp.expand(left - ratio * sp.expand(z))
    found |= {("z",): ratio, (): constant}
    found = {names: c for names, c in found.items() if c != 0}
    return {} if set(found) <= {()} or any(c.has(Coordinate, Phi) for c in found.values()) else found


def _ratio(left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """How often z is in an expression, read off its first term."""
    terms = [x for x in sp.Add.make_args(right) if x.has(Coordinate)]
    coefficient, vector = terms[0].as_independent(Coordinate, Phi, as_Add=False)
    return left.coeff(vector) / coefficient


def _product_of(combinations: list[Combination]) -> Combination:
    total: Combination = {(): sp.S.One}
    for one in combinations:
        product: Combination = {}
        for (names, c), (more, d) in itertools.product(total.items(), one.items()):
            key = tuple(sorted(names + more))
            product[key] = product.get(key, sp.S.Zero) + c * d
        total = product
    return total


def _function(names: tuple[str, ...], z: sp.Expr) -> sp.Expr:
    """A product of powers of z and of activations of it: by Isserlis' theorem where there is no activation."""
    if set(names) <= {"z"}:
        return z ** len(names)
    return Phi(sp.Symbol(product_name((name, 1) for name in names)), 0, z)
