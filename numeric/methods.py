"""The choice of a training method, explained, with what it will need at least: bytes, flops and seconds."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass, replace

import numpy as np

from derive.errors import ParameterError
from numeric.convolution import Convolution
from numeric.data import Quadratic
from numeric.krylov import LinearRNN
from numeric.subspace import RandomRNN

METHODS = ("auto", "krylov", "subspace", "sampled", "direct")
FINEST = 1e-9
"""Subspace descent does not reach relative errors of the losses below this one."""
DIRECTIONS = 130
"""Measured: the directions that 300 steps meet on either side, at any width, with few inputs and outputs."""
CALL = 5e-5
"""Measured: seconds for one product among the directions met, however small."""


@dataclass(frozen=True)
class MethodChoice:
    """A training method, why it was taken, and the floor of its cost on this machine.

    Units: bytes of memory; flops and bytes moved of the whole run; seconds from both by measured rates.
    """

    name: str
    reason: str
    memory: float
    flops: float
    traffic: float
    calls: float = 0.0

    @property
    def seconds(self) -> float:
        """The time that arithmetic or memory alone would take, whichever is longer, and that of small calls."""
        flops, bandwidth = machine_rates()
        return max(self.flops / flops, self.traffic / bandwidth) + CALL * self.calls

    def __str__(self) -> str:
        return f"{self.name} ({self.reason}): {self.memory / 1e6:.3g} MB, at least {self.seconds:.2g} s"


@functools.cache
def machine_rates() -> tuple[float, float]:
    """Return measured (flops per second, bytes per second) of one matrix product and one matrix-vector product.

    Shapes: none.  Units: 1/s, bytes/s.  Error: a factor of two on a loaded machine.  Source: measured, best of three.
    """
    small, large = np.ones((256, 256)), np.ones((1024, 1024))
    flops = min(_timed(lambda: small @ small) for _ in range(3))
    sweep = min(_timed(lambda: large @ large[0]) for _ in range(3))
    return 2 * small.shape[0] ** 3 / flops, large.nbytes / sweep


def _timed(run: object) -> float:
    start = time.perf_counter()
    run()  # type: ignore[operator]
    return max(time.perf_counter() - start, 1e-9)


def choose_method(
    start: LinearRNN | Convolution | RandomRNN,
    data: Quadratic,
    steps: int,
    *,
    accuracy: float = 0.0,
    momentum: float = 0.0,
    method: str = "auto",
) -> MethodChoice:
    """Choose how to train a model: exact to rounding, or within a relative `accuracy` of the losses if that is less.

    Shapes: none.  Units: accuracy is relative.
    Error: ParameterError for a method that does not apply to the model, naming the one that does.
    Source: flop counts of the performance note §A.
    """
    if method not in METHODS:
        raise ParameterError("method", f"one of {', '.join(METHODS)}", method, "auto takes the cheapest.")
    if isinstance(start, RandomRNN):
        _only("sampled", method, "a network known in law has no matrix", "draw_rnn gives one for krylov.")
        return _sampled(start, data, steps)
    if isinstance(start, Convolution):
        _only("direct", method, "a convolution has no matrix to multiply", "Its steps are exact already.")
        return _direct(data, steps)
    if method in ("sampled", "direct"):
        hint = "sampled trains a RandomRNN, direct a Convolution."
        raise ParameterError("method", "krylov or subspace for a given RNN", method, hint)
    krylov, subspace = _krylov(start, data, steps, momentum), _subspace(start, data, steps)
    obstacle = _obstacle(start, data, accuracy)
    if method == "subspace" and obstacle:
        raise ParameterError("method", "krylov", f"subspace, but {obstacle}", "Use method='krylov'.")
    if method == "krylov":
        return krylov
    if method == "subspace" or (not obstacle and subspace.seconds < krylov.seconds):
        return subspace
    return replace(krylov, reason=f"{krylov.reason}; {obstacle}") if obstacle and accuracy else krylov


def _only(name: str, method: str, why: str, hint: str) -> None:
    if method not in ("auto", name):
        raise ParameterError("method", name, method, f"{why[0].upper()}{why[1:]}. {hint}")


def _obstacle(start: LinearRNN, data: Quadratic, accuracy: float) -> str:
    """Say why subspace descent does not apply, or nothing."""
    if not isinstance(start.W, np.ndarray):
        return "the matrix is not a NumPy array"
    if accuracy < FINEST:
        return f"losses within {accuracy:.1g} are asked for, below {FINEST:.0g}: exact steps"
    if 2 * data.lags * (data.n_x + data.n_y) >= start.width:
        return f"T (n_x + n_y) = {data.lags * (data.n_x + data.n_y)} directions nearly fill n = {start.width}"
    return ""


def _krylov(start: LinearRNN, data: Quadratic, steps: int, momentum: float) -> MethodChoice:
    n, m, sweeps = start.width, min(data.n_x, data.n_y), data.lags - 1
    memory = 8.0 * (n * n * (3 if momentum else 2) + 2 * data.lags * m * n)
    flops, traffic = 6.0 * sweeps * m * n * n * steps, 8.0 * (2 * sweeps + 2) * n * n * steps
    return MethodChoice("krylov", f"exact, {2 * sweeps} sweeps of W a step", memory, flops, traffic)


def _subspace(start: LinearRNN, data: Quadratic, steps: int) -> MethodChoice:
    n, met = start.width, _met(data, start.width)
    runs = 2  # the second one, with a finer tolerance, gives the error
    once = 2.0 * n * n * (2 * met)
    flops = runs * (once + _inner(met, data, steps))
    memory = 8.0 * (3 * n * n + 4 * met * n)
    why = f"W is multiplied along about {met} directions a side only"
    return MethodChoice("subspace", why, memory, flops, runs * 8.0 * n * n * 2 * met, runs * _calls(data, steps))


def _sampled(start: RandomRNN, data: Quadratic, steps: int) -> MethodChoice:
    met = _met(data, start.width)
    why = f"drawn along about {met} directions a side, whatever the width"
    return MethodChoice("sampled", why, 8.0 * 20 * met**2, _inner(met, data, steps), 0.0, _calls(data, steps))


def _direct(data: Quadratic, steps: int) -> MethodChoice:
    size = data.lags * data.n_x
    flops = 2.0 * size**2 * data.n_y * steps
    return MethodChoice("direct", "each step is one product with Sxx", 8.0 * size**2, flops, 0.0)


def _met(data: Quadratic, width: int) -> int:
    return min(width, DIRECTIONS + data.lags * (data.n_x + data.n_y))


def _calls(data: Quadratic, steps: int) -> float:
    return 2.0 * (data.lags - 1) * data.n_y * steps


def _inner(met: int, data: Quadratic, steps: int) -> float:
    """Flops of the steps among the directions met: two products and a change for each of 2 (T − 1) n_y queries."""
    return 2.0 * (data.lags - 1) * data.n_y * steps * 12.0 * met * (2 * met)
