"""What printers of array code and of ball code share: nested maxima and minima, and a refusal that says where to go."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from typing import Any, ClassVar

import sympy as sp

from wideproof.derive.language.errors import NotClosed


class CodePrinter(ABC):
    """Prints maxima and minima two by two, and refuses what it has no rule for.  A mixin before a printer of SymPy."""

    refusal: ClassVar[tuple[str, str]]
    """What was asked for, and what the printer knows."""

    @abstractmethod
    def _of_two(self, name: str, first: str, second: str) -> str:
        """The call of a function of two arguments."""

    def _print(self, expr: Any, **settings: Any) -> str:
        return super()._print(expr, **settings)  # type: ignore[misc]

    def _print_Max(self, expr: sp.Max) -> str:
        return self._folded("maximum", expr)

    def _print_Min(self, expr: sp.Min) -> str:
        return self._folded("minimum", expr)

    def _folded(self, name: str, expr: sp.Expr) -> str:
        first, *rest = map(self._print, expr.args)
        return functools.reduce(functools.partial(self._of_two, name), rest, first)

    def _print_not_supported(self, expr: sp.Expr) -> str:
        hint = f"Register a printer for it in {type(self).__module__}."
        raise NotClosed(*self.refusal, expr.func.__name__, hint)
