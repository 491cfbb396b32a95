"""Expectations of products of functions of jointly Gaussian variables, and their derivatives by the covariances.

All factors of one variable are kept as one function, and a derivative falls on that function as a whole: the square of
a relu has two derivatives where the relu has one.
"""

from __future__ import annotations

from typing import Any

import sympy as sp

from wideproof.derive.expectation.symbolic_expectation import Factor, GaussianMean, MeanNode


class ProductMean(MeanNode):
    """E[prod_i d^{k_i} f_i(z_i)], z ~ N(means, cov), each f_i a product of activations of one variable.

    Its functions are ((((name, order), ...), k), ...).
    """

    lettered = True

    def raised(self, *places: int) -> ProductMean:
        """The same with one more derivative of the function at each of these places."""
        functions = [sp.Tuple(product, order + places.count(i)) for i, (product, order) in enumerate(self.args[0])]
        return ProductMean(functions, *self.args[1:])

    @property
    def least_orders(self) -> list[int]:
        """The orders to which each activation must have derivatives for no derivative of a product to vanish."""
        return [max(int(k) for _, k in f) + max(-(-int(order) // len(f)) - 1, 0) for f, order in self.args[0]]

    def _sympystr(self, printer: Any) -> str:
        law = ", ".join(printer._print(c) for c in self.args[2])
        return f"E[{' '.join(_text(f, i) for i, f in enumerate(self.args[0]))}; {law}]"

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        functions, means, cov = self.args
        one = len(functions) == 1
        inside = r"\,".join(
            _latex_of(f, "u" if one else f"u_{{{i}}}", "" if m == 0 else f"{printer._print(m)} + ")
            for i, (f, m) in enumerate(zip(functions, means, strict=True), 1)
        )
        entries = ", ".join(map(printer._print, cov))
        law = f"v = {entries}" if one else entries if len(cov) == 1 else rf"\Sigma = ({entries})"
        body = rf"\mathbb{{E}}\left[{inside}\right]_{{{law}}}"
        return rf"{{{body}}}^{{{exp}}}" if exp else body


def joined(factors: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """The factors of a monomial with all that are functions of one variable as one factor; its name is their list."""
    groups: dict[Any, list[Factor]] = {}
    for factor in factors:
        groups.setdefault(factor.form, []).append(factor)
    return tuple(
        Factor(sp.Tuple(*sorted(((f.name, sp.Integer(f.order)) for f in group), key=str)), 0, form)
        for form, group in groups.items()
    )


def as_product_means(expr: sp.Expr) -> sp.Expr:
    """The expectations of joined factors as such."""
    return expr.xreplace({node: ProductMean(*node.args) for node in expr.atoms(GaussianMean)})


def expanded(expr: sp.Expr) -> sp.Expr:
    """A sum of products; what stands inside expectations and other functions is left as it is."""
    held = {x: sp.Dummy(real=True) for x in expr.atoms(GaussianMean, ProductMean, sp.Function)}
    return sp.expand(expr.xreplace(held)).xreplace({dummy: x for x, dummy in held.items()})


def slope(expr: sp.Expr, x: sp.Symbol) -> sp.Expr:
    """The derivative by x of an expression whose expectations have covariances in x.

    dE[f]/d cov_ij = E[d_i d_j f], half of it on the diagonal.  Source: price1958useful.
    """
    nodes = {node: sp.Dummy() for node in sorted(expr.atoms(ProductMean), key=sp.default_sort_key)}
    back = {dummy: node for node, dummy in nodes.items()}
    plain = expr.xreplace(nodes)
    inner = sp.Add(
        *(sp.diff(plain, dummy) * _price(node, x) for node, dummy in nodes.items() if x in node.free_symbols)
    )
    return expanded((sp.diff(plain, x) + inner).xreplace(back))


def _price(node: ProductMean, x: sp.Symbol) -> sp.Expr:
    size = len(node.args[0])
    places = [(i, j) for i in range(size) for j in range(i, size)]
    total = sp.S.Zero
    for (i, j), entry in zip(places, node.args[2], strict=True):
        weight = sp.diff(entry, x) * (sp.S.Half if i == j else 1)
        total += weight * node.raised(i, j) if weight != 0 else 0
    return total


def _text(function: sp.Tuple, i: int) -> str:
    product, order = function
    inside = "*".join(f"{name}{chr(39) * int(k)}" for name, k in product)
    return f"d{order}({inside})(z{i})" if order else f"({inside})(z{i})"


def _latex_of(function: sp.Tuple, variable: str, shift: str) -> str:
    """A product of activations of one variable, equal ones as a power, and its derivative; of one by primes."""
    product, order = function
    if len(product) == 1:
        ((name, k),) = product
        return rf"\mathrm{{{name}}}{chr(39) * int(k + order)}({shift}{variable})"
    parts = []
    for name, k in dict.fromkeys(product):
        power = product.args.count(sp.Tuple(name, k))
        word = rf"\mathrm{{{name}}}{chr(39) * int(k)}"
        parts.append(rf"{{{word}}}^{{{power}}}" if power > 1 else word)
    body = r"\,".join(parts)
    whole = rf"\left({body}\right)^{{({order})}}" if order else body if len(parts) == 1 else rf"\left({body}\right)"
    return rf"{whole}({shift}{variable})"
