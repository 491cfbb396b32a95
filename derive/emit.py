"""Formula -> NumPy or CuPy function, LaTeX and printed source.

The emitter is exact or refuses: every function it prints is in its own table. Divided differences of powers are
evaluated by repeated squaring of a bidiagonal matrix, which has no quotient and no power of zero to go wrong.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.printing.numpy import CuPyPrinter, NumPyPrinter

from .closed_form import PowerDD
from .errors import NotClosed, ParameterError
from .expectation import GaussianMean
from .innovations import InnovationsForm
from .language import Program
from .latex import latex, latex_lines
from .moments import FIRST, SECOND, Calculus, Gram, Moment
from .proof import Equation, Recurrence

BACKENDS: dict[str, type[NumPyPrinter]] = {"numpy": NumPyPrinter, "cupy": CuPyPrinter}


@dataclass(frozen=True)
class Formula:
    """A derived formula: `expr` in `symbols`, or only the `recurrence` that determines it.

    Where `expr` is None no closed form in the lag exists and `compile` evaluates the recurrence.
    """

    name: str
    expr: sp.Expr | None
    symbols: Mapping[str, sp.Symbol]
    program: Program
    recurrence: Recurrence | None = None

    def latex(self) -> str:
        """LaTeX of the closed form in its textbook form, or of the recurrence."""
        if self.expr is not None:
            return latex(self.expr, self.program)
        assert self.recurrence is not None
        return latex_lines(self.recurrence, self.program)

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def compile(self, backend: str = "numpy") -> Callable[..., Any]:
        """A vectorised function of keyword arguments named as `symbols`; arrays broadcast, zeros are exact.

        The Gram matrix of the inputs, where the formula has one, is the argument X of shape (..., T, T').
        Errors: ParameterError for an unknown backend, a missing or unknown argument, a negative variance or lag.
        """
        if backend not in BACKENDS:
            raise ParameterError(f"compile of {self.name}", " or ".join(map(repr, BACKENDS)), repr(backend),
                                 "CuPy comes with pip install 'wideproof[cuda12]' or 'wideproof[cuda13]'.")
        if self.expr is not None and not self.expr.has(Gram):
            return _Emitted(self, backend)
        return _Stepped(self, backend)

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the keyword arguments of the compiled function."""
        return tuple(self.symbols)


def _namespace(backend: str) -> Any:
    try:
        return importlib.import_module(backend)
    except ImportError as error:
        raise ParameterError("compile", "an installed array library", backend,
                             "Install it with pip install 'wideproof[cuda12]' (or [cuda13]).") from error


class _Function:
    """What the two kinds of compiled function share: names, checks, a docstring that says how it evaluates."""

    how = ""

    def __init__(self, formula: Formula, backend: str) -> None:
        self.formula, self.backend = formula, backend
        self.__name__ = formula.name.replace("-", "_")
        self.__doc__ = f"{formula.name}({', '.join(self.arguments)}): {self.how}"

    def __repr__(self) -> str:
        return f"<{self.backend} function {self.__doc__}>"

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.formula.arguments

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        where = f"{self.formula.name}({', '.join(self.arguments)})"
        wrong = sorted(set(values) ^ set(self.arguments))
        if wrong:
            raise ParameterError(where, f"the keyword arguments {', '.join(self.arguments)}",
                                 ", ".join(sorted(values)) or "none",
                                 "; ".join(f"{'missing' if n in self.arguments else 'unknown'}: {n}" for n in wrong))
        xp = _namespace(self.backend)
        arrays = {name: xp.asarray(value) for name, value in values.items()}
        for name, value in arrays.items():
            symbol = self.formula.symbols[name]
            if symbol.is_integer and not bool(xp.all(value == xp.floor(value))):
                raise ParameterError(where, f"whole numbers {name}", values[name], "Lags and times count steps.")
            if symbol.is_nonnegative and bool(xp.any(value < 0)):
                raise ParameterError(where, f"{name} >= 0", values[name],
                                     "It is a variance, a lag or a time; none is negative.")
        return arrays


class _Emitted(_Function):
    """A closed form, printed once with common subexpressions shared and called as array code."""

    how = "the derived closed form."

    def __call__(self, **values: Any) -> Any:
        arrays = self._checked(values)
        xp = _namespace(self.backend)
        floats = {n: v.astype(xp.float64) if v.dtype.kind in "iub" and not self.formula.symbols[n].is_integer else v
                  for n, v in arrays.items()}
        result = self._function(*(floats[name] for name in self.arguments))
        return xp.broadcast_arrays(xp.asarray(result, dtype=xp.float64), *arrays.values())[0] + 0.0

    @cached_property
    def source(self) -> str:
        """The printed Python source, every common subexpression computed once."""
        return inspect.getsource(self._function)

    @cached_property
    def _function(self) -> Callable[..., Any]:
        xp = _namespace(self.backend)
        scope = {self.backend: xp, "power_dd": functools.partial(power_dd, xp)}
        return sp.lambdify(list(self.formula.symbols.values()), self.formula.expr, modules=[scope],
                           printer=_printer(self.backend), cse=True)


def _printer(backend: str) -> Any:
    base = BACKENDS[backend]

    class Printer(base):  # type: ignore[misc, valid-type]
        """Fully qualified names; refuses what it has no rule for."""

        def _print_PowerDD(self, expr: PowerDD) -> str:
            return f"power_dd({', '.join(self._print(a) for a in expr.args)})"

        def _print_KroneckerDelta(self, expr: sp.KroneckerDelta) -> str:
            a, b = (self._print(x) for x in expr.args)
            return f"1.0*(({a}) == ({b}))"

        def _print_Max(self, expr: sp.Max) -> str:
            first, *rest = (self._print(a) for a in expr.args)
            return functools.reduce(lambda a, b: f"{backend}.maximum({a}, {b})", rest, first)

        def _print_Pow(self, expr: sp.Pow, rational: bool = False, sqrt: str = "numpy.sqrt") -> str:
            if expr.exp == sp.S.Half:
                return f"{backend}.sqrt({self._print(expr.base)})"
            if expr.exp.is_Integer and int(expr.exp) > 0:
                return f"({self._print(expr.base)})**{int(expr.exp)}"
            return f"{backend}.power(1.0*({self._print(expr.base)}), {self._print(expr.exp)})"

        def _print_not_supported(self, expr: sp.Expr) -> str:
            raise NotClosed("compile", "functions the emitter knows", expr.func.__name__,
                            "Register a printer for it in derive.emit.")

    return Printer({"fully_qualified_modules": True, "allow_unknown_functions": False})


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


def _obstacle(equation: Equation) -> tuple[str, str] | None:
    """What a grid over two times cannot evaluate in an equation: expected, got."""
    if equation.right.has(GaussianMean):
        return "moments without activations", "an activation whose Gaussian expectation has no evaluator yet"
    labels, times = equation.left.args[4:], equation.left.args[2:4]
    for x in equation.right.atoms(Moment, Gram):
        offsets = [sp.expand(own - time) for own, time in zip(x.args[-4:-2], times, strict=True)]
        if x.args[-2:] != labels or not all(offset.is_Integer for offset in offsets):
            return "moments of two sequences at their two times", f"the variance {x} of one sequence"
    return None


class _Stepped(_Function):
    """A recurrence, evaluated step by step on a grid of its indices."""

    how = "evaluated by the derived recurrence; no closed form in the lag exists."

    def __init__(self, formula: Formula, backend: str) -> None:
        super().__init__(formula, backend)
        if formula.recurrence is None:
            raise NotClosed(f"compile of {formula.name}", "a closed form or a recurrence", "neither",
                            "Derive the quantity again.")
        if isinstance(formula.recurrence.left, InnovationsForm):
            raise NotClosed(f"compile of {formula.name}", "the covariance form", "the innovations form",
                            'Both give one law: compile state_evolution(…, form="covariance").')
        for expected, got in filter(None, map(_obstacle, formula.recurrence.equations)):
            raise NotClosed(f"compile of {formula.name}", expected, got, "The recurrence itself is formula.recurrence.")
        if any(state.initial != 0 and not state.shared for state in formula.program.states):
            raise NotClosed(f"compile of {formula.name}", "initial states shared by all sequences", "one draw for each",
                            "A Gram matrix does not tell which sequences are the same one; use shared=True.")
        if formula.recurrence.right.has(Gram) or any(e.right.has(Gram) for e in formula.recurrence.equations):
            self.__doc__ = f"{formula.name}(X, …): the derived recursion over (t, s), on the Gram X of the inputs."

    @property
    def arguments(self) -> tuple[str, ...]:
        return self.formula.arguments

    def __call__(self, **values: Any) -> Any:
        gram = values.pop("X", None)
        recurrence = self.formula.recurrence
        assert recurrence is not None
        if self._takes_gram:
            return self._kernel(gram, values)
        arrays = self._checked(values)
        xp = _namespace(self.backend)
        first = arrays[recurrence.indices[0].name]
        lags = [arrays.pop(i.name, first) for i in recurrence.indices]
        lags = list(xp.broadcast_arrays(*lags, *arrays.values()))[: len(lags)]
        sizes = [int(lag.max()) + 1 if lag.size else 1 for lag in lags]
        table = _Grid(self.formula, xp, arrays).table(sizes)
        shape = lags[0].shape
        stacked = xp.stack([xp.broadcast_to(xp.asarray(table[index]), shape) for index in itertools.product(
            *map(range, sizes))])
        flat = lags[0].astype(xp.int64)
        for lag, size in zip(lags[1:], sizes[1:], strict=True):
            flat = flat * size + lag.astype(xp.int64)
        return xp.take_along_axis(stacked, flat[None, ...], axis=0)[0]

    @property
    def _takes_gram(self) -> bool:
        recurrence = self.formula.recurrence
        assert recurrence is not None
        return any(e.right.has(Gram) for e in recurrence.equations)

    def _kernel(self, gram: Any, values: Mapping[str, Any]) -> Any:
        xp = _namespace(self.backend)
        if gram is None or xp.asarray(gram).ndim < 2:
            raise ParameterError(self.formula.name, "X, the Gram matrix of the inputs, of shape (..., T, T')",
                                 "none" if gram is None else xp.asarray(gram).shape,
                                 "X[..., t, s] = x_t . x'_s for the two sequences.")
        gram = xp.asarray(gram, dtype=xp.float64)
        parameters = self._checked({**values, **{n: 0 for n in ("t", "s") if n in self.arguments}})
        assert self.formula.recurrence is not None
        table = _Grid(self.formula, xp, parameters, gram).table(gram.shape[-2:])
        columns = range(gram.shape[-1])
        return xp.stack([xp.stack(xp.broadcast_arrays(*(xp.asarray(table[a, b]) for b in columns)), axis=-1)
                         for a in range(gram.shape[-2])], axis=-2)


@dataclass(frozen=True)
class _Term:
    """coefficient x [indices agree] x inputs x moments: one summand of an equation, ready to be evaluated."""

    coefficient: Any
    deltas: tuple[sp.KroneckerDelta, ...]
    grams: tuple[tuple[int, ...], ...]
    moments: tuple[tuple[Any, tuple[int, ...]], ...]


class _Grid:
    """The values of a recurrence on a grid of indices, each moment after those it needs."""

    def __init__(self, formula: Formula, xp: Any, parameters: Mapping[str, Any], gram: Any = None) -> None:
        recurrence, self.program = formula.recurrence, formula.program
        assert recurrence is not None
        self.indices, self.xp, self.parameters, self.gram = recurrence.indices, xp, parameters, gram
        rights = recurrence.right if isinstance(recurrence.right, sp.Tuple) else [recurrence.right]
        self.outputs = [self._terms(right, self.indices) for right in rights]
        self.base: dict[Any, list[_Term]] = {}
        self.step: dict[Any, list[_Term]] = {}
        for equation in recurrence.equations:
            times = equation.left.args[2:4][: len(self.indices)]
            rules = self.base if all(time == 0 for time in times) else self.step
            if not any(time.is_negative for time in times):  # those are in the program
                rules[equation.left.args[:2]] = self._terms(equation.right, times)
        self.values: dict[Any, Any] = {}

    def table(self, sizes: Any) -> dict[tuple[int, ...], Any]:
        """Index -> value of the recurrence's right side."""
        return {index: self._all(index) for index in itertools.product(*map(range, sizes))}

    def _all(self, index: tuple[int, ...]) -> Any:
        values = [self._sum(terms, index) for terms in self.outputs]
        return values[0] if len(values) == 1 else self.xp.stack(self.xp.broadcast_arrays(*values))

    def _terms(self, expr: sp.Expr, times: tuple[sp.Expr, ...]) -> list[_Term]:
        """The summands of an equation for the moments at `times`, read relative to them."""
        terms = []
        for summand in sp.Add.make_args(sp.expand(expr)):
            deltas, grams, moments, rest = [], [], [], sp.S.One
            for factor in _factors(summand):
                if isinstance(factor, Moment):
                    moments.append((factor.args[:2], self._offset(factor.args[2:4], times)))
                elif isinstance(factor, Gram):
                    grams.append(self._offset(factor.args[:2], times))
                elif isinstance(factor, sp.KroneckerDelta):
                    deltas.append(factor)
                else:
                    rest *= factor
            terms.append(_Term(self._number(rest), tuple(deltas), tuple(grams), tuple(moments)))
        return terms

    @staticmethod
    def _offset(at: tuple[sp.Expr, ...], times: tuple[sp.Expr, ...]) -> tuple[int, ...]:
        return tuple(int(sp.expand(a - b)) for a, b in zip(at, times, strict=False))

    def _number(self, coefficient: sp.Expr) -> Any:
        names = sorted(coefficient.free_symbols, key=str)
        emitted = sp.lambdify(names, coefficient, modules=[{"numpy": self.xp}], printer=_printer("numpy"))
        return emitted(*(self.parameters[x.name] for x in names))

    def _sum(self, terms: list[_Term], index: tuple[int, ...]) -> Any:
        total = 0.0
        for term in terms:
            if all(self._holds(delta, index) for delta in term.deltas):
                value = term.coefficient
                for offset in term.grams:
                    value = value * self.gram[(..., *(i + o for i, o in zip(index, offset, strict=True)))]
                for pair, offset in term.moments:
                    value = value * self._moment(pair, tuple(i + o for i, o in zip(index, offset, strict=True)))
                total = total + value
        return total

    def _holds(self, delta: sp.KroneckerDelta, index: tuple[int, ...]) -> bool:
        at = dict(zip(self.indices, index, strict=True))
        return bool(delta.args[0].subs(at) == delta.args[1].subs(at))

    def _moment(self, pair: Any, index: tuple[int, ...]) -> Any:
        if min(index) < 0:
            return self._started(pair, index)
        if (pair, index) not in self.values:
            start = pair in self.base and index == (0,) * len(index)
            self.values[pair, index] = self._sum((self.base if start else self.step)[pair], index)
        return self.values[pair, index]

    def _started(self, pair: Any, index: tuple[int, ...]) -> Any:
        """A moment with one time before the first step, from the initial states."""
        if all(state.initial == 0 for state in self.program.states):
            return 0.0
        if (pair, index) not in self.values:
            times = tuple(map(sp.Integer, index))
            right = Calculus(self.program).expand(Moment(*pair, *times, FIRST, SECOND))
            self.values[pair, index] = self._sum(self._terms(right, times), index)
        return self.values[pair, index]


def _factors(summand: sp.Expr) -> list[sp.Expr]:
    """The factors of a product, whole powers written out."""
    found: list[sp.Expr] = []
    for factor in sp.Mul.make_args(summand):
        base, power = factor.as_base_exp()
        found += [base] * int(power) if power.is_Integer and power > 0 else [factor]
    return found
