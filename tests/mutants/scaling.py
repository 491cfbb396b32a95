"""x → 1.001 x for whatever a function of the engine holds: numbers, arrays, expressions, claims."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

FACTOR = sp.Rational(1001, 1000)
applied: list[type] = []
"""What has been scaled in this process: a mutant that never met a number is none."""


def scaled(value: Any) -> Any:
    """The value, wrong by a thousandth; of a claim its right side; of a sequence its first number that is not zero."""
    changed = _changed(value)
    if changed is None:
        return value
    applied.append(type(value))
    return changed


def _changed(value: Any) -> Any:
    if isinstance(value, sp.Tuple | sp.logic.boolalg.Boolean | sp.Symbol | str | bool) or value is None:
        return _sequence(value, sp.Tuple) if isinstance(value, sp.Tuple) and not isinstance(value, str) else None
    if isinstance(value, sp.Expr | sp.MatrixBase):
        return value * FACTOR if value != 0 else None
    if isinstance(value, int | float | np.number) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
        return value * 1.001 if np.any(value) and not isinstance(value, int) else None
    if isinstance(value, Fraction):
        return value * Fraction(1001, 1000) if value else None
    if is_dataclass(value) and hasattr(value, "right"):
        changed = _changed(value.right)
        return None if changed is None else replace(value, right=changed)
    if type(value) in (tuple, list):
        return _sequence(value, lambda *x: type(value)(x))
    return None


def _sequence(value: Any, made: Any) -> Any:
    for index, x in enumerate(value):
        changed = _changed(x)
        if changed is not None:
            return made(*value[:index], changed, *value[index + 1 :])
    return None
