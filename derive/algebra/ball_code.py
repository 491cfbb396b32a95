"""Printer of ball code: an expression as a function of balls, whose value encloses that of the expression.

A ball is a midpoint with a radius; python-flint rounds every operation outward, so that the result holds the value at
every point of the arguments. With `analytic`, what is not analytic on the whole argument is not finite, as `integral`
asks; functions with kinks are continued from the side of the real line that the argument lies on.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp
from sympy.printing.pycode import AbstractPythonCodePrinter

from wideproof.derive.algebra.code_printer import CodePrinter
from wideproof.derive.language.errors import ParameterError

ANALYTIC = sp.Symbol("analytic_")
PLAIN = ("tanh", "sinh", "cosh", "erf", "sin", "cos", "exp", "acos")
FLAGGED = {"log": "log", "sign": "real_sgn", "Heaviside": "real_heaviside", "Abs": "real_abs"}
"""Name in SymPy -> method of a ball that takes the flag."""


def flint() -> Any:
    """The module of ball arithmetic.  Errors: ParameterError where it is not installed."""
    try:
        return importlib.import_module("flint")
    except ImportError as error:
        raise ParameterError(
            "certified bounds",
            "python-flint, which does ball arithmetic",
            "an environment without it",
            "It is installed with wideproof; if it was removed: pip install python-flint.",
        ) from error


def emitted(arguments: Sequence[sp.Expr], content: Any) -> Callable[..., Any]:
    """A function of balls, then the flag `analytic`.  Errors: NotClosed for what has no rule."""
    acb = flint().acb
    scope: dict[str, Any] = {name: functools.partial(_plain, acb, name) for name in PLAIN}
    scope |= {name: functools.partial(_flagged, acb, method) for name, method in FLAGGED.items()}
    scope |= {
        "atan": functools.partial(_atan, acb),
        "maximum": lambda x, y, analytic: acb(x).real_max(acb(y), analytic=analytic),
        "minimum": lambda x, y, analytic: acb(x).real_min(acb(y), analytic=analytic),
        "root": lambda x, analytic: acb(x).real_sqrt(analytic=analytic),
        "power": lambda x, y, analytic: acb(x).pow(acb(y), analytic=analytic),
        "ratio": functools.partial(_ratio, flint()),
        "pi": flint().arb.pi,
    }
    names = {x: sp.Symbol(f"in{i}_") for i, x in enumerate(arguments)}  # of dummies SymPy would rename the flag too
    renamed = _renamed(content, names)
    return sp.lambdify([*names.values(), ANALYTIC], renamed, [scope], BallCode(), cse=True, docstring_limit=0)


def _renamed(content: Any, names: dict[sp.Expr, sp.Symbol]) -> Any:
    return [_renamed(x, names) for x in content] if isinstance(content, list) else content.xreplace(names)


def _plain(acb: Any, name: str, x: Any) -> Any:
    return getattr(acb(x), name)()


def _flagged(acb: Any, method: str, x: Any, analytic: bool) -> Any:
    return getattr(acb(x), method)(analytic=analytic)


def _atan(acb: Any, x: Any, analytic: bool) -> Any:
    """The inverse tangent, whose cuts are on the imaginary axis beyond i and -i."""
    x = acb(x)
    if analytic and x.real.contains(0) and not bool(x.imag.abs_upper() < 1):
        return acb("nan")
    return x.atan()


def _ratio(module: Any, numerator: int, denominator: int) -> Any:
    return module.arb(module.fmpq(numerator, denominator))


class BallCode(CodePrinter, AbstractPythonCodePrinter):
    """Names of the table of `emitted`; refuses what it has no rule for."""

    refusal = ("enclosure", "functions that ball arithmetic knows")

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False, "inline": True, "allow_unknown_functions": False})

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"ratio({expr.p}, {expr.q})"

    def _print_Float(self, expr: sp.Float) -> str:
        return str(self._print_Rational(sp.Rational(expr)))

    def _print_Half(self, expr: sp.Rational) -> str:
        return self._print_Rational(expr)

    def _print_Pi(self, expr: sp.Expr) -> str:
        return "pi()"

    def _print_Exp1(self, expr: sp.Expr) -> str:
        return "exp(1)"

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:
        base = self._print(expr.base)
        if expr.exp.is_Integer:
            return f"({base})**({int(expr.exp)})"
        if abs(expr.exp) == sp.S.Half:
            return f"root({base}, analytic_)" if expr.exp.is_positive else f"(1/root({base}, analytic_))"
        if expr.exp.is_Rational:
            return f"power({base}, {self._print(expr.exp)}, analytic_)"
        return f"exp({self._print(expr.exp)}*log({base}, analytic_))"

    def _print_Function(self, expr: sp.Expr) -> str:
        name = expr.func.__name__
        if name in PLAIN:
            return f"{name}({self._print(expr.args[0])})"
        if name in FLAGGED or name == "atan":
            return f"{name}({self._print(expr.args[0])}, analytic_)"
        return self._print_not_supported(expr)

    _print_sign = _print_Heaviside = _print_Abs = _print_Function

    def _of_two(self, name: str, first: str, second: str) -> str:
        return f"{name}({first}, {second}, analytic_)"

    emptyPrinter = CodePrinter._print_not_supported
    _print_Catalan = _print_EulerGamma = _print_GoldenRatio = _print_TribonacciConstant = emptyPrinter
