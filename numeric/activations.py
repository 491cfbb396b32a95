"""The activations of the language as array functions, with their first derivatives: one table.

The definitions are those of `derive.activations.definition_at`, written so that no finite argument overflows.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable

import numpy as np
from array_api_compat import is_cupy_array
from scipy import special

from derive.errors import ParameterError
from numeric.arrays import Array, namespace

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


FUNCTIONS: dict[str, tuple[Function, ...]] = {
    "identity": (_identity, _one),
    "relu": (_relu, _step),
    "erf": (_erf, _erf_slope),
    "tanh": (_tanh, _tanh_slope),
    "gelu": (_gelu, _gelu_slope),
    "sigmoid": (_sigmoid, _sigmoid_slope),
    "sin": (_sin, _cos),
    "step": (_step,),
}
"""Name -> the function and, where it is one, its derivative."""


def activation_function(name: str, order: int = 0) -> Function:
    """Return the array function phi^{(order)} of a named activation; at a kink, the mean of both sides.

    Shapes: kept by the function.  Units: none.  Error: ParameterError where no such function is in the table.
    Source: derive.activations.definition_at.
    """
    if name not in FUNCTIONS:
        raise ParameterError("activation", f"one of {', '.join(FUNCTIONS)}", name, "Add its row to FUNCTIONS.")
    row = FUNCTIONS[name]
    if not 0 <= order < len(row):
        raise ParameterError(
            f"activation {name}", f"a derivative of order below {len(row)}", order,
            "Recursions and their tangents need a function and its derivative only.",
        )  # fmt: skip
    return row[order]
