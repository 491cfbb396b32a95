"""Printers of array code: exact or refused, every function they print is in their own table."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp
from sympy.printing.numpy import CuPyPrinter, NumPyPrinter

from .closed_form import PowerDD
from .errors import NotClosed, ParameterError


def namespace(backend: str) -> Any:
    """The array module of that name.  Errors: ParameterError where it is not installed."""
    try:
        return importlib.import_module(backend)
    except ImportError as error:
        raise ParameterError("compile", "an installed array library", backend,
                             "Install it with pip install 'wideproof[cuda12]' (or [cuda13]).") from error


def emitted(arguments: Sequence[sp.Expr], content: Any, backend: str, cse: bool = True) -> Callable[..., Any]:
    """A function of the arguments, common subexpressions computed once.  Errors: NotClosed for what has no rule."""
    xp = namespace(backend)
    scope = {backend: xp, "power_dd": functools.partial(power_dd, xp), "damped": functools.partial(damped, xp),
             "erf": functools.partial(erf, xp)}
    return sp.lambdify(list(arguments), content, modules=[scope], printer=printer(backend), cse=cse)


class ArrayCode:
    """Fully qualified names; refuses what it has no rule for.  A mixin before a printer of SymPy."""

    module: str

    def _called(self, name: str, expr: sp.Expr) -> str:
        return f"{name}({', '.join(map(self._print, expr.args))})"

    def _print(self, expr: Any, **settings: Any) -> str:
        return super()._print(expr, **settings)  # type: ignore[misc]

    def _print_PowerDD(self, expr: PowerDD) -> str:
        return self._called("power_dd", expr)

    def _print_Damped(self, expr: sp.Expr) -> str:
        return self._called("damped", expr)

    def _print_erf(self, expr: sp.Expr) -> str:
        return self._called("erf", expr)

    def _print_Heaviside(self, expr: sp.Expr) -> str:
        return f"{self.module}.heaviside({self._print(expr.args[0])}, 0.5)"

    def _print_KroneckerDelta(self, expr: sp.KroneckerDelta) -> str:
        a, b = map(self._print, expr.args)
        return f"1.0*(({a}) == ({b}))"

    def _print_Max(self, expr: sp.Max) -> str:
        return self._folded("maximum", expr)

    def _print_Min(self, expr: sp.Min) -> str:
        return self._folded("minimum", expr)

    def _folded(self, name: str, expr: sp.Expr) -> str:
        first, *rest = map(self._print, expr.args)
        return functools.reduce(lambda a, b: f"{self.module}.{name}({a}, {b})", rest, first)

    def _print_Pow(self, expr: sp.Pow, rational: bool = False, sqrt: str = "numpy.sqrt") -> str:
        if abs(expr.exp) == sp.S.Half:
            root = f"{self.module}.sqrt({self._print(expr.base)})"
            return root if expr.exp.is_positive else f"(1.0/{root})"
        if expr.exp.is_Integer and int(expr.exp) > 0:
            return f"({self._print(expr.base)})**{int(expr.exp)}"
        return f"{self.module}.power(1.0*({self._print(expr.base)}), {self._print(expr.exp)})"

    def _print_not_supported(self, expr: sp.Expr) -> str:
        raise NotClosed("compile", "functions the emitter knows", expr.func.__name__,
                        "Register a printer for it in derive.printing.")


class NumPyCode(ArrayCode, NumPyPrinter):
    """Array code for NumPy."""

    module = "numpy"


class CuPyCode(ArrayCode, CuPyPrinter):
    """Array code for CuPy."""

    module = "cupy"


BACKENDS: dict[str, type[ArrayCode]] = {"numpy": NumPyCode, "cupy": CuPyCode}


def printer(backend: str) -> Any:
    """The printer of a backend."""
    return BACKENDS[backend]({"fully_qualified_modules": True, "allow_unknown_functions": False})  # type: ignore[call-arg]


def erf(xp: Any, z: Any) -> Any:
    """The error function of the arrays of either backend."""
    return importlib.import_module("scipy.special" if xp.__name__ == "numpy" else "cupyx.scipy.special").erf(z)


def damped(xp: Any, x: Any, y: Any, odd: int) -> Any:
    """exp(-x) sinh(y) for odd = 1, exp(-x) cosh(y) for odd = 0, without overflow where |y| <= x."""
    size = xp.exp(xp.abs(y) - x)
    if odd:
        return -0.5 * size * xp.sign(y) * xp.expm1(-2.0 * xp.abs(y))
    return 0.5 * size * (1.0 + xp.exp(-2.0 * xp.abs(y)))


def power_dd(xp: Any, j: Any, *nodes: Any) -> Any:
    """The divided difference of x^j at the nodes, by squaring the bidiagonal matrix that has them on its diagonal.

    Shapes: j and nodes broadcast.  Error: a few units in the last place times log2(j); no cancellation for
    non-negative nodes.  Source: opitz1964steigungsmatrizen (the matrix function with f = x^j).
    """
    j, *values = xp.broadcast_arrays(xp.asarray(j), *(xp.asarray(v, dtype=xp.float64) for v in nodes))
    size = len(values)
    zero, one = xp.zeros_like(values[0]), xp.ones_like(values[0])
    square = [[values[a] if a == b else one if b == a + 1 else zero for b in range(size)] for a in range(size)]
    result = [[one if a == b else zero for b in range(size)] for a in range(size)]
    left = j.astype(xp.int64)
    while bool(xp.any(left > 0)):
        odd = left % 2 == 1
        product = _upper_product(result, square, zero)
        result = [[xp.where(odd, product[a][b], result[a][b]) for b in range(size)] for a in range(size)]
        left = left // 2
        if bool(xp.any(left > 0)):
            square = _upper_product(square, square, zero)
    return result[0][size - 1]


def _upper_product(left: list[list[Any]], right: list[list[Any]], zero: Any) -> list[list[Any]]:
    size = len(left)
    return [[sum((left[a][c] * right[c][b] for c in range(a, b + 1)), start=zero) for b in range(size)]
            for a in range(size)]
