"""The state evolution of an alternating program as numbers, with an estimate of the error of its integrals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import emitted
from wideproof.derive.alternating.line_limits import limits
from wideproof.derive.alternating.terms import About, MeanSquare
from wideproof.derive.emit.compiled import real_array
from wideproof.derive.emit.derivation import Derivation
from wideproof.derive.expectation.pair_integrals import Variables, value
from wideproof.derive.expectation.symbolic_expectation import GaussianMean
from wideproof.derive.expectation.truncated_moments import THETA, VARIANCE, Ramp
from wideproof.derive.language.alternating import Alternating, AlternatingProgram
from wideproof.derive.language.errors import NotClosed, ShapeError, by_name
from wideproof.derive.language.scalars import check_keywords
from wideproof.derive.proof.claims import Recurrence

Number = Callable[..., Any]


@dataclass(frozen=True)
class StateEvolution:
    """The limits of a program as a function of its symbols, quantity after quantity."""

    derivation: Derivation

    @cached_property
    def equations(self) -> tuple[tuple[About, sp.Expr], ...]:
        """Each quantity in the symbols and in the quantities before it, truncated moments written out."""
        goal = self.derivation.proof.goal
        assert isinstance(goal, Recurrence)
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
        arguments: list[sp.Expr] = list(self.derivation.program.symbols.values())
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
        symbols = self.derivation.program.symbols
        where = f"state evolution of {self.derivation.program.name}"
        check_keywords(where, values, symbols)
        given = [real_array(where, symbol, values[name]) for name, symbol in symbols.items()]
        if shapes := [value.shape for value in given if value.shape]:
            raise ShapeError(where, "single numbers", f"an array of shape {shapes[0]}", "Call it once for each.")
        numbers = [float(value) for value in given]
        error = 0.0
        for means, step in self._steps:
            found = [mean(numbers) for mean in means]
            error = max([error, *(estimate for _, estimate in found)])
            numbers.append(float(step(*numbers, *(x for x, _ in found))))
        return dict(zip((x for x, _ in self.equations), numbers[len(symbols) :], strict=True)), error

    def __call__(self, *unnamed: float, **values: float) -> dict[About, float]:
        """The value of every quantity.  Errors: those of `evaluate`."""
        by_name("state evolution", self.derivation.program.symbols, unnamed)
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


def line_evolution(about: Derivation | Alternating | AlternatingProgram) -> StateEvolution:
    """The state evolution of an alternating program as a function.

    Errors: those of `limits`.  Source: `corrections`, truncated moments, `derive.expectation.pair_integrals`.

    >>> limits = wp.line_evolution(wp.models.amp(steps=1))(delta=0.5, epsilon=0.1, nu_w=0.01, theta_0=1.0)
    >>> [round(value, 4) for name, value in limits.items() if str(name) == "MeanSquare(error_0)"]
    [0.0508]
    """
    if isinstance(about, Derivation) and isinstance(about.program, AlternatingProgram):
        about = about if about.quantity == "state-evolution" else limits(about.program)
    return StateEvolution(about if isinstance(about, Derivation) else limits(about))


def errors_of(values: Mapping[About, float]) -> dict[str, float]:
    """The mean squares among the quantities, by the names of their vectors."""
    return {str(x.args[0]): value for x, value in values.items() if isinstance(x, MeanSquare)}
