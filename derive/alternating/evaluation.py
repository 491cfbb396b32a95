"""The state evolution of an alternating program as numbers, with an estimate of the error of its integrals."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import emitted
from wideproof.derive.alternating.terms import About, Coefficient, MeanSquare
from wideproof.derive.emit.compiled import real_array
from wideproof.derive.emit.derivation import of_kind, quantities
from wideproof.derive.emit.formula import Formula
from wideproof.derive.expectation.pair_integrals import Variables, value
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.expectation.truncated_moments import THETA, VARIANCE, Ramp
from wideproof.derive.language.alternating import AlternatingProgram
from wideproof.derive.language.errors import NotClosed, ParameterError, ShapeError, by_name
from wideproof.derive.language.scalars import check_keywords

Number = Callable[..., Any]


@dataclass(frozen=True)
class StateEvolution:
    """The limits of a program as a function of its symbols, quantity after quantity."""

    formula: Formula

    @property
    def _program(self) -> AlternatingProgram:
        return of_kind(self.formula.program, AlternatingProgram)

    @cached_property
    def equations(self) -> tuple[tuple[About, sp.Expr], ...]:
        """Each quantity in the symbols and in the quantities before it, truncated moments written out."""
        goal = self.formula.recurrence
        assert goal is not None
        closed = {e.left.args[0]: e.right for e in goal.equations if isinstance(e.left, Ramp)}
        return tuple(
            (
                e.left,
                e.right.replace(
                    Ramp, lambda p, theta, v: closed[p].subs({THETA: theta, VARIANCE: v}, simultaneous=True)
                ),
            )
            for e in goal.equations
            if not isinstance(e.left, Ramp)
        )

    @cached_property
    def _steps(self) -> tuple[tuple[tuple[_Mean, ...], Number], ...]:
        names = {x: sp.Dummy(real=True) for x, _ in self.equations}
        arguments: list[sp.Expr] = list(self.formula.program.symbols.values())
        found = []
        for left, right in self.equations:
            plain = right.xreplace(names)
            nodes = {x: sp.Dummy(real=True) for x in sorted(plain.atoms(GaussianMean), key=sp.default_sort_key)}
            means = tuple(_Mean(x, tuple(arguments)) for x in nodes)
            found.append((means, emitted((*arguments, *nodes.values()), plain.xreplace(nodes), "numpy")))
            arguments.append(names[left])
        return tuple(found)

    def evaluate(self, **values: float) -> tuple[dict[About, float], float]:
        """The value of every quantity, and the largest error estimate of a Gaussian mean in them (0: closed forms).

        Errors: ParameterError for a missing or unknown symbol; NotAccurate where one is too large.
        """
        symbols = self.formula.program.symbols
        where = f"state evolution of {self.formula.program.name}"
        check_keywords(where, values, symbols)
        given = [real_array(where, symbol, values[name]) for name, symbol in symbols.items()]
        if shapes := [value.shape for value in given if value.shape]:
            raise ShapeError(where, "single numbers", f"an array of shape {shapes[0]}", "Call it once for each.")
        numbers = [float(value) for value in given]
        check_laws(self._program, dict(zip(symbols, numbers, strict=True)), where)
        error = 0.0
        for means, step in self._steps:
            found = [mean(numbers) for mean in means]
            error = max([error, *(estimate for _, estimate in found)])
            numbers.append(float(step(*numbers, *(x for x, _ in found))))
        return dict(zip((x for x, _ in self.equations), numbers[len(symbols) :], strict=True)), error

    def __call__(self, *unnamed: float, **values: float) -> dict[About, float]:
        """The value of every quantity.  Errors: those of `evaluate`."""
        by_name("state evolution", self.formula.program.symbols, unnamed)
        return self.evaluate(**values)[0]


class _Mean:
    """One Gaussian mean as a function of the numbers so far: by the table of dual activations, else by a series."""

    def __init__(self, node: GaussianMean, arguments: tuple[sp.Expr, ...]) -> None:
        functions, means, upper = node.args
        if len(functions) > 2:
            raise NotClosed("state evolution", "means of at most two activations", node, "Take lower powers.")
        self.factors = tuple((str(name), int(order)) for name, order in functions)
        self.parts = [emitted(arguments, x, "numpy") for x in (*means, *upper)]

    def __call__(self, numbers: list[float]) -> tuple[float, float]:
        found = [np.asarray(float(part(*numbers))) for part in self.parts]
        size = len(self.factors)
        means, upper = found[:size], found[size:]
        pair = (upper[0], upper[-1]), (upper[1] if size == 2 else np.asarray(0.0)), (means[0], means[-1])
        result, error = value(self.factors, Variables("numpy", *pair))
        return float(result), float(np.max(error))


def errors_of(values: Mapping[About, float]) -> dict[str, float]:
    """The mean squares among the quantities, by the names of their vectors."""
    return {str(x.args[0]): value for x, value in values.items() if isinstance(x, MeanSquare)}


@dataclass(frozen=True, repr=False)
class LineFormula(Formula):
    """The limits of all lines, each determined by those before it."""

    def compile(self, backend: str = "numpy") -> StateEvolution:
        """A function of the symbols.  Errors: ParameterError for another backend than numpy."""
        self._refuse_other(backend)
        return StateEvolution(self)

    def _refuse_other(self, backend: str) -> None:
        if backend != "numpy":
            raise ParameterError(f"compile of {self.name}", "'numpy'", repr(backend), "Its integrals are numbers.")

    def listed(self, **given: float) -> dict[str, float]:
        """The limits of the mean squares, by the names of their vectors.  Errors: those of the function."""
        return errors_of(self.compile()(**given))


@dataclass(frozen=True, repr=False)
class CoefficientFormula(LineFormula):
    """What each line is made of; the state evolution of the program gives the numbers."""

    def compile(self, backend: str = "numpy") -> StateEvolution:
        """As that of the state evolution.  Errors: also those of its derivation."""
        self._refuse_other(backend)
        derived = quantities(AlternatingProgram)["state-evolution"](self.program)
        return StateEvolution(derived.formula)

    def listed(self, **given: float) -> dict[str, float]:
        """The coefficients of the correction terms that are not zero."""
        return {str(x): value for x, value in self.compile()(**given).items() if isinstance(x, Coefficient) and value}


def check_laws(program: AlternatingProgram, given: Mapping[str, float], where: str) -> None:
    """Do nothing where the laws of the given vectors and the aspect ratio mean something at these numbers.

    Errors: ParameterError for a ratio that is not positive, a probability outside [0, 1] or a negative variance.
    """
    at = {program.symbols[name]: x for name, x in given.items()}
    laws = [part for _, source in program.sources for part in source.law]
    wanted = [("a ratio > 0", program.aspect, 1e-300, math.inf)]
    wanted += [("a probability between 0 and 1", weight, 0.0, 1.0) for weight, _ in laws]
    wanted += [("a variance >= 0", variance, 0.0, math.inf) for _, variance in laws]
    for words, expr, least, most in wanted:
        value = expr.subs(at)
        if value.is_number and not least <= float(value) <= most:
            hint = "For example " + ", ".join(f"{name} = 0.3" for name in sorted(map(str, expr.free_symbols))) + "."
            raise ParameterError(where, words, f"{float(value):g}", hint)
