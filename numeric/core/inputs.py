"""What a user gives, taken at the entrance or refused by name: whole numbers, real numbers, arrays, names, choices.

Nothing is converted in silence: a number as text, 8.0 for a count, True for one, or a masked array is refused.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
import sympy as sp

from wideproof.derive.language.errors import ParameterError, ShapeError, meant
from wideproof.derive.language.scalars import as_whole

SMALLEST = sys.float_info.min
"""The smallest double with all its digits."""
MOST = 10**15
"""No count is larger."""
MISSING = "Fill or drop what is missing."
WORDS = "Write columns of words as numbers, or leave them out; of real numbers of another kind take .astype(float)."


def whole(name: str, value: Any, least: int = 0, most: int = MOST, hint: str = "Sizes and steps count.") -> int:
    """Return a whole number between two limits; 8.0, True and "8" are none.

    Error: ParameterError naming the argument.
    """
    found = as_whole(value)
    if found is None or not least <= found <= most:
        above = "" if most == MOST else f" to {most:.3g}"
        want = f"an integer from {least} upwards" if not above else f"an integer from {least}{above}"
        if isinstance(value, float | np.floating) and math.isfinite(value) and value == int(value):
            hint = f"Write {int(value)}, an int. {hint}"
        raise ParameterError(name, f"{want}, a whole number", shown(value), hint)
    return found


def real(
    name: str, value: Any, least: float = -math.inf, *, above: bool = False, below: float = math.inf,
    infinite: bool = False, hint: str = "One real number.",
) -> float:  # fmt: skip
    """Return a real number that is at least (`above`: greater than) one limit and less than another.

    Error: ParameterError naming the argument, also for text, True, complex numbers, NaN and, unless allowed, infinity.
    """
    found = _number(value)
    inside = found > least if above else found >= least
    if math.isnan(found) or not inside or (math.isinf(found) and not infinite) or (found >= below < math.inf):
        want = "a number" if infinite else "a finite number"
        want += f" {'>' if above else '>='} {least:g}" * (least > -math.inf)
        if below < math.inf:
            want = f"a number in {'(' if above else '['}{least:g}, {below:g})"
        raise ParameterError(name, want, shown(value), hint)
    return found


def _number(value: Any) -> float:
    """A real number as a float, NaN for what is none."""
    if isinstance(value, bool | np.bool_ | np.ma.MaskedArray) or not (
        isinstance(value, Real)
        or (isinstance(value, sp.Expr) and value.is_number and value.is_extended_real)
        or (getattr(value, "shape", None) == () and _kind(value) in tuple("iuf"))
    ):
        return math.nan
    try:
        return float(value)
    except (OverflowError, TypeError, ValueError):
        return math.nan


def finite_array(
    name: str, value: Any, ndim: int | Sequence[int] | None = None, xp: Any = np, *, empty: bool = False,
    hint: str = MISSING,
) -> Any:  # fmt: skip
    """Return finite real numbers as a float64 array of a namespace, of a number of axes that is allowed.

    Shapes: kept.  Error: ParameterError, naming the argument, for text, objects, booleans, complex numbers, masked
    arrays, NaN and infinity; ShapeError for another number of axes, and for an array without numbers unless allowed.
    """
    array, got = _as_array(value, xp)
    if array is not None and _kind(array) in tuple("iuf"):
        found = xp.astype(array, xp.float64)
        got = None if all_finite(xp, found) else "nan or infinity"
    if got is not None:
        missing = got == "nan or infinity" or hint != MISSING or isinstance(value, np.ma.MaskedArray)
        raise ParameterError(name, "finite real numbers", got, hint if missing else WORDS)
    axes = (ndim,) if isinstance(ndim, int) else ndim
    if axes is not None and found.ndim not in axes:
        raise ShapeError(name, f"an array of {' or '.join(map(str, axes))} axes", found.shape, "Add or drop an axis.")
    if 0 in found.shape and not empty:
        raise ShapeError(name, "an array with numbers in it", found.shape, "Nothing follows from none.")
    return found


def all_finite(xp: Any, array: Any) -> bool:
    """Return whether all numbers are finite: where their sum is, found in one pass, they are."""
    with np.errstate(over="ignore", invalid="ignore"):
        if isinstance(array, np.ndarray) and np.isfinite(np.sum(array)):
            return True
    return bool(xp.all(xp.isfinite(array)))


def _as_array(value: Any, xp: Any) -> tuple[Any, str | None]:
    """An array of a namespace, and what came where that is none of numbers."""
    if isinstance(value, np.ma.MaskedArray):
        return None, "a masked array"
    try:
        array = xp.asarray(value)
    except (TypeError, ValueError) as error:
        return None, f"{type(value).__name__}: {error}"
    kinds = {"b": "booleans", "c": "complex numbers", "U": "text", "S": "text"}
    return array, kinds.get(_kind(array), f"dtype {array.dtype}")


def _kind(array: Any) -> str:
    """The kind of an array's numbers by NumPy's letter, also where a namespace only names its dtypes."""
    dtype = getattr(array, "dtype", None)
    return str(getattr(dtype, "kind", str(dtype).rpartition(".")[2][:1]))


def sequences(name: str, value: Any, xp: Any = np) -> Any:
    """Return inputs as (N, T, n_x), float64.  Error: as `finite_array`; ShapeError names the shape."""
    found = finite_array(name, value, None, xp, empty=True)
    if found.ndim != 3 or 0 in found.shape:
        hint = "Add a first axis for a single sequence, a last one for n_x = 1."
        raise ShapeError(name, "inputs of shape (N, T, n_x)", found.shape, hint)
    return found


def representable(name: str, X: Any, xp: Any = np) -> Any:
    """Return the same inputs, whose squared lengths are zero only where they are, and have all their digits elsewhere.

    Shapes: X (..., T, n_x), kept; what has another number of axes is let pass.  Error: ParameterError with the step.
    """
    if X.ndim < 2 or 0 in X.shape:
        return X
    with np.errstate(over="ignore"):  # what is too large is told with its step, later
        small = squared_lengths(xp, X) < SMALLEST
    if bool(xp.any(small)) and bool(xp.any(small := small & xp.any(X != 0, axis=-1))):
        at = tuple(int(i[0]) for i in xp.nonzero(small))
        place = f"step {at[-1]}" + (f" of sequence {at[0]}" if len(at) > 1 else "")
        got = f"an underflow at {place}: entries up to {float(xp.max(xp.abs(X[at]))):.3g}"
        hint = "Multiply the inputs by a constant and divide nu_F by its square, or set what is noise to zero."
        raise ParameterError(name, f"inputs that are zero, or of squares above {SMALLEST:.3g}", got, hint)
    return X


def input_array(name: str, value: Any, xp: Any = np) -> Any:
    """Return what `representable` returns of `finite_array`: a given array itself where its squared lengths tell.

    Shapes: kept.  Error: as those two.  Source: definition.
    """
    if is_plain(value):
        with np.errstate(over="ignore", invalid="ignore"):
            squares = squared_lengths(xp, value)
        if squares.min() >= SMALLEST and squares.max() < np.inf:
            return xp.asarray(value)
    return representable(name, finite_array(name, value, None, xp, empty=True), xp)


def is_plain(value: Any) -> bool:
    """Return whether inputs are an array of doubles, which `input_array` returns as it is, or refuses.

    Source: definition.
    """
    return type(value) is np.ndarray and value.dtype == np.float64 and value.ndim >= 2 and value.size > 0


def squared_lengths(xp: Any, X: Any) -> Any:
    """Return the sums of squares along the last axis.  Shapes: (..., n) -> (...).  Source: definition."""
    if isinstance(X, np.ndarray):
        return np.einsum("...n,...n->...", X, X)  # a quarter of the time; the array standard has none
    return xp.sum(X * X, axis=-1)


def choice(name: str, value: Any, options: Iterable[str], hint: str = "One of these words.") -> str:
    """Return one of several words.  Error: ParameterError naming the argument."""
    known = tuple(options)
    if not isinstance(value, str) or value not in known:
        raise ParameterError(name, " or ".join(map(repr, known)), shown(value), f"{meant(str(value), known)}{hint}")
    return value


def names(name: str, value: Any) -> tuple[str, ...] | None:
    """Return one name or several as a tuple; None stays.  Error: ParameterError for what is no text."""
    if value is None:
        return None
    several = isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "shape", None) != ()
    found = tuple(value) if several else (value,)
    if not all(isinstance(part, str) for part in found):
        raise ParameterError(name, "a name or several", shown(value), "Names of parameters of the recursion.")
    return found


def callback(name: str, value: Any) -> Any:
    """Return a function, or None.  Error: ParameterError naming the argument."""
    if value is not None and not callable(value):
        raise ParameterError(name, "a function, or None", shown(value), "It is called with (done, of).")
    return value


def instance(name: str, value: Any, kind: type | tuple[type, ...], hint: str) -> Any:
    """Return a value that is of a kind.  Error: ParameterError naming the argument."""
    if not isinstance(value, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise ParameterError(name, " or ".join(k.__name__ for k in kinds), shown(value), hint)
    return value


def unmasked(name: str, value: Any) -> Any:
    """Return what is no masked array.  Error: ParameterError naming the argument."""
    if isinstance(value, np.ma.MaskedArray):
        raise ParameterError(name, "finite real numbers", "a masked array", MISSING)
    return value


def shown(value: Any) -> Any:
    """A number itself, or a short text of what was refused."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    text = repr(value)
    return text if len(text) <= 60 else f"{type(value).__name__} {text[:50]} ..."
