"""Kernels of sequences, evaluated by the derived recursion on the Gram matrix of the inputs."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from derive import Program, Recursion, nngp, ntk
from derive.errors import ShapeError
from numeric.arrays import backend, namespace


class Kernel:
    """The infinite-width kernels of a recursion at given variances, the identity over the n_y outputs implied.

    Shapes: X (N, T, n_x) -> (N1, T, N2, T).  Units: output^2.  Error: rounding.
    Source: emami2021implicit, (15)-(20), by the derived recursion.
    """

    def __init__(
        self,
        recursion: Recursion | Program,
        parameterization: str = "entries",
        backend: str = "numpy",
        **parameters: float,
    ) -> None:
        self.recursion, self.parameterization = recursion, parameterization
        self.backend, self.parameters = backend, parameters

    def nngp(self, X1: Any, X2: Any) -> Any:
        """Return the covariance of the outputs of random networks.

        Shapes: (N1, T, n_x), (N2, T, n_x) -> (N1, T, N2, T).  Units: output^2.  Error: ShapeError.
        Source: derive.nngp.
        """
        return self._on_gram(self._nngp, X1, X2)

    def ntk(self, X1: Any, X2: Any) -> Any:
        """Return the neural tangent kernel.

        Shapes: (N1, T, n_x), (N2, T, n_x) -> (N1, T, N2, T).  Units: output^2.  Error: ShapeError.
        Source: derive.ntk.
        """
        return self._on_gram(self._ntk, X1, X2)

    @cached_property
    def _nngp(self) -> Any:
        return nngp(self.recursion).formula.compile(self.backend)

    @cached_property
    def _ntk(self) -> Any:
        return ntk(self.recursion, self.parameterization).formula.compile(self.backend)

    def _on_gram(self, function: Any, X1: Any, X2: Any) -> Any:
        xp = backend(self.backend)
        first, second = xp.asarray(X1, dtype=xp.float64), xp.asarray(X2, dtype=xp.float64)
        if first.ndim != 3 or second.ndim != 3 or first.shape[1:] != second.shape[1:]:
            raise ShapeError(
                "Kernel",
                "two arrays of shape (N, T, n_x), T and n_x equal",
                f"{first.shape} and {second.shape}",
                "Give sequences of one length; add a last axis for n_x = 1.",
            )
        gram = xp.permute_dims(xp.tensordot(first, second, axes=([2], [2])), (0, 2, 1, 3))  # (N1, N2, T, T)
        return namespace(gram).permute_dims(function(X=gram, **self.parameters), (0, 2, 1, 3))
