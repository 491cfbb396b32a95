"""The state evolution of an alternating program as a function of its symbols, quantity after quantity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from ..derivation import Derivation
from ..errors import ParameterError
from ..printing import emitted
from ..proof import Recurrence
from ..ramps import by_ramps, gaussian_average
from .terms import About, Average, Coefficient, Covariance, MeanSquare
from .transposes import lines


@dataclass(frozen=True)
class StateEvolution:
    """Closed forms of some quantities of a program, each in its symbols and in the quantities before it."""

    derivation: Derivation
    equations: tuple[tuple[About, sp.Expr], ...]

    @cached_property
    def _steps(self) -> tuple[Callable[..., Any], ...]:
        names = {x: sp.Dummy(real=True) for x, _ in self.equations}
        arguments: list[sp.Expr] = list(self.derivation.program.symbols.values())
        found = []
        for left, right in self.equations:
            found.append(emitted(tuple(arguments), right.xreplace(names), "numpy"))
            arguments.append(names[left])
        return tuple(found)

    def __call__(self, **values: float) -> dict[About, float]:
        """The value of every quantity.  Errors: ParameterError for a missing or unknown symbol."""
        symbols = self.derivation.program.symbols
        if wrong := sorted(set(values) ^ set(symbols)):
            raise ParameterError("state evolution", ", ".join(symbols), ", ".join(values) or "none",
                                 f"Missing or unknown: {', '.join(wrong)}.")
        numbers: list[Any] = [float(values[name]) for name in symbols]
        for step in self._steps:
            numbers.append(float(step(*numbers)))
        return dict(zip((x for x, _ in self.equations), numbers[len(symbols):], strict=True))


def line_evolution(derivation: Derivation) -> StateEvolution:
    """The mean squares of the named vectors and the coefficients of corrected lines, with all that they need.

    Errors: NotClosed where an average has no closed form.  Source: `corrections`, truncated moments.
    """
    goal = derivation.proof.goal
    assert isinstance(goal, Recurrence)
    program = lines(derivation.program)
    rights = {e.left: e.right for e in goal.equations}
    done: dict[About, sp.Expr] = {}

    def visit(subject: About) -> None:
        if subject in done:
            return
        right = rights[subject].replace(Average, lambda x: gaussian_average(program, Average(x)))
        for inner in sorted(right.atoms(Covariance, Coefficient), key=str):
            visit(inner)
        done[subject] = by_ramps(right)

    for k, (_, line) in enumerate(program.lines):
        for j in program.opposite(k) if line.corrected else ():
            visit(Coefficient(k, j))
    for name, _ in program.vectors:
        visit(MeanSquare(sp.Symbol(name)))
    return StateEvolution(derivation, tuple(done.items()))


def errors_of(values: Mapping[About, float]) -> dict[str, float]:
    """The mean squares among the quantities, by the names of their vectors."""
    return {str(x.args[0]): value for x, value in values.items() if isinstance(x, MeanSquare)}
