"""Recursions at any width without an n × n array: every matrix is revealed along the vectors it meets."""

from __future__ import annotations

import math
from collections.abc import Callable

from wideproof.derive import Program
from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.program import MatVec, Parameter
from wideproof.numeric.core.arrays import Array, Stream
from wideproof.numeric.sampling.conditioned_matrix import RevealedMatrix
from wideproof.numeric.sampling.linear.choice import METHODS, Choice
from wideproof.numeric.sampling.whole_matrices import Number, WholeMatrices

DENSE, EXPLICIT = "dense", "explicit"
CROSSOVER = 4
"""Measured: revealing wins from n of about this many times the number of vectors met."""
ROUNDING = 1e-12
"""A query this close, relative to its length, to the span of the earlier ones is taken to lie in it."""


class ExplicitMatrix(RevealedMatrix):
    """A revealed matrix whose vectors are n numbers: for recursions that act entry by entry.

    Cost: 4 n k flops for the k-th product and 2 n numbers of memory for each; no n × n array.
    """

    def __init__(self, width: int, trials: int, variance: float, stream: Stream) -> None:
        super().__init__(stream.xp, (trials,), width, variance**0.5, 0.0, ROUNDING)
        self._shape, self._stream = (trials, width), stream

    def fresh(self) -> Array:
        """Independent N(0, 1) entries.  Shapes: (B, n)."""
        return self._stream.normal(*self._shape)


class RevealedMatrices(WholeMatrices):
    """The same law without any n × n array: each square matrix is revealed along the vectors it meets.

    Cost: 4 n k flops for the k-th vector met.  Source: derive.alternating.conditioning.
    """

    def __init__(self, source: Stream, sizes: dict[str, int], number: Number, given: dict[str, Array]) -> None:
        super().__init__(source, sizes, number, given)
        self._revealed: dict[tuple[str, int], ExplicitMatrix] = {}

    def start(self, time: int) -> None:
        """Begin a step: untied matrices forget what they have shown."""
        super().start(time)
        self._revealed = {key: matrix for key, matrix in self._revealed.items() if key[1] < 0}

    def multiply(self, matrix: Parameter, v: Array) -> Array:
        """n^{-1/2} W v, one sequence after the other.  Shapes: (B, N, n) -> (B, N, n)."""
        return self._products(self.revealed(matrix).apply, v)

    def multiply_transposed(self, matrix: Parameter, u: Array) -> Array:
        """n^{-1/2} Wᵀ u, one sequence after the other.  Shapes: (B, N, n) -> (B, N, n)."""
        return self._products(self.revealed(matrix).apply_transpose, u)

    def _products(self, apply: Callable[[Array], Array], v: Array) -> Array:
        products = [apply(v[:, i, :]) for i in range(v.shape[1])]
        return self.source.xp.stack(products, axis=1) / math.sqrt(self.width)

    def revealed(self, matrix: Parameter) -> ExplicitMatrix:
        """The draw of a square matrix at this step, as far as it is known."""
        key = self.key(matrix)
        if key not in self._revealed:
            variance = self.deviation(matrix) ** 2
            self._revealed[key] = ExplicitMatrix(self.width, self.trials, variance, self.source)
        return self._revealed[key]


def queries(program: Program, sequences: int, horizon: int) -> int:
    """Return the largest number of vectors that one draw of a square matrix of the program meets.

    Units: vectors.  Source: definition.
    """
    met: dict[Parameter, int] = {}
    for _, term in program.terms:
        if isinstance(term, MatVec) and term.matrix.role == "matrix":
            steps = horizon if term.matrix.tied else 1
            met[term.matrix] = met.get(term.matrix, 0) + steps * sequences
    return max(met.values(), default=0)


def choose_matrices(
    program: Program, width: int, sequences: int, horizon: int, method: str = "auto", given: bool = False
) -> Choice:
    """Choose between whole and revealed matrices, with the reason; the law is the same.

    Error: ParameterError for an unknown method, or weights with `matrix-free`.
    Source: 4 n k² against 2 n² k flops for k vectors, and n² draws.
    """
    if method not in METHODS:
        raise ParameterError("simulate: method", f"one of {', '.join(METHODS)}", method, "auto takes the cheapest.")
    if given:
        if method == "matrix-free":
            raise ParameterError("simulate: method", "dense, where weights are given", method, "Use method='auto'.")
        return Choice(DENSE, "weights are given as arrays")
    if method != "auto":
        return Choice(DENSE if method == DENSE else EXPLICIT, "asked for")
    k = queries(program, sequences, horizon)
    if width > CROSSOVER * k:
        return Choice(EXPLICIT, f"n = {width} > {CROSSOVER} x {k} vectors that a matrix meets")
    return Choice(DENSE, f"n = {width} <= {CROSSOVER} x {k} vectors that a matrix meets: whole matrices are cheaper")
