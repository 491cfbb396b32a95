"""Kernels that estimators ask for again and again: over ridges, times and targets the same sequences at one setting."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from wideproof.derive.language.plain_form import program_data
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.kernels.kernel import Kernel

MOST = 2**28
"""Bytes of kernels remembered in one process; those asked for longest ago are forgotten first."""


class Store:
    """Arrays by what they were computed from, at most so many bytes of them: a copy of what the same call returned.

    Shapes: any.  Units: those of the arrays.  Error: none.  Source: definition.
    """

    def __init__(self, most: float) -> None:
        self.most = most
        self._arrays: OrderedDict[str, Host] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str, compute: Callable[[], Host]) -> Host:
        """Return a copy of the array of a key, computed where it is not here; larger ones than all are not kept."""
        with self._lock:
            if key in self._arrays:
                self._arrays.move_to_end(key)
                return self._arrays[key].copy()
        found = compute()
        with self._lock:
            if found.nbytes <= self.most:
                self._arrays[key] = found.copy()
            while sum(x.nbytes for x in self._arrays.values()) > self.most:
                self._arrays.popitem(last=False)
        return found


STORE = Store(MOST)


class RememberedKernel(Kernel):
    """The same kernel as `Kernel` with these arguments, to the last bit, computed once for the same sequences.

    Remembered by content (program, variances, readout, parameterization, sequences), in this process, up to `MOST`
    bytes; nothing else of a call changes what it returns.
    Shapes, units, error, source: as `Kernel`.
    """

    def nngp(self, X1: Any, X2: Any = None) -> Host:
        """Return the covariance of the outputs.  Shapes, units, error, source: as `Kernel.nngp`."""
        return STORE.get(self._key("nngp", X1, X2), lambda: super(RememberedKernel, self).nngp(X1, X2))

    def ntk(self, X1: Any, X2: Any = None, parameters: str | Iterable[str] | None = None) -> Host:
        """Return the tangent kernel.  Shapes, units, error, source: as `Kernel.ntk`."""
        if parameters is not None:
            return super().ntk(X1, X2, parameters)
        return STORE.get(self._key("ntk", X1, X2), lambda: super(RememberedKernel, self).ntk(X1, X2))

    def _key(self, quantity: str, X1: Any, X2: Any) -> str:
        own = [quantity, self.parameterization, self.backend, self.readout, self.memory, self.parameters]
        digest = hashlib.sha256(json.dumps([program_data(self.recursion), own], sort_keys=True).encode())
        for X in (X1, X2):
            for x in [None] if X is None else X:
                array = np.ascontiguousarray(x)
                digest.update(f"{array.shape} {array.dtype.str}".encode() + array.tobytes())
            digest.update(f"{type(X).__name__}".encode())
        return digest.hexdigest()
