"""Printers of array code: exact or refused, every function they print is in their own table."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import sympy as sp
from sympy.printing.numpy import CuPyPrinter, NumPyPrinter

from wideproof.derive.algebra.code_printer import CodePrinter
from wideproof.derive.algebra.linear_recurrences import PowerDD
from wideproof.derive.language.errors import ParameterError

TAYLOR = 18
"""Terms of the exponential of a matrix of size 1/2 to double precision."""
ROUNDING = 8 * float(np.finfo(float).eps)
Blocks: TypeAlias = list[list[Any]]


def namespace(backend: str) -> Any:
    """The array module of that name.  Errors: ParameterError for another name, and where it is not installed."""
    if backend not in BACKENDS:
        hint = "CuPy comes with pip install 'wideproof[cuda12]' or 'wideproof[cuda13]'."
        raise ParameterError("backend", " or ".join(map(repr, BACKENDS)), repr(backend), hint)
    try:
        return importlib.import_module(backend)
    except ImportError as error:
        raise ParameterError(
            "compile",
            "an installed array library",
            backend,
            "Install it with pip install 'wideproof[cuda12]' (or [cuda13]).",
        ) from error


def emitted(arguments: Sequence[sp.Expr], content: Any, backend: str, cse: bool = True) -> Callable[..., Any]:
    """A function of the arguments, common subexpressions computed once.  Errors: NotClosed for what has no rule."""
    xp = namespace(backend)
    scope = {
        backend: xp,
        "power_dd": functools.partial(power_dd, xp),
        "damped": functools.partial(damped, xp),
        "erf": functools.partial(erf, xp),
        "power_at_pair": functools.partial(power_at_pair, xp),
        "exp_at_pair": functools.partial(exp_at_pair, xp),
        "perron_root": functools.partial(perron_root, xp),
        "perron_slope": functools.partial(perron_slope, xp),
        "perron_gap": functools.partial(perron_gap, xp),
    }
    how = {"printer": printer(backend), "cse": cse, "docstring_limit": 0}  # a text of all of it that nothing reads
    return sp.lambdify(list(arguments), content, modules=[scope], **how)


class ArrayCode(CodePrinter):
    """Fully qualified names; refuses what it has no rule for.  A mixin before a printer of SymPy."""

    module: str
    refusal = ("compile", "functions the emitter knows")

    def _called(self, name: str, expr: sp.Expr) -> str:
        return f"{name}({', '.join(map(self._print, expr.args))})"

    def _print_PowerDD(self, expr: PowerDD) -> str:
        return self._called("power_dd", expr)

    def _print_Damped(self, expr: sp.Expr) -> str:
        return self._called("damped", expr)

    def _print_PowerAtPair(self, expr: sp.Expr) -> str:
        return self._called("power_at_pair", expr)

    def _print_ExpAtPair(self, expr: sp.Expr) -> str:
        return self._called("exp_at_pair", expr)

    def _print_PerronRoot(self, expr: sp.Expr) -> str:
        return self._called("perron_root", expr)

    def _print_PerronSlope(self, expr: sp.Expr) -> str:
        return self._called("perron_slope", expr)

    def _print_PerronGap(self, expr: sp.Expr) -> str:
        return self._called("perron_gap", expr)

    def _print_erf(self, expr: sp.Expr) -> str:
        return self._called("erf", expr)

    def _print_log(self, expr: sp.log) -> str:
        if isinstance(half := expr.args[0] / 2, sp.cosh):  # cosh overflows where its logarithm does not
            argument = self._print(half.args[0])
            return f"{self.module}.logaddexp({argument}, -({argument}))"
        return f"{self.module}.log({self._print(expr.args[0])})"

    def _print_Heaviside(self, expr: sp.Expr) -> str:
        return f"{self.module}.heaviside({self._print(expr.args[0])}, 0.5)"

    def _print_KroneckerDelta(self, expr: sp.KroneckerDelta) -> str:
        a, b = map(self._print, expr.args)
        return f"1.0*(({a}) == ({b}))"

    def _of_two(self, name: str, first: str, second: str) -> str:
        return f"{self.module}.{name}({first}, {second})"

    def _print_Pow(self, expr: sp.Pow, rational: bool = False, sqrt: str = "numpy.sqrt") -> str:
        if abs(expr.exp) == sp.S.Half:
            root = f"{self.module}.sqrt({self._print(expr.base)})"
            return root if expr.exp.is_positive else f"(1.0/{root})"
        if expr.exp.is_Integer and int(expr.exp) > 0:
            return f"({self._print(expr.base)})**{int(expr.exp)}"
        return f"{self.module}.power(1.0*({self._print(expr.base)}), {self._print(expr.exp)})"


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


def owens_t(xp: Any, h: Any, slope: Any) -> Any:
    """Owen's T function; CuPy has none, so its arrays go through the host.  Source: owen1956tables."""
    found = importlib.import_module("scipy.special").owens_t(*(x.get() if hasattr(x, "get") else x for x in (h, slope)))
    return xp.asarray(found)


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
    size, zero, one = len(values), xp.zeros_like(values[0]), xp.ones_like(values[0])
    matrix = [[values[a] if a == b else one if b == a + 1 else zero for b in range(size)] for a in range(size)]
    return _power(xp, matrix, j.astype(xp.int64), _upper_product)[0][size - 1]


def power_at_pair(xp: Any, power: Any, s: Any, d: Any) -> Any:
    """The divided difference of x^power at 1, s + sqrt(d), s - sqrt(d), d of either sign.

    Shapes: broadcast.  Error: rounding times power.  Source: opitz1964steigungsmatrizen, the pair as a real block.
    """
    power, *values = xp.broadcast_arrays(xp.asarray(power), *(xp.asarray(v, dtype=xp.float64) for v in (s, d)))
    return _power(xp, _pair(xp, xp.ones_like(values[0]), *values), power.astype(xp.int64), _product)[0][1]


def exp_at_pair(xp: Any, time: Any, s: Any, d: Any) -> Any:
    """The divided difference of exp(time x) at 0, s + sqrt(d), s - sqrt(d), d of either sign.

    Shapes: broadcast.  Error: rounding times time times the largest node.
    Source: opitz1964steigungsmatrizen; scaling and squaring of moler2003nineteen, section 3.
    """
    time, s, d = xp.broadcast_arrays(*(xp.asarray(v, dtype=xp.float64) for v in (time, s, d)))
    spread = time * (xp.abs(s) + xp.sqrt(xp.abs(d)))
    size = float(xp.max(spread)) if spread.size else 0.0
    halvings = max(0, math.ceil(math.log2(max(size, 1.0))) + 1)
    short = time / 2.0**halvings
    matrix = [[short * x for x in row] for row in _pair(xp, xp.zeros_like(s), s, d)]
    term = total = _identity(xp, matrix)
    for order in range(1, TAYLOR):
        term = [[x / order for x in row] for row in _product(term, matrix)]
        total = [[x + y for x, y in zip(*rows, strict=True)] for rows in zip(total, term, strict=True)]
    for _ in range(halvings):
        total = _product(total, total)
    return total[0][1]


def perron_root(xp: Any, *entries: Any) -> Any:
    """The largest modulus of the eigenvalues of a matrix; CuPy has no such function, so its arrays go through the host.

    Shapes: entries broadcast, row by row.  Error: `perron_gap`.
    """
    return xp.asarray(np.abs(_dominant(_matrices(entries))[0]))


def perron_slope(xp: Any, place: Any, *entries: Any) -> Any:
    """The derivative of `perron_root` by the entry at a place.

    Shapes: entries broadcast, row by row.  Error: that of the eigenvectors; not finite where the root is not simple.
    Source: stewart1990matrix, theorem IV.2.3.
    """
    matrix = _matrices(entries)
    root, right = _dominant(matrix)
    _, left = _dominant(np.swapaxes(matrix, -1, -2))
    row, column = divmod(int(place), matrix.shape[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        moved = left[..., row] * right[..., column] / np.sum(left * right, axis=-1)
        return xp.asarray(np.real(moved * np.conj(root) / np.abs(root)))


def perron_gap(xp: Any, *entries: Any) -> Any:
    """A bound on the error of `perron_root`: the quotients (A x)_i / x_i of a positive vector x enclose the root.

    Shapes: entries broadcast, row by row.  Error: infinite where no such vector was found, as for negative entries.
    Source: collatz1942einschliessungssatz.
    """
    matrix = _matrices(entries)
    root, right = _dominant(matrix)
    x = np.abs(right)
    with np.errstate(divide="ignore", invalid="ignore"):
        quotients = np.sum(matrix * x[..., None, :], axis=-1) / x
        gap = np.max(np.abs(quotients - np.abs(root)[..., None]), axis=-1) + ROUNDING * np.abs(root)
    return xp.asarray(np.where(np.all(matrix >= 0, axis=(-2, -1)) & np.isfinite(gap), gap, np.inf))


def _matrices(entries: Sequence[Any]) -> Any:
    """The matrices of arrays of either backend, on the host.  Shapes: k^2 of (...) -> (..., k, k)."""
    values = np.broadcast_arrays(*(np.asarray(x.get() if hasattr(x, "get") else x, dtype=float) for x in entries))
    size = math.isqrt(len(values))
    return np.stack(values, axis=-1).reshape(*values[0].shape, size, size)


def _dominant(matrix: Any) -> tuple[Any, Any]:
    """The eigenvalue of the largest modulus, and its eigenvector; not a number where an entry is not finite."""
    finite = np.all(np.isfinite(matrix), axis=(-2, -1))
    values, vectors = np.linalg.eig(np.where(finite[..., None, None], matrix, 0.0))
    place = np.argmax(np.abs(values) + 1e-9 * np.real(values), axis=-1)
    root = np.take_along_axis(values, place[..., None], axis=-1)[..., 0]
    vector = np.take_along_axis(vectors, place[..., None, None], axis=-1)[..., 0]
    return np.where(finite, root, np.nan), vector


def _pair(xp: Any, node: Any, s: Any, d: Any) -> Blocks:
    """A real matrix with eigenvalues node, s + sqrt(d), s - sqrt(d); entry (0, 1) of f of it is their difference."""
    zero, one = xp.zeros_like(s), xp.ones_like(s)
    return [[node, zero, one], [zero, s, d], [zero, one, s]]


def _power(xp: Any, square: Blocks, left: Any, product: Callable[[Blocks, Blocks], Blocks]) -> Blocks:
    """A matrix of arrays to the powers `left`, by squaring."""
    result = _identity(xp, square)
    while bool(xp.any(left > 0)):
        odd, longer = left % 2 == 1, product(result, square)
        result = [
            [xp.where(odd, x, y) for x, y in zip(*rows, strict=True)] for rows in zip(longer, result, strict=True)
        ]
        left = left // 2
        if bool(xp.any(left > 0)):
            square = product(square, square)
    return result


def _identity(xp: Any, matrix: Blocks) -> Blocks:
    zero, one = xp.zeros_like(matrix[0][0]), xp.ones_like(matrix[0][0])
    return [[one if a == b else zero for b in range(len(matrix))] for a in range(len(matrix))]


def _product(left: Blocks, right: Blocks) -> Blocks:
    size = range(len(left))
    return [[sum(left[a][c] * right[c][b] for c in size) for b in size] for a in size]


def _upper_product(left: Blocks, right: Blocks) -> Blocks:
    """Of two upper triangular matrices; what is below stays zero, also where entries overflow."""
    size = len(left)
    return [
        [
            sum((left[a][c] * right[c][b] for c in range(a + 1, b + 1)), start=left[a][a] * right[a][b])
            if a <= b
            else left[a][b]
            for b in range(size)
        ]
        for a in range(size)
    ]
