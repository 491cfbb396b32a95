"""Kernels of sequences, evaluated by the derived recursion on the inner products of the inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from derive import Formula, Program, Recursion, nngp, ntk
from derive.derivation import as_program
from derive.errors import ParameterError, ShapeError
from numeric.arrays import Array, backend
from numeric.process import Effort, ProcessKernel, padded
from numeric.simulation import symbol_values

READOUTS = ("all", "last", "average")
BLOCK = 256  # sequences: arrays of 256 x 256 pairs stay in the cache, and calls cost little beside them
LIVE = 16  # arrays of pairs alive at once while one step is computed, besides the moments kept


class Kernel:
    """The infinite-width kernels of a recursion at given variances, the identity over the n_y outputs implied.

    Shapes: X (N, T, n_x) -> (N1, T, N2, T) for `readout="all"`; (N1, N2) for "last" (the output after the last step)
    and "average" (its mean over all steps), where X may be a list of (T_i, n_x) of different lengths. Without X2, or
    with X2 the same object as X1, the kernel is that of X1 with itself, and half of it is computed.
    Units: output^2.
    Error: rounding for activations with a closed form; else `error` bounds that of any one Gaussian expectation.
    Gated recursions are expectations over a process: by nested quadrature where few Gaussian variables meet in one
    activation (`stderr` is then its error bound), else by randomised quasi-Monte Carlo with 16 x `points` points drawn
    from `seed` (`stderr` has 15 degrees of freedom). `stderr` is of the shape of the last kernel, None where there is
    none to estimate; `error` is its largest entry; `method` says which; `progress` is called with (done, of).
    Memory: blocks of pairs are chosen to need about `memory` bytes besides the result.
    Source: emami2021implicit, (15)-(20), by the derived recursion; yang2020tensor2 for gates.
    """

    def __init__(
        self,
        recursion: Recursion | Program,
        parameterization: str = "entries",
        backend: str = "numpy",
        readout: Any = "all",  # a string; typed loosely so that **variances type-checks
        memory: float = 2.0**28,
        points: Any = 4096,
        seed: Any = 0,
        progress: Any = None,
        **parameters: float,
    ) -> None:
        if readout not in READOUTS:
            hint = '"all" steps, the "last" one, or their "average".'
            raise ParameterError("Kernel: readout", " or ".join(READOUTS), repr(readout), hint)
        if not memory > 0:
            raise ParameterError("Kernel: memory", "a positive number of bytes", memory, "For example 2.0**28.")
        self.recursion, self.parameterization = as_program(recursion), parameterization
        symbol_values(self.recursion, parameters)
        self.backend, self.readout, self.memory, self.parameters = backend, readout, memory, parameters
        self.effort = Effort(points, seed, memory, progress)
        self.error, self.stderr, self.method = 0.0, None, "derived recursion"
        self._groups: dict[tuple[str, ...], Any] = {}

    def nngp(self, X1: Any, X2: Any = None) -> Array:
        """Return the covariance of the outputs of random networks.

        Shapes: as the class says.  Units: output^2.  Error: ShapeError; see the class.  Source: derive.nngp.
        """
        return self._evaluate(lambda: self._nngp, X1, X2)

    def ntk(self, X1: Any, X2: Any = None, parameters: str | Iterable[str] | None = None) -> Array:
        """Return the neural tangent kernel, or the part of it that the named parameters contribute.

        Shapes: as the class says.  Units: output^2.  Error: ShapeError; see the class.  Source: derive.ntk.
        """
        if parameters is None:
            return self._evaluate(lambda: self._ntk, X1, X2)
        names = (parameters,) if isinstance(parameters, str) else tuple(parameters)
        return self._evaluate(lambda: self._group(names), X1, X2)

    def ntk_by_parameter(self, X1: Any, X2: Any = None) -> dict[str, Array]:
        """Return what each trainable parameter contributes to the neural tangent kernel; the values add up to it.

        Shapes, units, error: as `ntk`.  Source: derive.ntk, one parameter trained at a time.
        """
        return {p.name: self.ntk(X1, X2, p.name) for p in self.recursion.parameters if p.trainable}

    @cached_property
    def _nngp(self) -> Any:
        return self._function(nngp(self.recursion).formula)

    @cached_property
    def _ntk(self) -> Any:
        return self._function(ntk(self.recursion, self.parameterization).formula)

    def _group(self, names: tuple[str, ...]) -> Any:
        if names not in self._groups:
            self._groups[names] = self._function(ntk(self.recursion, self.parameterization, names).formula)
        return self._groups[names]

    def _function(self, formula: Formula) -> Any:
        return ProcessKernel(formula) if formula.process is not None else formula.on_sequences(self.backend)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the emitted functions, which are made again when they are needed."""
        return {k: v for k, v in vars(self).items() if k not in ("_nngp", "_ntk")} | {"_groups": {}}

    # ---- batches ------------------------------------------------------------------------------------------
    def _evaluate(self, made: Callable[[], Any], X1: Any, X2: Any) -> Array:
        xp = backend(self.backend)
        symmetric = X2 is None or X2 is X1
        first = _by_length(xp, X1)
        second = first if symmetric else _by_length(xp, X2)
        _check(first, second, self.readout)
        function = made()
        self.error, self.stderr, self.method = 0.0, None, "derived recursion"
        if isinstance(function, ProcessKernel):
            return self._expected(function, first, None if symmetric else second)
        sizes = [sum(len(members) for members, _ in groups) for groups in (first, second)]
        times = [groups[0][1].shape[1] for groups in (first, second)]
        shape = (sizes[0], times[0], sizes[1], times[1]) if self.readout == "all" else tuple(sizes)
        result = xp.empty(shape, dtype=xp.float64)
        for rows, columns, block in self._blocks(function, first, second, symmetric):
            self._fill(xp, result, rows, columns, self._block(function, block), symmetric)
        return result

    def _expected(self, function: ProcessKernel, first: Any, second: Any) -> Array:
        """An expectation over the limiting process, with its error."""
        xp = backend(self.backend)
        steps = max(X.shape[1] for _, X in (*first, *(second or ())))
        batches = [padded(xp, groups, self.readout, steps) if groups else None for groups in (first, second)]
        assert batches[0] is not None
        found = function.on(xp, batches[0], batches[1], self.effort, self.parameters)
        mean, self.stderr = (x if self.readout == "all" else x[:, 0, :, 0] for x in (found.mean, found.error))
        self.error, self.method = float(xp.max(found.error)), found.method
        return mean

    def _blocks(self, function: Any, first: Any, second: Any, symmetric: bool) -> Iterator[tuple[Any, Any, Batch]]:
        for g, (rows, X) in enumerate(first):
            for h, (columns, Y) in enumerate(second):
                size = self._block_size(function, X.shape[1], Y.shape[1])
                for i in range(0, len(rows), size):
                    for j in range(0, len(columns), size):
                        if symmetric and (h, j) < (g, i):
                            continue
                        here, there = slice(i, i + size), slice(j, j + size)
                        batch = Batch(backend(self.backend), X[here], Y[there], symmetric and (g, i) == (h, j))
                        yield rows[here], columns[there], batch

    def _block_size(self, function: Any, T1: int, T2: int) -> int:
        """The side of a square of pairs of sequences that fits the memory."""
        kept = len(function.equations.across)
        if self.readout == "last" and function.equations.equal_times:
            arrays = 2 * kept + LIVE
        else:
            arrays = (kept + 1) * T1 * T2 + LIVE
        return max(1, min(BLOCK, math.isqrt(int(self.memory / (8 * arrays)))))

    def _block(self, function: Any, batch: Batch) -> Array:
        sizes = (batch.first.shape[1], batch.second.shape[1])
        found = function.on(batch, sizes, self.readout, **self.parameters)
        self.error = max(self.error, function.error)
        shape = (batch.first.shape[0], batch.second.shape[0])
        xp = batch.xp
        if self.readout != "all":
            return xp.broadcast_to(xp.asarray(found, dtype=xp.float64), shape)
        return xp.permute_dims(xp.broadcast_to(found, (*shape, *sizes)), (0, 2, 1, 3))

    def _fill(self, xp: Any, result: Array, rows: Any, columns: Any, block: Array, symmetric: bool) -> None:
        if self.readout == "all":
            result[rows[0] : rows[-1] + 1, :, columns[0] : columns[-1] + 1, :] = block
            if symmetric:
                mirrored = xp.permute_dims(block, (2, 3, 0, 1))
                result[columns[0] : columns[-1] + 1, :, rows[0] : rows[-1] + 1, :] = mirrored
            return
        if all(members[-1] - members[0] + 1 == len(members) for members in (rows, columns)):  # they are in order
            here, there = (slice(members[0], members[-1] + 1) for members in (rows, columns))
            result[here, there] = block
            if symmetric:
                result[there, here] = block.T
            return
        result[xp.asarray(rows)[:, None], xp.asarray(columns)[None, :]] = block
        if symmetric:
            result[xp.asarray(columns)[:, None], xp.asarray(rows)[None, :]] = block.T


def _by_length(xp: Any, X: Any) -> list[tuple[list[int], Array]]:
    """Positions and sequences of each length, (members, (N, T, n_x))."""
    if not isinstance(X, Sequence):
        array = _numbers(xp, X)
        return [(list(range(array.shape[0] if array.ndim else 0)), array)]
    arrays = [_numbers(xp, x) for x in X]
    shapes = sorted({x.shape for x in arrays})
    members = [[i for i, x in enumerate(arrays) if x.shape == shape] for shape in shapes]
    return [(rows, xp.stack([arrays[i] for i in rows])) for rows in members]


def _numbers(xp: Any, x: Any) -> Array:
    """Inputs as float64; ParameterError where they are no finite real numbers."""
    try:
        array = xp.asarray(x)
        known = "nan or infinity" if array.dtype.kind in "biuf" else f"dtype {array.dtype}"
    except ValueError as error:
        array, known = None, str(error)
    if array is None or array.dtype.kind not in "biuf" or not bool(xp.all(xp.isfinite(array))):
        raise ParameterError("Kernel", "inputs that are finite real numbers", known, "Fill or drop what is missing.")
    return array.astype(xp.float64)


def _check(first: Any, second: Any, readout: str) -> None:
    """Refuse what is no sequence, what differs in n_x, and for all steps what differs in length."""
    shapes = [X.shape for _, X in (*first, *second)]
    fits = first and second and all(len(shape) == 3 and 0 not in shape[:2] for shape in shapes)
    if not fits or len({shape[2] for shape in shapes}) > 1:
        raise _misfit(" and ".join(map(str, shapes)) or "none")
    if readout == "all" and len({shape[1] for shape in shapes}) > 1:
        raise _misfit(" and ".join(map(str, shapes)))


def _misfit(got: object) -> ShapeError:
    return ShapeError(
        "Kernel",
        "arrays of shape (N, T, n_x) with one n_x, T equal for readout='all', or lists of (T_i, n_x)",
        got,
        "Give sequences of one length, or another readout; add a last axis for n_x = 1.",
    )


@dataclass(frozen=True)
class Batch:
    """Two batches of sequences whose inner products are computed when a step needs them."""

    xp: Any
    first: Array
    second: Array
    diagonal: bool
    _last: dict[int, Any] = field(default_factory=dict)

    @cached_property
    def same(self) -> Array:
        """1 where a pair is one sequence."""
        shape = (self.first.shape[0], self.second.shape[0])
        return self.xp.eye(*shape) if self.diagonal else self.xp.zeros(shape)

    def gram(self, side: int, first: int, second: int) -> Array:
        """Return x_first . x'_second: (N1, 1) and (1, N2) within sequences, (N1, N2) across.

        Equal and opposite inputs, which a matrix product may round apart, have exactly equal and opposite products.
        A step asks for the same products several times: the last ones of each side are kept.
        """
        if self._last.get(side, (None,))[0] != (first, second):
            self._last[side] = (first, second), self._gram(side, first, second)
        return self._last[side][1]

    def _gram(self, side: int, first: int, second: int) -> Array:
        xp = self.xp
        if side == 0:
            return xp.sum(self.first[:, first, :] * self.first[:, second, :], axis=-1)[:, None]
        if side == 1:
            return xp.sum(self.second[:, first, :] * self.second[:, second, :], axis=-1)[None, :]
        x, y = self.first[:, first, :], self.second[:, second, :]
        product = x @ y.T
        squares = xp.sum(x * x, axis=-1)
        sums = squares[:, None] + xp.sum(y * y, axis=-1)[None, :]
        near = sums - 2.0 * xp.abs(product) <= 1e-9 * sums
        rows, columns = xp.nonzero(near)
        for sign in (1.0, -1.0):
            exact = xp.all(x[rows] == sign * y[columns], axis=-1)
            product[rows[exact], columns[exact]] = sign * squares[rows[exact]]
        return product
