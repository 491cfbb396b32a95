"""Pickles of numeric arrays, read by an unpickler that knows nothing but their bytes.

No name in the file is ever imported and no object of NumPy is made before its size and type are checked: the
few names that pickled arrays need stand for stand-ins defined here, and every other name is refused.
"""

from __future__ import annotations

import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host

DEEPEST, MOST = 3, 100_000  # containers within containers, and values in all
NUMERIC = re.compile(r"[biuf][1248]")
SAVE_AS_NPZ = "Only plain arrays of numbers are read from a pickle: save it with numpy.savez instead."


class _Type:
    """Stands for numpy.dtype: a kind and size, then a byte order."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str) or not NUMERIC.fullmatch(code):
            raise pickle.UnpicklingError(f"an array of type {code!r}")
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[object, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"byte order {order!r}")
        self.order = str(order)

    def real(self) -> np.dtype[Any]:
        """The NumPy type of this kind, size and order."""
        return np.dtype(self.order + self.code)


class _Array:
    """Stands for numpy.ndarray: shape, type, order and bytes, checked when they are read."""

    def __init__(self) -> None:
        self.value: Host = np.empty(0)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        self.value = _numbers(data, kind, shape, "F" if fortran else "C")


def _numbers(data: object, kind: object, shape: object, order: object, axes: object = None) -> Host:
    """The array of these bytes; text is the bytes of Python 2.  Shapes: -> shape."""
    raw = data.encode("latin1") if isinstance(data, str) else data
    if not isinstance(kind, _Type) or not isinstance(raw, bytes | bytearray) or not isinstance(shape, tuple):
        raise pickle.UnpicklingError("an array that is not of numbers")
    if any(type(size) is not int or size < 0 for size in shape) or order not in ("C", "F", "K"):
        raise pickle.UnpicklingError(f"an array of shape {shape} in order {order!r}")
    if math.prod(shape) * kind.real().itemsize != len(raw):
        raise pickle.UnpicklingError(f"{len(raw)} bytes for an array of shape {shape}")
    flat = np.frombuffer(raw, kind.real())
    if order != "K":
        return flat.reshape(shape, order="F" if order == "F" else "C")
    if not isinstance(axes, tuple) or sorted(axes) != list(range(len(shape))):
        raise pickle.UnpicklingError(f"axes {axes!r}")
    return flat.reshape(shape).transpose(axes)


def _reconstruct(kind: object, shape: object, code: object) -> _Array:
    return _Array()


def _frombuffer(data: object, kind: object, shape: object, order: object, axes: object = None) -> _Array:
    array = _Array()
    array.value = _numbers(data, kind, shape, order, axes)
    return array


def _scalar(kind: object, data: object) -> _Array:
    return _frombuffer(data, kind, (), "C")


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    return b""


class _Name:
    """What a name in the file stands for: it can be called, and neither changed nor taken apart."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function

    def __call__(self, *args: object) -> object:
        return self._function(*args)

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a file that changes what its names mean")


NAMES: dict[tuple[str, str], _Name | str] = {
    ("numpy", "dtype"): _Name(_Type),
    ("numpy", "ndarray"): "ndarray",
    ("_codecs", "encode"): _Name(_encode),
    ("__builtin__", "bytes"): _Name(_no_bytes),
    ("builtins", "bytes"): _Name(_no_bytes),
}
"""Every name a pickled array may mention, and what stands for it."""
for _core in ("numpy.core", "numpy._core"):
    NAMES[f"{_core}.multiarray", "_reconstruct"] = _Name(_reconstruct)
    NAMES[f"{_core}.multiarray", "scalar"] = _Name(_scalar)
    NAMES[f"{_core}.numeric", "_frombuffer"] = _Name(_frombuffer)


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """The stand-in, or a refusal that names what the file asked for."""
        if (module, name) not in NAMES:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return NAMES[module, name]


def read_arrays(path: Path) -> Any:
    """The arrays of a pickle of protocol 0 to 5, Python 2's included, in their tuples, lists and dictionaries.

    Errors: ParameterError for anything else in the file, of which nothing is run.
    """
    try:
        with path.open("rb") as stream:
            found = _ArraysOnly(stream, encoding="latin1").load()
        return _Plain().of(found, DEEPEST)
    except OSError:
        raise
    except Exception as error:  # a broken pickle raises almost anything
        got = " ".join(str(error).split()).rstrip(".") or f"what ends in {type(error).__name__}"
        raise ParameterError(str(path), "a pickle of numeric arrays only", got, SAVE_AS_NPZ) from error


class _Plain:
    """Replaces stand-ins by arrays, and counts the values so that a small file cannot unfold without end."""

    def __init__(self) -> None:
        self.left = MOST

    def of(self, value: Any, depth: int) -> Any:
        """The value with arrays in place of their stand-ins."""
        self.left -= 1
        if self.left < 0 or depth < 0:
            raise pickle.UnpicklingError("more values than a recording has")
        if isinstance(value, _Array):
            return value.value
        if isinstance(value, list | tuple):
            return type(value)(self.of(item, depth - 1) for item in value)
        if isinstance(value, dict):
            return {str(key): self.of(item, depth - 1) for key, item in value.items()}
        if isinstance(value, int | float):
            return np.asarray(float(value))
        raise pickle.UnpicklingError(f"a value of type {type(value).__name__}")
