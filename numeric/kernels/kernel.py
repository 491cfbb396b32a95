"""Kernels of sequences, evaluated by the derived recursion on the inner products of the inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from array_api_compat import is_numpy_namespace
from scipy import special

from wideproof.derive import Formula, Program, Recursion, nngp, ntk, output_mean
from wideproof.derive.emit.derivation import as_program
from wideproof.derive.emit.enclosing_stepper import BallInputs
from wideproof.derive.emit.kernel_stepper import Look
from wideproof.derive.emit.sweeps.fused_sweep import LEAST_WORK
from wideproof.derive.expectation.pair_integrals import MANY
from wideproof.derive.expectation.tables.compiled_sweep import in_parts
from wideproof.derive.language.errors import ParameterError, ShapeError, TooLarge
from wideproof.derive.proof.rules import Rule
from wideproof.numeric.core.arrays import BACKENDS, Array, backend, to_host
from wideproof.numeric.core.enclosures import Enclosure
from wideproof.numeric.core.inputs import all_finite, choice, names as named, real
from wideproof.numeric.core.shown import InOneLine, described
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.kernels.blocks import refuse_too_many_pairs, worked_blocks
from wideproof.numeric.kernels.certified import certified, entry_of, sequence
from wideproof.numeric.kernels.sequence_batches import (
    Pairs,
    SequenceBatch,
    by_length,
    check_fit,
    distinct,
    equal,
    rounding,
)
from wideproof.numeric.networks.simulation import symbol_values
from wideproof.numeric.process import (
    REPLICATES,
    ROUNDING,
    Effort,
    Extent,
    KernelCost,
    KernelNumbers,
    ProcessKernel,
    padded,
)
from wideproof.numeric.runs.crew import workers_of

Asked = tuple[str, tuple[str, ...] | None, bool]
"""A quantity, the parameters whose part it is, and whether its error is wanted too."""
READOUTS, QUANTITIES = ("all", "last", "average"), ("nngp", "ntk")
CONFIDENT = float(special.stdtrit(REPLICATES - 1, 0.9995))
"""Standard errors of a mean over the replicates within which it lies with probability 0.999."""
BLOCK = 256  # sequences: arrays of 256 x 256 pairs stay in the cache, and calls cost little beside them
LONG = 2**10  # steps from which tables are quicker than series
SWEPT_BLOCK = 1024  # sequences of a block that is swept, which keeps no arrays of pairs but the result
CALL = 512  # pairs of sequences whose moments array code finds in the time of its calls
LONGER = 8  # times as much work pays for the sweep over pairs of times, whose text is longer
BY_TABLES = 8  # times as long a pair of times takes array code where expectations come of tables, at least
LIVE = 16  # arrays of pairs alive at once while one step is computed, besides the moments kept


@dataclass(frozen=True, eq=False, repr=False)
class KernelValue(InOneLine):
    """A kernel, how far its entries may be off, and the method that it comes from.

    `error` is an estimate of the error of each entry, never a certified bound. Where the derived recursion is stepped,
    it is how far the entry moves, to first order, when the Gaussian expectations on the way move by the estimates of
    their own errors (of closed forms: rounding, by the size of the terms that are summed), and moments and inner
    products by their rounding: twice the sum over four groups of them. Of a nested quadrature it is what the last grids
    leave open; of sampling, `stderr` times 4.07, within which a normal estimate lies with probability 0.999, and the
    rounding of sums. Inputs in single or half precision count as rounded, each by half a unit in its last place (6e-8
    and 5e-4 of it), and doubles as exact: what that does is part of `error`. `stderr` is the standard error of
    sampling, with 15 degrees of freedom; None where nothing was sampled.
    Shapes: value, error and stderr alike.  Units: output^2.  Error: `error`.  Source: `Kernel.evaluate`.

    >>> kernel = wp.Kernel(wp.models.linear_rnn(), readout="last", nu_W=0.5, nu_F=1.0, nu_C=1.0)
    >>> kernel.evaluate("nngp", [[[1.0], [2.0]]])
    KernelValue(value=float64 (1, 1), error=float64 (1, 1), stderr=None, method='derived recursion')
    """

    value: Array
    error: Array
    stderr: Array | None
    method: str

    @property
    def below(self) -> float:
        """How far the least eigenvalue of a kernel with itself lies below zero, as a part of the largest.

        Exact kernels have none below. Where `Kernel` carries angles it is rounding, 1e-15; of residual networks with
        kinked activations, whose angles are found by subtraction, up to 1e-8 for sequences as close as 1e-8 of their
        size. `WideTraining` and `posterior` take eigenvalues that are no larger than it for zero.
        Units: 1.  Error: ShapeError for a kernel between different sequences.
        """
        side = math.prod(self.value.shape[: self.value.ndim // 2])
        if side * side != math.prod(self.value.shape):
            raise ShapeError(
                "KernelValue.below", "a kernel of sequences with themselves", self.value.shape, "Leave X2."
            )
        values = np.linalg.eigvalsh(to_host(self.value).reshape(side, side))
        return max(0.0, -float(values[0]) / max(float(values[-1]), np.finfo(float).tiny)) if side else 0.0


@lru_cache(maxsize=64)
def _derived(
    program: Program, quantity: str, parameterization: str, names: tuple[str, ...] | None, rules: frozenset[Rule]
) -> Formula:
    """The formula of a quantity, derived once for all kernels of one recursion, by the same rules."""
    derived = nngp(program) if quantity == "nngp" else ntk(program, parameterization, names)
    return derived.formula


class Kernel:
    """The infinite-width kernels of a recursion at given variances, the identity over the n_y outputs implied.

    Shapes: X (N, T, n_x) -> (N1, T, N2, T) for `readout="all"`; (N1, N2) for "last" (the output after the last step)
    and "average" (its mean over all steps), where X may be a list of (T_i, n_x) of different lengths. Without X2, or
    with X2 equal to X1, the kernel is that of X1 with itself, and half of it is computed. Equal sequences have equal
    rows, to the last bit, and cost once. Where a start is drawn for each sequence, only X1 itself has the same starts.
    Units: output^2.
    Error: what `evaluate` returns beside the value. TooLarge or TooSmall, with the step, where a number on the way
    overflows, or loses its digits in an underflow.
    Gated recursions are expectations over a process: by nested quadrature where few Gaussian variables meet in one
    activation, else by randomised quasi-Monte Carlo with 16 x `points` points drawn from `seed`, or a 32nd of
    them where states are linear in what a gate does not decide, as in a GRU; `cost` says beforehand what that takes.
    SlowExpectations warns where integrals of an activation, in two variables each, will take more than 5 s of a kind.
    `progress` is called with (done, of), of blocks of pairs or of points.
    An `executor` of concurrent.futures works out the blocks of pairs,
    which are sent as sequences with the model as text; a process is evaluated here.
    Memory: blocks of pairs are chosen to need about `memory` bytes besides the result, in each worker; ParameterError,
    before the start, for a result that the machine cannot hold. A sampled kernel keeps up to 256 MB of it for the next
    call.
    Source: emami2021implicit, (15)-(20), by the derived recursion; yang2020tensor2 for gates.

    >>> kernel = wp.Kernel(wp.models.linear_rnn(), readout="last", nu_W=0.5, nu_F=1.0, nu_C=1.0)
    >>> kernel.nngp([[[1.0], [2.0]]])
    array([[4.5]])
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
        executor: Any = None,
        **parameters: float,
    ) -> None:
        choice("Kernel: readout", readout, READOUTS, '"all" steps, the "last" one, or their "average".')
        choice("Kernel: parameterization", parameterization, ("entries", "ntk"), "See wideproof.ntk.")
        choice("Kernel: backend", backend, BACKENDS, "CuPy computes on a GPU.")
        memory = real("Kernel: memory", memory, 0.0, above=True, hint="In bytes, for example 2.0**28.")
        self.recursion, self.parameterization = as_program(recursion), parameterization
        symbol_values(self.recursion, parameters)
        self.backend, self.readout, self.memory, self.parameters = backend, readout, memory, parameters
        workers_of(None, executor, None)  # told now, not with the first block
        self.executor = executor
        self.effort = Effort(points, seed, memory, progress)
        self._functions: dict[Any, Any] = {}

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={value:.6g}" for name, value in self.parameters.items())
        how = f"readout={self.readout!r}, parameterization={self.parameterization!r}"
        return f"Kernel({self.recursion!r}, {how}, {values})"

    def _repr_html_(self) -> str:
        rows = [("readout", self.readout), ("parameterization", self.parameterization)]
        rows += [(name, f"{value:.6g}") for name, value in self.parameters.items()]
        return self.recursion._repr_html_() + described(f"Kernel of {self.recursion.name}", ("setting", "value"), rows)

    def nngp(self, X1: Any, X2: Any = None) -> Array:
        """Return the covariance of the outputs of random networks.

        Shapes: as the class says.  Units: output^2.  Error: ShapeError; see the class.  Source: wideproof.nngp.
        """
        return self._refused_if_infinite("nngp", X1, X2, None, self._value)

    def ntk(self, X1: Any, X2: Any = None, parameters: str | Iterable[str] | None = None) -> Array:
        """Return the neural tangent kernel, or the part of it that the named parameters contribute.

        Shapes: as the class says.  Units: output^2.  Error: ShapeError; see the class.  Source: wideproof.ntk.
        """
        return self._refused_if_infinite("ntk", X1, X2, parameters, self._value)

    def evaluate(
        self, quantity: str, X1: Any, X2: Any = None, parameters: str | Iterable[str] | None = None
    ) -> KernelValue:
        """Return a kernel, "nngp" or "ntk", with an estimate of the error of each entry.

        It costs five kernels of array code, in blocks that threads share: up to a hundred times a kernel that is swept.
        Shapes, units: as the class says.  Error: ParameterError for another quantity; as `ntk`.
        Source: `KernelValue`.
        """
        choice("Kernel.evaluate: quantity", quantity, QUANTITIES, "Which kernel it is.")
        if quantity == "nngp" and parameters is not None:
            hint = "Parts are of the ntk."
            raise ParameterError("Kernel.evaluate: parameters", "none for the nngp", parameters, hint)
        return self._refused_if_infinite(quantity, X1, X2, parameters, self._with_error)

    def certified(
        self,
        quantity: str,
        entry: tuple[int, ...],
        X1: Any,
        X2: Any = None,
        parameters: str | Iterable[str] | None = None,
        tolerance: float = 1e-10,
    ) -> Enclosure:
        """Return bounds between which one entry of a kernel lies, "nngp" or "ntk", in ball arithmetic.

        `entry` is the index of the same entry of the kernel's array: (i, j), or (i, t, j, s) for `readout="all"`.
        The derived recurrence is stepped with a ball for every number, each Gaussian expectation enclosed from the
        definition of the activation: no table of dual activations and no grid is believed. Inputs and variances are
        the exact numbers that the given floats are.
        Time: from 0.1 to 2 s for four steps, growing as the number of pairs of times; seconds to minutes where a
        function is steep, or has kinks and is not piecewise linear, at correlations near one.
        Shapes: as the class says.  Units: output^2.
        Error: NotAccurate where the enclosure is wider than `tolerance` times the larger of 1 and the value; NotClosed
        for gated recursions and products of activations, whose kernel is an expectation over a process; ParameterError
        for another entry.
        Source: johansson2017arb; johansson2018numerical; mehler1866ueber.
        """
        choice("Kernel.certified: quantity", quantity, QUANTITIES, "Which kernel it is.")
        tolerance = real("Kernel.certified: tolerance", tolerance, 0.0, above=True, hint="The width that is let pass.")
        symmetric = X2 is None or X2 is X1
        first = by_length(np, X1)
        second = first if symmetric else by_length(np, X2)
        check_fit(first, second, self.readout)
        (N1, T1), (N2, T2) = ((sum(len(rows) for rows, _ in x), x[0][1].shape[1]) for x in (first, second))
        (i, j), times = entry_of(entry, (N1, T1, N2, T2) if self.readout == "all" else (N1, N2))
        inputs = BallInputs(sequence(first, i), sequence(second, j), int(symmetric and i == j))
        formula = self._formula(quantity, named("Kernel: parameters", parameters))
        return certified(formula, inputs, self.readout, times, self.parameters, tolerance)

    def cost(self, quantity: str, X1: Any, X2: Any = None) -> KernelCost | None:
        """Return the memory and the time that a kernel by paths, nets or quadrature takes, beforehand; str() says it.

        None where a recurrence gives the kernel, or nets or a quadrature take less than two seconds; of these a few
        points are tried, for at most three.
        Shapes: as the class says.  Units: bytes besides the result, seconds of processor time.
        Error: memory is a bound, seconds are within a factor of three; ParameterError as the kernel itself.
        Source: the arrays and products of `wideproof.numeric.process`, at rates of this machine measured now.
        """
        choice("Kernel.cost: quantity", quantity, QUANTITIES, "Which kernel it is.")
        pairs, function = self._pairs(X1, X2), self._emitted(quantity, None)
        if not isinstance(function, ProcessKernel):
            return None
        sizes = [sum(len(rows) for rows, _ in groups) for groups in (pairs.first, pairs.second)]
        lengths = {X.shape[1] for groups in (pairs.first, pairs.second) for _, X in groups}
        last = max(lengths) == 1 or (self.readout == "last" and len(lengths) == 1)
        extent = Extent(max(lengths), last, is_numpy_namespace(pairs.xp))
        return function.cost((sizes[0], sizes[1]), pairs.symmetric, extent, self.effort, self.parameters)

    @property
    def mean(self) -> float:
        """The mean of every output of random networks, about which `nngp` is their covariance.

        Units: output.  Source: wideproof.output_mean.
        """
        return float(self._emitted_mean(**self.parameters))

    def ntk_by_parameter(self, X1: Any, X2: Any = None) -> dict[str, Array]:
        """Return what each trainable parameter contributes to the neural tangent kernel; the values add up to it.

        Shapes, units, error: as `ntk`.  Source: wideproof.ntk, one parameter trained at a time.
        """
        return {p.name: self.ntk(X1, X2, p.name) for p in self.recursion.parameters if p.trainable}

    @property
    def is_stepped(self) -> bool:
        """Whether the kernel is a recursion over both times: no expectation over a process.  Source: wideproof.nngp."""
        return self._formula("nngp", None).process is None

    @property
    def _emitted_mean(self) -> Any:
        if "mean" not in self._functions:
            self._functions["mean"] = output_mean(self.recursion).formula.compile("numpy")
        return self._functions["mean"]

    def _emitted(self, quantity: str, parameters: str | Iterable[str] | None) -> Any:
        """The function of a quantity, or of the part of it that some parameters contribute."""
        names = named("Kernel: parameters", parameters)
        if (quantity, names) not in self._functions:
            self._functions[quantity, names] = self._function(self._formula(quantity, names))
        return self._functions[quantity, names]

    def _formula(self, quantity: str, names: tuple[str, ...] | None) -> Formula:
        """The derived formula of a quantity, or of the part of it that some parameters contribute."""
        if (quantity, names, "formula") not in self._functions:
            asked = quantity, self.parameterization, names, frozenset(Rule.registry.values())
            self._functions[quantity, names, "formula"] = _derived(self.recursion, *asked)
        formula: Formula = self._functions[quantity, names, "formula"]
        return formula

    def _function(self, formula: Formula) -> Any:
        return ProcessKernel(formula) if formula.process is not None else formula.on_sequences(self.backend)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the executor and the emitted functions, which are made again when they are needed."""
        return vars(self) | {"_functions": {}, "executor": None}

    # ---- batches ------------------------------------------------------------------------------------------
    def _refused_if_infinite(self, quantity: str, X1: Any, X2: Any, parameters: Any, found: Callable[..., Any]) -> Any:
        """A kernel, refused where a number of it or on the way to it overflows."""
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                return found(quantity, parameters, X1, X2)
        except FloatingPointError as error:
            raise self._too_large from error

    @property
    def _too_large(self) -> TooLarge:
        return TooLarge(f"kernel of {self.recursion.name}")

    def _finite(self, found: Array) -> Array:
        """Numbers of array code, refused where one is infinite: CuPy, and other processes, have no flags that tell."""
        xp = backend(self.backend)
        parts = found if found.ndim == 4 else (found,)  # no second array of the size of all pairs of times
        if not all(all_finite(xp, part) for part in parts):
            raise self._too_large
        return found

    def _value(self, quantity: str, parameters: Any, X1: Any, X2: Any) -> Array:
        function = self._emitted(quantity, parameters)
        process, alone = isinstance(function, ProcessKernel), self.backend == "numpy" and self.executor is None
        pairs = self._pairs(X1, X2, [] if alone and not process else None)
        if process:
            return pairs.repeated(self._expected(function, pairs).mean)
        return pairs.repeated(self._stepped(function, pairs, (quantity, named("", parameters), False))[0])

    def _with_error(self, quantity: str, parameters: Any, X1: Any, X2: Any) -> KernelValue:
        pairs = self._pairs(X1, X2)
        function = self._emitted(quantity, parameters)
        if not isinstance(function, ProcessKernel):
            value, error = self._stepped(function, pairs, (quantity, named("", parameters), True))
            return KernelValue(pairs.repeated(value), pairs.repeated(error), None, "derived recursion")
        found = self._expected(function, pairs)
        spread, moved = (pairs.repeated(x) for x in (found.error, self._moved(function, pairs, found.mean)))
        if not found.is_sampled:
            return KernelValue(pairs.repeated(found.mean), spread + moved, None, found.method)
        rounded = ROUNDING * abs(pairs.repeated(found.mean))  # all there is where no path differs from another
        return KernelValue(pairs.repeated(found.mean), CONFIDENT * spread + moved + rounded, spread, found.method)

    def _moved(self, function: ProcessKernel, pairs: Pairs, mean: Array) -> Array:
        """How far an expectation over the process moves with the rounding of its inputs: twice the sum of two ways."""
        moved = [pairs.moved(alternate) for alternate in (False, True) if pairs.rounding]
        means = (self._expected(function, other).mean for other in moved)
        return 2.0 * sum((abs(other - mean) for other in means), start=0.0 * mean)

    def _pairs(self, X1: Any, X2: Any, later: list[Look] | None = None) -> Pairs:
        """Two batches, looked at; where `later` is a list, only as far as they have to be now."""
        xp = backend(self.backend)
        symmetric = X2 is None or X2 is X1
        first = by_length(xp, X1, later)
        second = first if symmetric else by_length(xp, X2, later)
        check_fit(first, second, self.readout)
        if not all(state.initial == 0 or state.shared for state in self.recursion.states):
            return Pairs(xp, first, second, symmetric, rounding(X1, X2), later=later or [])
        symmetric = symmetric or equal(first, second)  # equal sequences are one
        first, rows = distinct(first)
        second, columns = (first, rows) if symmetric else distinct(second)
        return Pairs(xp, first, second, symmetric, rounding(X1, X2), rows, columns, later or [])

    def _stepped(self, function: Any, pairs: Pairs, asked: Asked) -> list[Array]:
        sizes = [sum(len(members) for members, _ in groups) for groups in (pairs.first, pairs.second)]
        times = [groups[0][1].shape[1] for groups in (pairs.first, pairs.second)]
        shape = (sizes[0], times[0], sizes[1], times[1]) if self.readout == "all" else tuple(sizes)
        refuse_too_many_pairs(self, shape, 2 if asked[2] else 1)
        results: list[Array] = []
        alone = self.readout == "last" and function.equations.equal_times
        steps = max(times) if alone else times[0] * times[1]
        wanted = max(sizes[0] * sizes[1] * steps, MANY if max(times) >= LONG else 1)
        swept = not asked[2] and self._work(function, sizes, times) >= LEAST_WORK
        blocks = self._blocks(function, pairs, wanted, swept)
        count = sum(1 for _ in self._blocks(function, pairs, wanted, swept))
        fit = self._at_once(function, max(times), max(times))
        needless = swept and count == 1 and not function.by_tables  # `block` itself limits what array code takes
        with nullcontext() if needless else blas_threads(1):
            for rows, columns, parts in worked_blocks(self, asked, blocks, count, fit):
                if count == 1:
                    results = parts
                    continue
                results = results or [pairs.xp.empty(shape, dtype=pairs.xp.float64) for _ in parts]
                for result, part in zip(results, parts, strict=True):
                    self._fill(pairs.xp, result, rows, columns, part, pairs.symmetric)
        return results

    def _work(self, function: Any, sizes: list[int], times: list[int]) -> int:
        """How many moments are worked out, weighed where pairs of times are taken one by one."""
        moments, pairs = len(function.equations.across), sizes[0] * sizes[1]
        if self.readout == "last" and function.equations.equal_times:
            return pairs * max(times) * moments
        if function.by_rows:
            return pairs * times[0] * times[1] * moments
        price = BY_TABLES if function.by_tables else 1
        return price * max(pairs, CALL) * times[0] * times[1] * moments // LONGER

    def _expected(self, function: ProcessKernel, pairs: Pairs) -> KernelNumbers:
        """An expectation over the limiting process, with its error."""
        second = None if pairs.symmetric else pairs.second
        steps = max(X.shape[1] for _, X in (*pairs.first, *(second or ())))
        batch = padded(pairs.xp, pairs.first, self.readout, steps)
        other = padded(pairs.xp, second, self.readout, steps) if second else None
        with blas_threads(1):
            found = function.on(pairs.xp, batch, other, self.effort, self.parameters)
        mean, error = (x if self.readout == "all" else x[:, 0, :, 0] for x in (found.mean, found.error))
        return KernelNumbers(self._finite(mean), error, found.method)

    def _blocks(
        self, function: Any, pairs: Pairs, wanted: float, swept: bool
    ) -> Iterator[tuple[Any, Any, SequenceBatch]]:
        for g, (rows, X) in enumerate(pairs.first):
            for h, (columns, Y) in enumerate(pairs.second):
                fused = swept and function.sweep(X.shape[1] == Y.shape[1], self.readout) is not None
                times = X.shape[1], Y.shape[1]
                size = self._swept_size(function, *times) if fused else self._block_size(function, *times)
                for i in range(0, len(rows), size):
                    for j in range(0, len(columns), size):
                        if pairs.symmetric and (h, j) < (g, i):
                            continue
                        here, there = slice(i, i + size), slice(j, j + size)
                        own = pairs.symmetric and (g, i) == (h, j)
                        batch = SequenceBatch(
                            pairs.xp, X[here], Y[there], own, pairs.rounding, wanted, fused, pairs.later
                        )
                        yield rows[here], columns[there], batch

    def _swept_size(self, function: Any, T1: int, T2: int) -> int:
        """The side of a square of pairs of sequences that is swept: of them the result is kept, twice, and tables."""
        numbers = T1 * T2 if self.readout == "all" else 1
        held = 8 * function.sweep(T1 == T2, self.readout).held * max(T1, T2)
        return max(1, min(SWEPT_BLOCK, math.isqrt(int(self.memory / (16 * numbers))), int(self.memory / max(held, 1))))

    def _block_size(self, function: Any, T1: int, T2: int) -> int:
        """The side of a square of pairs of sequences that fits the memory."""
        by_rows, numbers = self.readout != "last" and function.by_rows, self._numbers(function, T1, T2)
        return max(1, min(math.isqrt(BLOCK * BLOCK // T2) if by_rows else BLOCK,
                          math.isqrt(int(self.memory / (8 * numbers)))))  # fmt: skip

    def _numbers(self, function: Any, T1: int, T2: int) -> int:
        """About how many numbers array code holds of a pair of sequences."""
        kept = len(function.equations.across)
        if self.readout != "last" and function.by_rows:
            backward = any(state.backward for state in self.recursion.states)
            return ((T1 if backward else 2) * kept + LIVE + (T1 if self.readout == "all" else 1)) * T2
        if self.readout == "last" and function.equations.equal_times:
            return 2 * kept + LIVE
        return (kept + 1) * T1 * T2 + LIVE

    def _at_once(self, function: Any, T1: int, T2: int) -> int:
        """How many blocks of array code fit the memory together."""
        return int(self.memory / (8 * self._numbers(function, T1, T2) * self._block_size(function, T1, T2) ** 2))

    def block(self, asked: Asked, batch: SequenceBatch) -> list[Array]:
        """Return what is asked for, a kernel or with its error, for all pairs of two batches of sequences.

        Shapes: (N1, N2), or (N1, T, N2, T) for `readout="all"`.  Units, error: as the class says.
        """
        function, sizes = self._emitted(*asked[:2]), (batch.first.shape[1], batch.second.shape[1])
        if batch.swept and (swept := function.swept(batch, sizes, self.readout, **self.parameters)) is not None:
            return [swept]
        for look in batch.looks():
            look()
        with blas_threads(1):
            if not asked[2]:
                return [self._finite(self._full(batch, function.on(batch, sizes, self.readout, **self.parameters)))]
            value, error = function.evaluate(batch, sizes, self.readout, **self.parameters)
        return [self._finite(self._full(batch, value)), self._full(batch, error)]

    def _full(self, batch: SequenceBatch, found: Any) -> Array:
        """Numbers of a block as an array of all its pairs, symmetric where it is that of sequences with themselves."""
        shape, sizes = (batch.first.shape[0], batch.second.shape[0]), (batch.first.shape[1], batch.second.shape[1])
        xp = batch.xp
        if self.readout != "all":
            full = xp.broadcast_to(xp.asarray(found, dtype=xp.float64), shape)
            return 0.5 * (full + full.T) if batch.diagonal else xp.asarray(full, copy=True)
        full = xp.permute_dims(xp.broadcast_to(found, (*shape, *sizes)), (0, 2, 1, 3))
        full = 0.5 * (full + xp.permute_dims(full, (2, 3, 0, 1))) if batch.diagonal else full
        return xp.asarray(full, order="C", copy=True)

    def _fill(self, xp: Any, result: Array, rows: Any, columns: Any, block: Array, symmetric: bool) -> None:
        if self.readout == "all":
            there, own = slice(columns[0], columns[-1] + 1), rows[0] == columns[0]

            def put(i: int) -> None:
                result[rows[i], :, there, :] = block[i, ...]
                if symmetric and not own:
                    result[there, :, rows[i], :] = xp.permute_dims(block[i, ...], (1, 2, 0))

            for _ in (in_parts if self.backend == "numpy" else map)(put, range(len(rows))):
                pass
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
