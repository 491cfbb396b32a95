"""One array text for NumPy and CuPy: every function asks its arrays for their namespace."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import array_api_compat
import array_api_compat.numpy
import numpy as np
from numpy.typing import NDArray

from wideproof.derive.language.errors import ParameterError, TooLarge
from wideproof.numeric.core.inputs import whole

Array: TypeAlias = Any
"""An array of any namespace of the array API standard; the standard has no static type yet."""
Namespace: TypeAlias = Any
"""A module that offers the array API standard, such as `array_api_compat.numpy`."""
Host: TypeAlias = NDArray[np.float64]
"""An array of doubles in the memory of the host."""

BACKENDS = ("numpy", "cupy")


def namespace(*arrays: Array) -> Namespace:
    """Return the one array namespace that all the arrays share.

    Shapes: any.  Error: TypeError if the arrays are of different namespaces.
    Source: the Python array API standard, through array-api-compat.
    """
    return array_api_compat.array_namespace(*arrays)


def backend(name: str) -> Namespace:
    """Return the namespace called `name`: "numpy" or "cupy".

    Error: ParameterError for another name, or where CuPy is not installed.
    Source: array-api-compat.
    """
    if name not in BACKENDS:
        raise ParameterError("backend", "numpy or cupy", name, "Choose an installed array library.")
    if name == "numpy":
        return array_api_compat.numpy
    try:
        return importlib.import_module("array_api_compat.cupy")
    except ImportError as missing:
        raise ParameterError(
            "backend", "CuPy, to compute on a GPU", str(missing),
            "Run pip install 'wideproof[cuda12]' (or 'wideproof[cuda13]' with CUDA 13), or choose numpy.",
        ) from missing  # fmt: skip


def to_host(array: Array) -> Host:
    """Return the array as NumPy doubles, copied from its device where that is needed.

    Shapes: kept.  Units: kept.  Error: none beyond rounding to double.  Source: definition.
    """
    if hasattr(array, "get"):  # CuPy
        array = array.get()
    return np.asarray(array, dtype=np.float64)


def quietly() -> np.errstate:
    """Return a context in which NumPy says nothing of overflows, whose results `check_finite` refuses.

    Source: definition.
    """
    return np.errstate(over="ignore", invalid="ignore")


def check_finite(where: str, values: Iterable[Array | float], when: str = "") -> None:
    """Refuse arrays or numbers that overflowed on the way.

    Shapes: any.  Error: TooLarge, with the place and, where it is given, the step.  Source: definition.
    """
    for value in values:
        xp = namespace(value) if hasattr(value, "shape") else np
        if not bool(xp.all(xp.isfinite(value))):
            raise TooLarge(where, when)


@dataclass(frozen=True)
class Stream:
    """An explicit source of random arrays in one namespace; nothing in wideproof uses a global seed."""

    xp: Namespace
    generator: Any

    def normal(self, *shape: int, dtype: str = "float64") -> Array:
        """Draw independent standard normal numbers of the given shape, in "float64" or "float32"."""
        return self.xp.asarray(self.generator.standard_normal(shape, dtype=np.dtype(dtype)))

    def chi(self, freedom: int, trials: int) -> Array:
        """Draw `trials` numbers of the law of the norm of `freedom` standard normals; freedom >= 1."""
        return self.xp.sqrt(self.xp.asarray(2.0 * self.generator.standard_gamma(freedom / 2, (trials,))))


def seed_sequence(seed: int, *key: int) -> np.random.SeedSequence:
    """Return a seed sequence that is the same for equal (seed, key), independent for different ones.

    Error: ParameterError for a negative seed, or one that is no whole number.
    Source: numpy.random.SeedSequence, spawn_key.
    """
    seed = whole("seed", seed, most=2**128, hint="Any integer from 0 upwards will do.")
    return np.random.SeedSequence(seed, spawn_key=key)


def stream(xp: Namespace, seeds: np.random.SeedSequence) -> Stream:
    """Return the random stream of a seed sequence in a namespace; NumPy's generator unless xp is CuPy.

    Error: none; CuPy keeps 32 bits of a seed, so two of k streams on a GPU are one with
    probability about k² / 2^33.  Source: PCG64 on the host, Philox on a GPU.
    """
    if xp.__name__.endswith("cupy"):
        random = importlib.import_module("cupy.random")
        return Stream(xp, random.Generator(random.Philox4x3210(seeds)))
    return Stream(xp, np.random.Generator(np.random.PCG64(seeds)))
