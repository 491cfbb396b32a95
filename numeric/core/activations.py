"""The activations of the language as array functions, with their first derivatives: one table.

The definitions are those of `derive.language.activations.definition_at`, written so that no finite argument overflows.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from functools import cache, lru_cache

import numpy as np
import sympy as sp
from array_api_compat import is_cupy_array
from scipy import special

from wideproof.derive.algebra.array_code import emitted
from wideproof.derive.language.activations import FAMILIES, Z, definition, family_of
from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Array, namespace

Function = Callable[[Array], Array]


def _identity(z: Array) -> Array:
    return z


def _one(z: Array) -> Array:
    return namespace(z).ones_like(z)


def _relu(z: Array) -> Array:
    return 0.5 * (z + abs(z))


def _step(z: Array) -> Array:
    xp = namespace(z)
    return 0.5 * (1.0 + xp.sign(z))


def _erf(z: Array) -> Array:
    if is_cupy_array(z):
        return importlib.import_module("cupyx.scipy.special").erf(z)
    return namespace(z).asarray(special.erf(np.asarray(z)))


def _erf_slope(z: Array) -> Array:
    return 2.0 / math.sqrt(math.pi) * namespace(z).exp(-z * z)


def _tanh(z: Array) -> Array:
    return namespace(z).tanh(z)


def _tanh_slope(z: Array) -> Array:
    return 1.0 - _tanh(z) ** 2


def _gelu(z: Array) -> Array:
    return 0.5 * z * (1.0 + _erf(z / math.sqrt(2.0)))


def _gelu_slope(z: Array) -> Array:
    density = namespace(z).exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return 0.5 * (1.0 + _erf(z / math.sqrt(2.0))) + z * density


def _sigmoid(z: Array) -> Array:
    return 0.5 * (1.0 + _tanh(0.5 * z))


def _sigmoid_slope(z: Array) -> Array:
    return 0.25 * _tanh_slope(0.5 * z)


def _sin(z: Array) -> Array:
    return namespace(z).sin(z)


def _cos(z: Array) -> Array:
    return namespace(z).cos(z)


def _exp(z: Array) -> Array:
    return namespace(z).exp(z)


def _gaussian(z: Array) -> Array:
    return namespace(z).exp(-z * z)


def _erf_sigmoid(z: Array) -> Array:
    return 0.5 * (1.0 + _erf(z))


def _silu_slope(z: Array) -> Array:
    return _sigmoid(z) + z * _sigmoid_slope(z)


def _softplus(z: Array) -> Array:
    xp = namespace(z)
    return _relu(z) + xp.log1p(xp.exp(-abs(z)))


def _kinked(left: float, right: float) -> tuple[Function, Function]:
    """Return left min(z, 0) + right max(z, 0) and its slope."""
    return lambda z: right * _relu(z) - left * _relu(-z), lambda z: right * _step(z) + left * _step(-z)


def _shrunk(threshold: float) -> tuple[Function, Function]:
    """Return z moved towards zero by t, the threshold, and its slope."""
    t = threshold
    return lambda z: _relu(z - t) - _relu(-z - t), lambda z: _step(z - t) + _step(-z - t)


def _sign(z: Array) -> Array:
    return namespace(z).sign(z)


FUNCTIONS: dict[str, tuple[Function, ...]] = {
    "identity": (_identity, _one),
    "relu": (_relu, _step),
    "erf": (_erf, _erf_slope),
    "tanh": (_tanh, _tanh_slope),
    "gelu": (_gelu, _gelu_slope),
    "sigmoid": (_sigmoid, _sigmoid_slope),
    "sin": (_sin, _cos),
    "step": (_step,),
    "abs": (abs, _sign),
    "sign": (_sign,),
    "cos": (_cos, lambda z: -_sin(z)),
    "exp": (_exp, _exp),
    "gaussian": (_gaussian, lambda z: -2.0 * z * _gaussian(z)),
    "erf_sigmoid": (_erf_sigmoid, lambda z: 0.5 * _erf_slope(z)),
    "silu": (lambda z: z * _sigmoid(z), _silu_slope),
    "softplus": (_softplus, _sigmoid),
}
"""Name -> the function and, where it is one, its derivative."""
MEMBERS: dict[str, Callable[..., tuple[Function, Function]]] = {
    "leaky_relu": lambda slope: _kinked(slope, 1.0), "abrelu": _kinked, "soft_threshold": _shrunk,
}  # fmt: skip
"""Family -> the function with these parameters and its derivative."""


SLOPES: dict[str, Function] = {"tanh": lambda y: 1.0 - y * y, "sigmoid": lambda y: y * (1.0 - y), "exp": lambda y: y}
"""Name -> the derivative as a function of the value, where that keeps its digits to rounding of the value."""


def slope_from_value(name: str) -> Function | None:
    """Return the function that makes phi'(z) of phi(z), None where there is none in the table.

    Shapes: kept by the function.  Error: rounding of the value, 1e-16 absolute.  Source: the logistic equation.
    """
    return SLOPES.get(name)


def activation_function(name: str, order: int = 0) -> Function:
    """Return the array function phi^{(order)} of a named activation; at a kink, the mean of both sides.

    Shapes: kept by the function.  Error: ParameterError where no such function is in the table.
    Source: derive.language.activations.definition_at.
    """
    family, parameters = family_of(name)
    if family not in (*FUNCTIONS, *MEMBERS):
        return _given(name, order)
    row = FUNCTIONS.get(name) or MEMBERS[family](*map(float, parameters or FAMILIES[family][0]))
    if not 0 <= order < len(row):
        raise ParameterError(
            f"activation {name}", f"a derivative of order below {len(row)}", order,
            "Recursions and their tangents need a function and its derivative only.",
        )  # fmt: skip
    return row[order]


def _given(name: str, order: int) -> Function:
    """Return a function declared by `wideproof.define`, printed for NumPy or CuPy."""
    try:
        expr = definition(name, order)
    except KeyError:
        known = f"one of {', '.join((*FUNCTIONS, *MEMBERS))}"
        raise ParameterError("activation", known, name, "Declare it with wideproof.define.") from None
    return _printed(expr)


@lru_cache(maxsize=64)
def _printed(expr: sp.Expr) -> Function:
    """One function for an expression, by which tables of it are found again."""
    printed = {kind: cache(lambda kind=kind: emitted([Z], expr, kind)) for kind in ("numpy", "cupy")}
    return lambda z: printed["cupy" if is_cupy_array(z) else "numpy"]()(z)
