"""What compiled formulas share: the backend, the names of their arguments, and the numbers given for them, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from wideproof.derive.algebra.array_code import BACKENDS, namespace
from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.derive.language.grammar import shortened
from wideproof.derive.language.scalars import check_keywords

if TYPE_CHECKING:
    from wideproof.derive.emit.formula import Formula


class Compiled:
    """A compiled formula: a function of keyword arguments whose docstring says how it evaluates.

    Errors: ParameterError for an unknown backend.
    """

    how = ""
    takes_nan = True
    """Whether NaN that comes in goes out; else it is refused."""

    def __init__(self, formula: Formula, backend: str) -> None:
        if backend not in BACKENDS:
            raise ParameterError(
                f"compile of {formula.name}",
                " or ".join(map(repr, BACKENDS)),
                repr(backend),
                "CuPy comes with pip install 'wideproof[cuda12]' or 'wideproof[cuda13]'.",
            )
        self.formula, self.backend = formula, backend
        self.__name__ = formula.name.replace("-", "_")
        self.__doc__ = f"{formula.name}({', '.join(self.arguments)}): {self.how}"

    def __repr__(self) -> str:
        return f"<{self.backend} function {self.__doc__}>"

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the keyword arguments."""
        return self.formula.arguments

    @property
    def scalars(self) -> tuple[str, ...]:
        """Those of the arguments that are numbers: symbols of the formula."""
        return self.arguments

    @property
    def _where(self) -> str:
        return f"{self.formula.name}({', '.join(self.arguments)})"

    def _checked(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as arrays of real numbers that broadcast, without symbols that the formula does not contain."""
        check_keywords(self._where, values, self.scalars, self.formula.program.symbols)
        symbols = self.formula.symbols
        arrays = {
            name: real_array(self._where, symbols[name], values[name], self.backend, self.takes_nan)
            for name in self.scalars
        }
        _check_shapes(self._where, {name: tuple(value.shape) for name, value in arrays.items()})
        return arrays


def real_array(where: str, symbol: sp.Symbol, given: Any, backend: str = "numpy", takes_nan: bool = False) -> Any:
    """What is given for a symbol as an array of real numbers, whole or not negative where the symbol is.

    Shapes: kept.  Errors: ParameterError, also for text, masked and complex arrays, and for NaN unless it is taken.
    """
    xp = namespace(backend)
    value = xp.asarray(given)
    if value.dtype.kind not in "biuf" or isinstance(given, np.ma.MaskedArray):
        hint = "Text and masked or complex arrays are not evaluated: pass floats."
        raise ParameterError(where, f"real numbers {symbol}", shortened(repr(given)), hint)
    if symbol.is_integer and not bool(xp.all(value == xp.floor(value))):
        raise ParameterError(where, f"whole numbers {symbol}", given, "Lags and times count steps.")
    if not takes_nan and bool(xp.any(xp.isnan(value))):
        raise ParameterError(where, f"numbers {symbol}", given, "Gaussian expectations have none for NaN.")
    if symbol.is_nonnegative and bool(xp.any(value < 0)):
        hint = "It is a variance, a lag or a time; none is negative."
        raise ParameterError(where, f"{symbol} >= 0", given, hint)
    return value


def _check_shapes(where: str, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Do nothing for arrays that broadcast.  Errors: ShapeError with the shape of each that is no single number."""
    try:
        np.broadcast_shapes(*shapes.values())
    except ValueError:
        got = ", ".join(f"{name} {shape}" for name, shape in shapes.items() if shape)
        raise ShapeError(where, "arrays that broadcast", got, "Give arrays of one shape, or single numbers.") from None
