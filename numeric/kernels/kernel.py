"""Kernels of sequences, evaluated by the derived recursion on the inner products of the inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from wideproof.derive import Formula, Program, Recursion, nngp, ntk
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.language.errors import ParameterError, TooLarge
from wideproof.numeric.core.arrays import Array, backend
from wideproof.numeric.kernels.sequence_batches import SequenceBatch, by_length, check_fit, distinct, equal, repeated
from wideproof.numeric.networks.simulation import symbol_values
from wideproof.numeric.process import Effort, ProcessKernel, padded

READOUTS = ("all", "last", "average")
BLOCK = 256  # sequences: arrays of 256 x 256 pairs stay in the cache, and calls cost little beside them
LIVE = 16  # arrays of pairs alive at once while one step is computed, besides the moments kept


class Kernel:
    """The infinite-width kernels of a recursion at given variances, the identity over the n_y outputs implied.

    Shapes: X (N, T, n_x) -> (N1, T, N2, T) for `readout="all"`; (N1, N2) for "last" (the output after the last step)
    and "average" (its mean over all steps), where X may be a list of (T_i, n_x) of different lengths. Without X2, or
    with X2 equal to X1, the kernel is that of X1 with itself, and half of it is computed. Equal sequences have equal
    rows, to the last bit, and cost once. Where a start is drawn for each sequence, only X1 itself has the same starts.
    Units: output^2.
    Error: rounding for activations with a closed form; else `error` bounds that of any one Gaussian expectation.
    TooLarge, with the step, where a number on the way overflows.
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

        Shapes: as the class says.  Units: output^2.  Error: ShapeError; see the class.  Source: wideproof.nngp.
        """
        return self._evaluate(lambda: self._nngp, X1, X2)

    def ntk(self, X1: Any, X2: Any = None, parameters: str | Iterable[str] | None = None) -> Array:
        """Return the neural tangent kernel, or the part of it that the named parameters contribute.

        Shapes: as the class says.  Units: output^2.  Error: ShapeError; see the class.  Source: wideproof.ntk.
        """
        if parameters is None:
            return self._evaluate(lambda: self._ntk, X1, X2)
        names = (parameters,) if isinstance(parameters, str) else tuple(parameters)
        return self._evaluate(lambda: self._group(names), X1, X2)

    def ntk_by_parameter(self, X1: Any, X2: Any = None) -> dict[str, Array]:
        """Return what each trainable parameter contributes to the neural tangent kernel; the values add up to it.

        Shapes, units, error: as `ntk`.  Source: wideproof.ntk, one parameter trained at a time.
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
        """The kernel, refused where a number of it or on the way to it overflows."""
        where = f"kernel of {self.recursion.name}"
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                result = self._computed(made, X1, X2)
        except FloatingPointError as error:
            raise TooLarge(where) from error
        xp = backend(self.backend)
        if not bool(xp.all(xp.isfinite(result))):  # CuPy has no such flags
            raise TooLarge(where)
        return result

    def _computed(self, made: Callable[[], Any], X1: Any, X2: Any) -> Array:
        xp = backend(self.backend)
        symmetric = X2 is None or X2 is X1
        first = by_length(xp, X1)
        second = first if symmetric else by_length(xp, X2)
        check_fit(first, second, self.readout)
        function = made()
        self.error, self.stderr, self.method = 0.0, None, "derived recursion"
        places: list[Any] = [None, None]
        if all(state.initial == 0 or state.shared for state in self.recursion.states):  # equal sequences are one
            symmetric = symmetric or equal(first, second)
            first, places[0] = distinct(first)
            second, places[1] = (first, places[0]) if symmetric else distinct(second)
        if isinstance(function, ProcessKernel):
            result = self._expected(function, first, None if symmetric else second)
            self.stderr = repeated(xp, self.stderr, *places)
        else:
            result = self._stepped(function, first, second, symmetric)
        return repeated(xp, result, *places)

    def _stepped(self, function: Any, first: Any, second: Any, symmetric: bool) -> Array:
        xp = backend(self.backend)
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

    def _blocks(
        self, function: Any, first: Any, second: Any, symmetric: bool
    ) -> Iterator[tuple[Any, Any, SequenceBatch]]:
        for g, (rows, X) in enumerate(first):
            for h, (columns, Y) in enumerate(second):
                size = self._block_size(function, X.shape[1], Y.shape[1])
                for i in range(0, len(rows), size):
                    for j in range(0, len(columns), size):
                        if symmetric and (h, j) < (g, i):
                            continue
                        here, there = slice(i, i + size), slice(j, j + size)
                        batch = SequenceBatch(backend(self.backend), X[here], Y[there], symmetric and (g, i) == (h, j))
                        yield rows[here], columns[there], batch

    def _block_size(self, function: Any, T1: int, T2: int) -> int:
        """The side of a square of pairs of sequences that fits the memory."""
        kept = len(function.equations.across)
        if self.readout == "last" and function.equations.equal_times:
            arrays = 2 * kept + LIVE
        else:
            arrays = (kept + 1) * T1 * T2 + LIVE
        return max(1, min(BLOCK, math.isqrt(int(self.memory / (8 * arrays)))))

    def _block(self, function: Any, batch: SequenceBatch) -> Array:
        sizes = (batch.first.shape[1], batch.second.shape[1])
        found = function.on(batch, sizes, self.readout, **self.parameters)
        self.error = max(self.error, function.error)
        shape = (batch.first.shape[0], batch.second.shape[0])
        xp = batch.xp
        if self.readout != "all":
            full = xp.broadcast_to(xp.asarray(found, dtype=xp.float64), shape)
            return 0.5 * (full + full.T) if batch.diagonal else full
        full = xp.permute_dims(xp.broadcast_to(found, (*shape, *sizes)), (0, 2, 1, 3))
        return 0.5 * (full + xp.permute_dims(full, (2, 3, 0, 1))) if batch.diagonal else full

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
