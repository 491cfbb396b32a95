"""Formula -> NumPy or CuPy function, LaTeX and printed source.

The emitter is exact or refuses: every function it prints is in its own table. Divided differences of powers are
evaluated by repeated squaring of a bidiagonal matrix, which has no quotient and no power of zero to go wrong.
"""

from __future__ import annotations

import inspect
import itertools
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import emitted, namespace
from wideproof.derive.algebra.linear_recurrences import textbook
from wideproof.derive.calculus.innovations import InnovationsForm
from wideproof.derive.calculus.moments import Gram, Moment
from wideproof.derive.calculus.starts import differ
from wideproof.derive.emit.compiled import Compiled
from wideproof.derive.emit.kernel_rows import RowInputs, RowStepper, by_rows
from wideproof.derive.emit.kernel_stepper import MOVES, STILL, Equations, Grams, Inputs, Move, Stepper
from wideproof.derive.emit.lag_grid import Grid
from wideproof.derive.emit.sweeps.fused_sweep import FusedSweep, sweep_of
from wideproof.derive.emit.sweeps.grid_sweep import GridSweep, grid_of
from wideproof.derive.emit.sweeps.within_sweep import WithinSweep, within_of
from wideproof.derive.expectation.pair_integrals import is_tabled
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.language.errors import NotClosed, ParameterError, TooLarge, by_name
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.notation import j, s, t
from wideproof.derive.language.program import Program
from wideproof.derive.language.shown import cut
from wideproof.derive.latex.displays import alone, column, equation_parts
from wideproof.derive.latex.text import Latex
from wideproof.derive.proof.claims import ProcessForm, Recurrence

READOUTS = ("all", "last", "average")
LEAST_ROUNDING = 4 * float(np.finfo(float).eps)
"""What the last operations lose, relative."""

if TYPE_CHECKING:
    from wideproof.derive.emit.closed_form import ClosedForm


@dataclass(frozen=True)
class Formula:
    """A derived formula: `expr` in `symbols`, or only the `recurrence` or the `process` that determines it.

    Where `expr` is None no closed form in the lag exists and `compile` evaluates the recurrence. Where no recurrence
    exists either, as for gated states, the process is evaluated by wideproof.Kernel. `domain` holds the relations of
    its symbols under which it is proved; numbers outside are refused.

    >>> rho = wp.scale_factors(wp.models.linear_rnn()).formula
    >>> sorted(rho.symbols)
    ['j', 'nu_C', 'nu_F', 'nu_W']
    >>> rho.compile()(j=2, nu_W=0.5, nu_F=1.0, nu_C=1.0)
    np.float64(1.5)
    """

    name: str
    expr: sp.Expr | None
    symbols: Mapping[str, sp.Symbol]
    program: Program
    recurrence: Recurrence | None = None
    process: ProcessForm | None = None
    domain: tuple[sp.Expr, ...] = ()

    def __repr__(self) -> str:
        return f"Formula({self.name} of {self.program.name}: {self.in_words()})"

    def in_words(self) -> str:
        """The closed form as text, or what stands in its place; on one line, cut where it is long."""
        if self.expr is not None:
            return cut(textbook(self.expr))
        stated = self.recurrence or self.process
        assert stated is not None
        kind = "an expectation over the process of" if self.process is not None else "a recurrence of"
        return f"{kind} {len(stated.equations)} equations in {', '.join(self.symbols)}"

    def latex(self) -> Latex:
        """LaTeX of the closed form, or of the recurrence or process, in lines that fit a column of 6.5 in.

        It is one block; where that is taller than a page, `displays` gives the same in parts.
        """
        return alone(self.expr, self.program) if self.expr is not None else column(self._stated(), self.program)

    def displays(self) -> list[Latex]:
        """The same as displays of at most a quarter of a page each."""
        return [self.latex()] if self.expr is not None else equation_parts(self._stated(), self.program)

    def closed(self) -> ClosedForm:
        """The same without Gaussian expectations, as textbooks write it: arc-cosine and arcsine kernels.

        For relu, erf, step, abs, sign, exp, sin, cos and polynomials, and where only their slopes are needed.
        Errors: NotClosed for tanh and other activations whose expectation is not elementary.

        >>> wp.nngp(wp.models.elman("erf")).formula.closed().equations[-1].right
        2*asin(2*c/sqrt((2*a + 1)*(2*b + 1)))/pi
        """
        from wideproof.derive.emit.closed_form import closed_form

        return closed_form(self)

    def _stated(self) -> list[tuple[sp.Expr, sp.Expr]]:
        """What is wanted, and the equations that determine it."""
        stated = self.recurrence or self.process
        assert stated is not None
        wanted = [] if isinstance(stated.right, sp.Tuple) else [(stated.left, stated.right)]
        return [*wanted, *((e.left, e.right) for e in stated.equations)]

    def _repr_latex_(self) -> str:
        return rf"$\displaystyle {self.latex()}$"

    def compile(self, backend: str = "numpy") -> Callable[..., Any]:
        """A vectorised function of keyword arguments named as `symbols`; arrays broadcast, zeros are exact.

        Symbols of the recursion that the formula does not contain may be given, and change nothing.
        The Gram matrix of the inputs, where the formula has one, is the argument X of shape (..., T, T'). Kernels of
        non-linear recursions also take X1 and X2, the Gram matrices within each sequence, and the `readout`.
        Errors: ParameterError for an unknown backend, a missing or unknown argument, a negative variance or lag, and
        numbers outside the `domain`.
        """
        self._refuse_process()
        if self.expr is not None and not self.expr.has(Gram):
            return _Emitted(self, backend)
        if (
            self.recurrence is not None
            and self.recurrence.indices == (t, s)
            and self.recurrence.equations
            and (
                _across_sequences(self.recurrence)
                or differ(self.recurrence)
                or any(state.backward for state in self.program.states)
            )
        ):
            return OnSequences(self, backend)
        return _Stepped(self, backend)

    def on_sequences(self, backend: str = "numpy") -> OnSequences:
        """The recurrence over two times as a function of two batches of sequences, also where X alone would do.

        Errors: NotClosed where the formula is no kernel, or no recurrence over two times.
        """
        self._refuse_process()
        return OnSequences(self, backend)

    def _refuse_process(self) -> None:
        if self.process is not None:
            raise NotClosed(
                f"compile of {self.name}",
                "moments that close over two times",
                "states whose law is not Gaussian: an expectation over a process",
                "wideproof.Kernel(recursion, ...) evaluates it on sequences, with a standard error.",
            )

    def listed(self, **given: float) -> dict[str, float]:
        """The numbers that it gives, by their names: of a closed form its value.  Errors: those of the function."""
        return {self.name: float(self.compile()(**given))}

    def reads(self, name: str) -> bool:
        """Whether the value depends on the symbol of that name; where there is only a recurrence, on each."""
        return self.expr is None or self.symbols[name] in self.expr.free_symbols

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the keyword arguments of the compiled function."""
        return tuple(self.symbols)


COMPARE = {
    sp.StrictLessThan: operator.lt,
    sp.LessThan: operator.le,
    sp.StrictGreaterThan: operator.gt,
    sp.GreaterThan: operator.ge,
}


class _Emitted(Compiled):
    """A closed form, printed once with common subexpressions shared and called as array code."""

    how = "the derived closed form, infinite beyond 1.8e308; TooLarge where infinite parts meet."

    def __call__(self, *unnamed: Any, **values: Any) -> Any:
        by_name(self.formula.name, self.arguments, unnamed)
        arrays = self._checked(values)
        xp = namespace(self.backend)
        floats = {
            n: v.astype(xp.float64) if v.dtype.kind in "iub" and not self.formula.symbols[n].is_integer else v
            for n, v in arrays.items()
        }
        self._refuse_outside(floats)
        with np.errstate(over="ignore", invalid="ignore"):
            result = xp.asarray(self._function(*(floats[name] for name in self.arguments)), dtype=xp.float64)
        if bool(xp.any(xp.isnan(result))) and not any(bool(xp.any(xp.isnan(v))) for v in floats.values()):
            raise TooLarge(self._where, first_infinite(result, arrays.get(j.name, 0.0)))
        return xp.broadcast_arrays(result, *arrays.values())[0] + 0.0

    def _refuse_outside(self, values: Mapping[str, Any]) -> None:
        """Do nothing where the relations hold.  Errors: ParameterError for the first that does not."""
        xp = namespace(self.backend)
        for relation, (function, compare) in self._relations.items():
            left, right = (xp.asarray(x) for x in function(*(values[name] for name in self.arguments)))
            if bool(xp.any(~compare(left, right) & ~xp.isnan(left) & ~xp.isnan(right))):
                got = ", ".join(
                    f"{x.name} = {shortened(values[x.name].tolist())}" for x in sorted(relation.free_symbols, key=str)
                )
                hint = "The formula is proved there, and elsewhere it may be false: take numbers inside."
                raise ParameterError(self._where, str(relation), got, hint)

    @cached_property
    def _relations(self) -> dict[sp.Expr, tuple[Callable[..., Any], Callable[..., Any]]]:
        """The sides of each relation of the domain as array code, and how they compare."""
        arguments = list(self.formula.symbols.values())
        return {
            relation: (emitted(arguments, [relation.lhs, relation.rhs], self.backend), COMPARE[relation.func])
            for relation in self.formula.domain
        }

    @cached_property
    def source(self) -> str:
        """The printed Python source, every common subexpression computed once."""
        return inspect.getsource(self._function)

    @cached_property
    def _function(self) -> Callable[..., Any]:
        return emitted(list(self.formula.symbols.values()), self.formula.expr, self.backend)


def first_infinite(values: Any, lags: Any) -> str:
    """From which lag on some values are not finite, in words; nothing where they are all at one."""
    beyond = ~np.isfinite(np.asarray(values, dtype=np.float64)) & np.ones(np.shape(lags), dtype=bool)
    return f" from lag {np.broadcast_to(lags, beyond.shape)[beyond].min():.0f} on" if np.ndim(lags) else ""


def _across_sequences(recurrence: Recurrence) -> bool:
    """Whether a recurrence over two times needs the moments within each sequence, or moments at other times."""
    if recurrence.right.has(GaussianMean) or any(e.right.has(GaussianMean) for e in recurrence.equations):
        return True
    for equation in recurrence.equations:
        labels, times = equation.left.args[4:], equation.left.args[2:4]
        for x in equation.right.atoms(Moment, Gram):
            offsets = [sp.expand(own - time) for own, time in zip(x.args[-4:-2], times, strict=True)]
            if x.args[-2:] != labels or not all(offset.is_Integer for offset in offsets):
                return True
    return False


def _without_times(formula: Formula) -> tuple[str, ...]:
    """The symbols of a kernel that is evaluated at all times at once."""
    return tuple(name for name in formula.symbols if name not in ("t", "s"))


class EstimatedKernel(NamedTuple):
    """A kernel and an estimate of the error of each entry.  Shapes: alike."""

    value: Any
    error: Any


class OnSequences(Compiled):
    """A kernel recursion evaluated on two batches of sequences, given by their Gram matrices."""

    def __init__(self, formula: Formula, backend: str) -> None:
        super().__init__(formula, backend)
        if formula.recurrence is None or formula.recurrence.indices != (t, s):
            raise NotClosed(f"kernel of {formula.name}", "a recurrence over two times", "none", "See nngp and ntk.")
        if not isinstance(formula.recurrence.right, sp.Expr):
            raise NotClosed(
                f"compile of {formula.name}",
                "a kernel",
                "a list of moments",
                "nngp and ntk evaluate non-linear recursions; unroll others with horizon=T.",
            )
        self.symbols = tuple(formula.symbols[name] for name in self.scalars)
        self.equations = Equations(formula.recurrence, formula.program, self.symbols, backend)
        self._sweeps: dict[tuple[str, bool], FusedSweep | None] = {}
        self._given: tuple[Any, dict[str, Any]] = (None, {})
        self.__doc__ = (
            f"{formula.name}(X, X1, X2, readout='all', same=None, …): the derived recursion over (t, s), "
            "on the Gram X (..., T, T') of two sequences and X1, X2 of each with itself."
        )

    @property
    def arguments(self) -> tuple[str, ...]:
        """The Gram matrices, the readout, and the symbols."""
        return ("X", "X1", "X2", "readout", "same", *self.scalars)

    @property
    def scalars(self) -> tuple[str, ...]:
        """Those of the arguments that are numbers."""
        return _without_times(self.formula)

    def __call__(
        self, X: Any = None, X1: Any = None, X2: Any = None, readout: str = "all", same: Any = None, **values: Any
    ) -> Any:
        """The kernel (..., T, T'), at the last times, or averaged."""
        xp = namespace(self.backend)
        across, first, second = (xp.asarray(0.0 if x is None else x, dtype=xp.float64) for x in (X, X1, X2))
        if min(across.ndim, first.ndim, second.ndim) < 2:
            raise ParameterError(
                self.formula.name,
                "X, X1 and X2, Gram matrices of the inputs",
                ", ".join(str(x.shape) if x.ndim else "none" for x in (across, first, second)),
                "X[..., t, s] = x_t . x'_s, X1 is x with itself and X2 is x' with itself.",
            )
        if (first.shape[-1], second.shape[-1]) != across.shape[-2:]:
            raise ParameterError(
                self.formula.name,
                f"X1 and X2 that fit X of shape {across.shape}",
                (first.shape, second.shape),
                "X (..., T, T'), X1 (..., T, T), X2 (..., T', T').",
            )
        return self.on(Grams(across, first, second, same), across.shape[-2:], readout, **values)

    def on(self, inputs: Inputs, sizes: tuple[int, int], readout: str = "all", **values: Any) -> Any:
        """The same on inner products that are computed when they are needed."""
        return self._at(inputs, sizes, readout, values, STILL)

    def swept(self, inputs: Inputs, sizes: tuple[int, int], readout: str, **values: Any) -> Any:
        """The kernel (N1, N2), of all times (N1, T, N2, T'), by a compiled sweep; None without its text or range."""
        stepper, sweep = self._stepper(inputs, sizes, values, STILL), self.sweep(sizes[0] == sizes[1], readout)
        if sweep is None:
            return None
        if not isinstance(sweep, GridSweep):
            begin = None if self._within is None else self._within.begin
            return sweep.values(stepper, sizes, inputs.diagonal, begin)
        for look in inputs.looks():
            look()
        for side in (0,) if inputs.diagonal else (0, 1):
            if self._within is not None:
                self._within.know(stepper, side)
        return sweep.grid(stepper, sizes, inputs.diagonal, readout)

    def evaluate(self, inputs: Inputs, sizes: tuple[int, int], readout: str = "all", **values: Any) -> EstimatedKernel:
        """The same with an estimate of the error of each entry: how far it moves when the numbers on the way do.

        Gaussian expectations are moved by the estimates of their own errors, moments and inner products by their
        rounding, one of four groups after the other: of functions or slopes, within a sequence or across two. Twice
        the sum of these moves, for within a group some may cancel. To first order; no bound.
        """
        found, *moved = (self._at(inputs, sizes, readout, values, move) for move in (STILL, *MOVES))
        xp = namespace(self.backend)
        error = 2.0 * sum((xp.abs(other - found) for other in moved), start=xp.asarray(0.0))
        return EstimatedKernel(found, error + LEAST_ROUNDING * xp.abs(found))

    def _at(self, inputs: Inputs, sizes: tuple[int, int], readout: str, values: Mapping[str, Any], move: Move) -> Any:
        if readout in ("all", "average") and self.by_rows and inputs.beside_all(0) is not None:
            return self._of_rows(self._stepper(RowInputs(inputs), sizes, values, move, RowStepper), sizes, readout)
        return self._read(self._stepper(inputs, sizes, values, move), sizes, readout)

    def _stepper(
        self, inputs: Inputs, sizes: tuple[int, int], values: Mapping[str, Any], move: Move, kind: type[Any] = Stepper
    ) -> Any:
        return kind(self.equations, inputs, self._floats(values), sizes, move)

    def _floats(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The numbers given for the symbols, checked; those given last are not checked again."""
        key = tuple(values.items()) if all(isinstance(x, int | float) for x in values.values()) else None
        if key is None or self._given[0] != key:
            floats = {n: v.astype(namespace(self.backend).float64) for n, v in self._checked(values).items()}
            self._given = key, floats
        return self._given[1]

    def sweep(self, equal: bool, readout: str) -> FusedSweep | None:
        """The compiled sweep over pairs of sequences, of equal lengths or not, None where there is none."""
        kind = ("last", equal) if readout == "last" and self.equations.equal_times else ("grid", True)
        if kind not in self._sweeps:
            self._sweeps[kind] = sweep_of(self.equations, equal) if kind[0] == "last" else grid_of(self.equations)
        return self._sweeps[kind]

    @cached_property
    def _within(self) -> WithinSweep | None:
        """The loop of the moments within sequences, where those read each other at equal times only."""
        return within_of(self.equations)

    @cached_property
    def by_tables(self) -> bool:
        """Whether an expectation comes of tables, being no closed form."""
        stated = [self.equations.recurrence.right, *(e.right for e in self.equations.recurrence.equations)]
        means = set().union(*(x.atoms(GaussianMean) for x in stated))
        return any(
            is_tabled(tuple((str(name), int(order)) for name, order in mean.args[0]), all(x == 0 for x in mean.args[1]))
            for mean in means
        )

    @cached_property
    def by_rows(self) -> bool:
        """Whether the kernel at all times is worked out a row of times at once."""
        return by_rows(self.equations)

    def _of_rows(self, stepper: RowStepper, sizes: tuple[int, int], readout: str) -> Any:
        """The kernel (N1, N2, T, T') from its rows, or their average (N1, N2)."""
        xp, (count, columns) = namespace(self.backend), stepper.shape
        shape = (count, sizes[1], columns // sizes[1])
        if readout == "average":
            return sum(xp.sum(xp.reshape(row, shape), axis=1) for row in stepper.rows()) / (sizes[0] * sizes[1])
        full = xp.empty((sizes[0], *shape))
        for i, row in enumerate(stepper.rows()):
            full[i] = xp.reshape(row, shape)
        return xp.permute_dims(full, (1, 3, 0, 2))

    def _read(self, stepper: Stepper, sizes: tuple[int, int], readout: str) -> Any:
        xp = namespace(self.backend)
        if readout == "last":
            return stepper.last(sizes)
        if readout not in READOUTS:
            raise ParameterError(
                f"{self.formula.name}: readout",
                ", ".join(map(repr, READOUTS)),
                repr(readout),
                "Which outputs the kernel is of.",
            )
        rows = stepper.table(sizes)
        if readout == "average":
            return sum(map(sum, rows)) / (sizes[0] * sizes[1])
        full = xp.broadcast_arrays(*(x for row in rows for x in row))
        return xp.stack([xp.stack(full[i * sizes[1] : (i + 1) * sizes[1]], axis=-1) for i in range(sizes[0])], axis=-2)


class _Stepped(Compiled):
    """A recurrence, evaluated step by step on a grid of its indices."""

    how = "evaluated by the derived recurrence; no closed form in the lag exists."

    def __init__(self, formula: Formula, backend: str) -> None:
        super().__init__(formula, backend)
        if formula.recurrence is None:
            raise NotClosed(
                f"compile of {formula.name}", "a closed form or a recurrence", "neither", "Derive the quantity again."
            )
        if isinstance(formula.recurrence.left, InnovationsForm):
            raise NotClosed(
                f"compile of {formula.name}",
                "the covariance form",
                "the innovations form",
                'Both give one law: compile state_evolution(…, form="covariance").',
            )
        if formula.recurrence.right.has(Gram) or any(e.right.has(Gram) for e in formula.recurrence.equations):
            self.__doc__ = f"{formula.name}(X, …): the derived recursion over (t, s), on the Gram X of the inputs."

    @property
    def arguments(self) -> tuple[str, ...]:
        """Beside X, the Gram matrix over all times, there is no single time."""
        return ("X", *self.scalars) if self._takes_gram else self.formula.arguments

    @property
    def scalars(self) -> tuple[str, ...]:
        """Those of the arguments that are numbers."""
        return _without_times(self.formula) if self._takes_gram else self.formula.arguments

    def __call__(self, *unnamed: Any, **values: Any) -> Any:
        by_name(self.formula.name, self.arguments, unnamed)
        gram = values.pop("X", None)
        recurrence = self.formula.recurrence
        assert recurrence is not None
        if self._takes_gram:
            return self._kernel(gram, values)
        arrays = self._checked(values)
        xp = namespace(self.backend)
        first = arrays[recurrence.indices[0].name]
        lags = [arrays.pop(i.name, first) for i in recurrence.indices]
        lags = list(xp.broadcast_arrays(*lags, *arrays.values()))[: len(lags)]
        sizes = [int(lag.max()) + 1 if lag.size else 1 for lag in lags]
        table = Grid(recurrence, xp, arrays).table(sizes)
        shape = lags[0].shape
        stacked = xp.stack(
            [xp.broadcast_to(xp.asarray(table[index]), shape) for index in itertools.product(*map(range, sizes))]
        )
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
        xp = namespace(self.backend)
        if gram is None or xp.asarray(gram).ndim < 2:
            raise ParameterError(
                self.formula.name,
                "X, the Gram matrix of the inputs, of shape (..., T, T')",
                "none" if gram is None else xp.asarray(gram).shape,
                "X[..., t, s] = x_t . x'_s for the two sequences.",
            )
        gram = xp.asarray(gram, dtype=xp.float64)
        parameters = self._checked(values)
        assert self.formula.recurrence is not None
        table = Grid(self.formula.recurrence, xp, parameters, gram).table(gram.shape[-2:])
        columns = range(gram.shape[-1])
        return xp.stack(
            [
                xp.stack(xp.broadcast_arrays(*(xp.asarray(table[a, b]) for b in columns)), axis=-1)
                for a in range(gram.shape[-2])
            ],
            axis=-2,
        )
