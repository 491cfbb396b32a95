"""Sums of products near the smallest doubles: kept where their digits are, and refused where they are lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

SMALLEST = float(np.finfo(float).smallest_normal)
NEAR = SMALLEST / float(np.finfo(float).eps)
"""What is lost below the smallest double is less than a rounding of numbers from here on."""
PART = 2.0**-40
"""The part of a number that may be lost."""


class Underflow(ArithmeticError):
    """A number that is not zero, and whose digits are lost below the smallest double."""


def without_loss(function: Callable[..., Any], arguments: Sequence[Any], backend: str) -> Any:
    """The value of a polynomial of NumPy or CuPy arrays of doubles, none of whose digits went below the smallest.

    Where a product underflows, what is not outweighed by other terms is compared with the value in extended precision,
    whose exponents reach to 1e-4932; where a platform has none, the loss is taken for granted. CuPy has no flags, and
    is asked for subnormal results only.
    Shapes: of the arguments, broadcast.  Error: `Underflow`; FloatingPointError as NumPy was told.
    """
    if backend == "numpy":
        try:
            with np.errstate(under="raise"):
                return function(*arguments)
        except FloatingPointError:
            return _compared(function, arguments)
    found = function(*arguments)
    size = np.abs(found)
    if bool(((size > 0) & (size < SMALLEST)).any()):
        raise Underflow
    return found


def _compared(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """The value, where extended precision finds the same."""
    found = function(*arguments)
    try:
        with np.errstate(under="raise"):
            wide = np.abs(function(*(np.asarray(x, dtype=np.longdouble) for x in arguments)))
            lost = (wide < NEAR) & (np.abs(wide - np.abs(found)) > PART * wide)
    except FloatingPointError:
        raise Underflow from None
    if bool(np.any(lost)):
        raise Underflow
    return found
