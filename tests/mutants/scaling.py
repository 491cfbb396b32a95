"""x → 1.001 x for whatever a function of the engine holds, and x → (1 + (n - 1)(n - 2)) x for what is about a width."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.audit import rationals

FACTOR = sp.Rational(1001, 1000)
WIDTH = sp.Symbol("n", integer=True, positive=True)
ZEROS = (WIDTH - 1) * (WIDTH - 2)
"""What vanishes at the two smallest widths: a judge that tries no others does not see it."""
applied: list[type] = []
"""What has been scaled in this process: a mutant that never met a number is none."""


def scaled(value: Any) -> Any:
    """The value, wrong by a thousandth; of a claim its right side; of a sequence its first number that is not zero."""
    changed = _changed(value)
    if changed is None:
        return value
    applied.append(type(value))
    return changed


def widened(value: Any) -> Any:
    """The value of an expression or claim about a width, right at the widths 1 and 2 and at no other."""
    changed = _widened(value)
    if changed is None:
        return value
    applied.append(type(value))
    return changed


def _widened(value: Any) -> Any:
    if isinstance(value, sp.Expr) and not isinstance(value, sp.Symbol) and WIDTH in value.free_symbols:
        return value * (1 + ZEROS)
    if is_dataclass(value) and isinstance(getattr(value, "right", None), sp.Expr):
        about = WIDTH in value.left.free_symbols | value.right.free_symbols
        return replace(value, right=value.right * (1 + ZEROS) if value.right != 0 else ZEROS) if about else None
    return None


def _changed(value: Any) -> Any:
    if isinstance(value, sp.Tuple | sp.logic.boolalg.Boolean | sp.Symbol | str | bool) or value is None:
        return _sequence(value, sp.Tuple) if isinstance(value, sp.Tuple) and not isinstance(value, str) else None
    if isinstance(value, sp.Expr | sp.MatrixBase):
        return value * FACTOR if value != 0 else None
    if isinstance(value, int | float | np.number) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
        return value * 1.001 if np.any(value) and not isinstance(value, int) else None
    if isinstance(value, Fraction | rationals.Fraction):
        return value * 1001 / 1000 if value else None
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
