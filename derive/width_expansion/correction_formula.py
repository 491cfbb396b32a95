"""A correction of order 1/n as a function of the inputs and the variances, with an estimate of its error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import emitted
from wideproof.derive.calculus.moments import Gram
from wideproof.derive.emit.compiled import Compiled, real_array
from wideproof.derive.emit.formula import Formula
from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.derive.width_expansion.overlaps import OfOverlaps
from wideproof.derive.width_expansion.product_integrals import JointGaussian, ProductIntegrals
from wideproof.derive.width_expansion.product_means import ProductMean

ROUNDING = 64 * float(np.finfo(float).eps)
"""What an equation is rounded by, relative to the sum of the sizes of its terms."""
X = sp.Symbol("X", real=True)


@dataclass(frozen=True, repr=False)
class CorrectionFormula(Formula):
    """The coefficient of 1/n in a second moment, determined by its equations."""

    def compile(self, backend: str = "numpy") -> CorrectionFunction:
        """A function of the Gram X (T, T) of one sequence and the variances; `.with_error` estimates its error.

        Errors: ParameterError for a missing or unknown argument, a negative variance, another backend than numpy;
        ShapeError where X is no square matrix with a row for each step.
        """
        if backend != "numpy":
            hint = "Corrections are numbers of one sequence: take numpy."
            raise ParameterError(f"compile of {self.name}", "'numpy'", repr(backend), hint)
        return CorrectionFunction(self, backend)

    @cached_property
    def steps(self) -> int:
        """How many steps of the input it reads."""
        assert self.recurrence is not None
        sides = [self.recurrence.right, *(e.right for e in self.recurrence.equations)]
        return 1 + max((int(max(x.args[:2])) for side in sides for x in side.atoms(Gram)), default=0)


class _Node(NamedTuple):
    """An expectation: its functions, orders of derivatives, and where its law stands in the list of laws."""

    products: tuple[sp.Tuple, ...]
    orders: tuple[int, ...]
    size: int


class _Equation(NamedTuple):
    """An equation as functions of what it reads: the laws of its expectations, its value, the sizes of its terms.

    `read` are the places of that among the variances, the inner products and what the equations before it give.
    """

    read: list[int]
    laws: Callable[..., Any]
    nodes: list[_Node]
    value: Callable[..., Any]
    sizes: Callable[..., Any]


class CorrectionFunction(Compiled):
    """A compiled correction: its equations, one after the other."""

    how = "the derived equations at one sequence, expectations by quadrature."
    takes_nan = False
    formula: CorrectionFormula

    @property
    def arguments(self) -> tuple[str, ...]:
        """The Gram matrix, then the variances."""
        return ("X", *self.formula.symbols)

    @property
    def scalars(self) -> tuple[str, ...]:
        """The variances."""
        return tuple(self.formula.symbols)

    def __call__(self, **values: Any) -> float:
        """The coefficient of 1/n."""
        return self.with_error(**values)[0]

    def with_error(self, X: Any = None, **values: Any) -> tuple[float, float]:
        """The coefficient of 1/n, and an estimate of its error: what coarser integrals change, and rounding."""
        gram = self._gram(X)
        at = {name: float(x) for name, x in self._numbers(values).items()}
        (coarse, _), (fine, size) = (self._evaluated(gram, at, fineness) for fineness in (0, 1))
        return fine, abs(fine - coarse) + ROUNDING * size

    def _numbers(self, values: Mapping[str, Any]) -> dict[str, Any]:
        arrays = self._checked(values)
        for name, array in arrays.items():
            if array.shape:
                raise ShapeError(self._where, f"one number {name}", f"an array {array.shape}", "Call it once for each.")
        return arrays

    def _gram(self, given: Any) -> np.ndarray[Any, Any]:
        steps = self.formula.steps
        hint = (
            f"X[t, s] is the inner product of the inputs at t and s, of which {steps} are read; [[1.0]] is one alone."
        )
        if given is None:
            raise ParameterError(self._where, "X, the Gram of the inputs", "none", hint)
        gram = real_array(self._where, X, given, self.backend)
        if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or len(gram) < steps:
            raise ShapeError(self._where, f"X of shape (T, T), T >= {steps}", tuple(gram.shape), hint)
        return np.asarray(gram, dtype=np.float64)

    def _evaluated(self, gram: Any, at: Mapping[str, float], fineness: int) -> tuple[float, float]:
        """The correction, and the sum of the sizes of all terms that make it up."""
        equations, grams = self._compiled(frozenset(name for name, x in at.items() if x == 0))
        known = [*at.values(), *(float(gram[place]) for place in grams)]
        sizes = [abs(x) for x in known]
        integrals: dict[Any, ProductIntegrals] = {}
        for equation in equations:
            read, large = ([numbers[i] for i in equation.read] for numbers in (known, sizes))
            law = iter(map(float, equation.laws(*read)))
            means = [_mean(node, [next(law) for _ in range(node.size)], integrals, fineness) for node in equation.nodes]
            known.append(float(equation.value(*read, *(mean for mean, _ in means))))
            sizes.append(float(equation.sizes(*large, *(size for _, size in means))))
        return known[-1], sizes[-1]

    @lru_cache(maxsize=8)  # noqa: B019 (a compiled function is kept as long as its code)
    def _compiled(self, zeros: frozenset[str]) -> tuple[list[_Equation], list[tuple[int, int]]]:
        """The equations as code, where the symbols named are zero and what they multiply is left out."""
        form = self.formula.recurrence
        assert form is not None
        gone = {self.formula.symbols[name]: sp.S.Zero for name in zeros}
        pairs = [(e.left, e.right) for e in form.equations] + [(None, form.right)]
        sides = [(left, sp.expand(right.xreplace(gone))) for left, right in pairs]
        grams = sorted(set().union(*(right.atoms(Gram) for _, right in sides)), key=sp.default_sort_key)
        names: dict[sp.Expr, sp.Expr] = {x: sp.Dummy(real=True) for x in grams}
        arguments = [*self.formula.symbols.values(), *names.values()]
        made = []
        for left, right in sides:
            made.append(_compiled(right, names, arguments))
            if left is not None:
                names[left] = sp.Dummy(real=True)
                arguments.append(names[left])
        return made, [(int(x.args[0]), int(x.args[1])) for x in grams]


def _mean(node: _Node, law: list[float], known: dict[Any, ProductIntegrals], fineness: int) -> tuple[float, float]:
    """One expectation, and its size; the nodes of equal functions and laws are made once."""
    count = len(node.products)
    key = (node.products, JointGaussian(tuple(law[:count]), tuple(law[count:])))
    if key not in known:
        known[key] = ProductIntegrals(*key, fineness)
    return known[key].derivative(node.orders)


def _compiled(right: sp.Expr, names: Mapping[sp.Expr, sp.Expr], arguments: list[sp.Expr]) -> _Equation:
    means = sorted(right.atoms(ProductMean), key=sp.default_sort_key)
    dummies = {node: sp.Dummy(real=True) for node in means}
    plain = _named(right.xreplace(dummies), names)
    laws = [_named(x, names) for node in means for part in node.args[1:] for x in part]
    nodes = [
        _Node(
            tuple(product for product, _ in node.args[0]),
            tuple(int(order) for _, order in node.args[0]),
            sum(len(part) for part in node.args[1:]),
        )
        for node in means
    ]
    terms = [term.as_coeff_Mul() for term in sp.Add.make_args(plain)]
    sizes = sp.Add(*(abs(coefficient) * rest for coefficient, rest in terms))
    free = plain.free_symbols.union(*(x.free_symbols for x in laws))
    read = [i for i, x in enumerate(arguments) if x in free]
    own = [arguments[i] for i in read]
    value, size = (emitted([*own, *dummies.values()], side, "numpy") for side in (plain, sizes))
    return _Equation(read, emitted(own, laws, "numpy"), nodes, value, size)


def _named(expr: sp.Expr, names: Mapping[sp.Expr, sp.Expr]) -> sp.Expr:
    """An expression in which what stands before has its name; quantities of overlaps first, as they hold these."""
    holding = [x for x in expr.atoms(OfOverlaps) if any(isinstance(a, OfOverlaps) for a in x.args)]
    return expr.xreplace({x: names[x] for x in holding if x in names}).xreplace(names)
