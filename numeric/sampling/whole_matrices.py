"""What the parameters of a recursion do to vectors, drawn whole: tied ones once, untied ones at each step."""

from __future__ import annotations

import math
from collections.abc import Callable

import sympy as sp

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.derive.language.program import Parameter
from wideproof.numeric.core.arrays import Array, Stream

Number = Callable[[sp.Expr], float]


class WholeMatrices:
    """The parameters of one batch of trials as whole arrays; vectors are (B, N, n), W @ v means n^{-1/2} W v.

    Units: of each parameter.  Error: rounding.  Source: definition.
    """

    def __init__(self, source: Stream, sizes: dict[str, int], number: Number, given: dict[str, Array]) -> None:
        self.source, self.number, self.given = source, number, given
        self.trials, self.width, self.n_x, self.n_y = (sizes[k] for k in ("trials", "width", "n_x", "n_y"))
        self.time = 0
        self._arrays: dict[tuple[str, int], Array] = {}

    def start(self, time: int) -> None:
        """Begin a step: untied parameters are drawn anew."""
        self.time = time
        self._arrays = {key: array for key, array in self._arrays.items() if key[1] < 0}

    def multiply(self, matrix: Parameter, v: Array) -> Array:
        """n^{-1/2} W v.  Shapes: (B, N, n) -> (B, N, n)."""
        W = self.array(matrix, (self.width, self.width))
        return self.source.xp.matmul(v, W.mT) / math.sqrt(self.width)

    def multiply_transposed(self, matrix: Parameter, u: Array) -> Array:
        """n^{-1/2} Wᵀ u, for recursions of gradients.  Shapes: (B, N, n) -> (B, N, n)."""
        W = self.array(matrix, (self.width, self.width))
        return self.source.xp.matmul(u, W) / math.sqrt(self.width)

    def drive(self, matrix: Parameter, x: Array) -> Array:
        """F x.  Shapes: (N, n_x) -> (B, N, n)."""
        return self.source.xp.matmul(x, self.array(matrix, (self.width, self.n_x)).mT)

    def read(self, matrix: Parameter, v: Array) -> Array:
        """n^{-1/2} C v.  Shapes: (B, N, n) -> (B, N, n_y)."""
        return self.source.xp.matmul(v, self.array(matrix, (self.n_y, self.width)).mT) / math.sqrt(self.width)

    def bias(self, parameter: Parameter, output: bool) -> Array:
        """A bias, equal for all sequences.  Shapes: (B, 1, n), or (B, 1, n_y) in the output."""
        return self.array(parameter, (self.n_y if output else self.width,))[:, None, :]

    def array(self, parameter: Parameter, shape: tuple[int, ...]) -> Array:
        """The entries of a parameter at this step.  Shapes: (B, *shape)."""
        key = self.key(parameter)
        if key not in self._arrays:
            if parameter.name in self.given:
                self._arrays[key] = self._given(parameter, shape)
            else:
                drawn = self.source.normal(self.trials, *shape)
                self._arrays[key] = self.number(parameter.mean) + self.deviation(parameter) * drawn
        return self._arrays[key]

    def key(self, parameter: Parameter) -> tuple[str, int]:
        """What identifies one draw of a parameter."""
        return parameter.name, -1 if parameter.tied else self.time

    def deviation(self, parameter: Parameter) -> float:
        """The standard deviation of an entry."""
        variance = self.number(parameter.variance)
        if variance < 0:
            raise ParameterError(f"variance of {parameter.name}", "a number >= 0", variance, "Change its symbols.")
        return math.sqrt(variance)

    def _given(self, parameter: Parameter, shape: tuple[int, ...]) -> Array:
        values = self.source.xp.asarray(self.given[parameter.name])
        want = shape if parameter.tied else (max(values.shape[0], self.time + 1), *shape)
        if values.shape != want:
            hint = "Untied parameters take a leading axis of times." if not parameter.tied else "See `simulate`."
            raise ShapeError(f"weights of {parameter.name}", f"shape {want}", values.shape, hint)
        return (values if parameter.tied else values[self.time, ...])[None, ...]
