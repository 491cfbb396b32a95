"""The choice of a training method, explained, with what it will need: bytes, flops and seconds."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.timing import arithmetic, bandwidth, statement
from wideproof.numeric.linear_rnn.convolution import Convolution
from wideproof.numeric.linear_rnn.krylov import LinearRNN
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic
from wideproof.numeric.linear_rnn.subspace import RandomRNN

METHODS = ("auto", "krylov", "subspace", "sampled", "direct")
DRAWN = ("auto", "krylov", "sampled")
"""Those of a random network that is still to be drawn."""
EXACT = ("auto", "krylov")
"""Those of a network whose losses validation compares: exact to rounding."""
FINEST = 1e-9
"""Subspace descent does not reach relative errors of the losses below this one."""
DECADE = 30
"""Measured: directions a side, per decade of the tolerance and column, that 300 steps meet at any width."""
GROWTH = 0.24
"""Measured: the power of the number of steps, up to 300, by which the directions met grow."""
MEETING = 100
"""Measured: array statements to take one direction in, beside its product with W."""
ROWS = 0.8
"""Measured: what each row beyond the first adds to a sweep of W."""
COPIES = 12
"""Measured: passes over W that copying it before and after takes."""
CURVATURE = 60
"""Measured: steps in whose time the largest curvature of a network is found."""
BASIS = 9.0
"""Measured: an eigenbasis, with test data in it, in units of one product of matrices of its size."""
POINTS = 100
"""Measured: numbers of steps at which a path is looked at."""
POWER = 4000.0
"""Measured: flops in whose time a power of one mode is taken."""
WIDEST = 4000
"""By default wider random networks are not drawn whole: a step takes 20 sweeps of 128 MB and more."""
IN_LAW = 1e-8
"""Measured: relative error of the losses at the default tolerance of a network known in law; training reports it."""


@dataclass(frozen=True)
class MethodChoice:
    """A training method, why it was taken, and an estimate of its cost on this machine.

    Units: bytes of memory; flops and bytes moved of the whole run; small array statements; seconds of processor time
    from all three by measured rates of one thread.
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
        bulk = max(self.flops / arithmetic("float64"), self.traffic / bandwidth(self.memory))
        return bulk + self.calls * statement()

    def times(self, runs: int) -> MethodChoice:
        """The same for several networks, one after the other: the memory of one, the work of all."""
        return replace(self, flops=runs * self.flops, traffic=runs * self.traffic, calls=runs * self.calls)

    def plus(self, other: MethodChoice) -> MethodChoice:
        """This and then the other: the memory of the larger, the work of both."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in ("flops", "traffic", "calls")}
        return replace(self, memory=max(self.memory, other.memory), **sums)

    def __str__(self) -> str:
        return f"{self.name} ({self.reason}): {self.memory / 1e6:.3g} MB, about {self.seconds:.2g} s"


Announce = Callable[[MethodChoice], None]
"""Is told how networks will be trained, why, and what it will need, before the start."""


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

    Units: accuracy is relative.
    Error: ParameterError for a method that does not apply to the model, naming the one that does.
    Source: flop counts of the performance note §A.
    """
    if method not in METHODS:
        raise ParameterError("method", f"one of {', '.join(METHODS)}", method, "auto takes the cheapest.")
    if isinstance(start, RandomRNN):
        _only("sampled", method, "a network known in law has no matrix", "draw_rnn gives one for krylov.")
        return _sampled(start.width, data, steps)
    if isinstance(start, Convolution):
        _only("direct", method, "a convolution has no matrix to multiply", "Its steps are exact already.")
        return _direct(data, steps)
    if method in ("sampled", "direct"):
        hint = "sampled trains a RandomRNN, direct a Convolution."
        raise ParameterError("method", "krylov or subspace for a given RNN", method, hint)
    krylov = _krylov(start.width, data, steps, momentum)
    obstacle = _obstacle(start, data, accuracy)
    subspace = _subspace(start.width, data, steps, accuracy or FINEST)
    if method == "subspace" and obstacle:
        hint = "Use method='krylov'" + (", or an accuracy such as 1e-6." if accuracy < FINEST else ".")
        raise ParameterError("method", "krylov", f"subspace, but {obstacle}", hint)
    if method == "krylov":
        return krylov
    if method == "subspace" or (not obstacle and subspace.seconds < krylov.seconds):
        return subspace
    return replace(krylov, reason=f"{krylov.reason}; {obstacle}") if obstacle and accuracy else krylov


def choose_network(
    width: int, data: Quadratic, steps: int, *, method: str = "auto", memory: float | None = None
) -> MethodChoice:
    """Choose how to train a random network that is still to be drawn: whole, for `krylov`, or in law, for `sampled`.

    By default whole up to n = 4000, where its matrices fit, and in law beyond, where the losses are off by about
    1e-8, which training reports.  The choice does not depend on the machine's speed, so neither do the networks.
    Units: bytes of memory, by default half of what the machine has.
    Error: ParameterError for a method that does not apply or does not fit, naming the one that does.
    Source: `choose_method`.
    """
    if method not in DRAWN:
        raise ParameterError("method", ", ".join(DRAWN), method, "subspace and direct train a given model.")
    room = available_memory() / 2 if memory is None else memory
    whole, law = _krylov(width, data, steps, 0.0), _sampled(width, data, steps)
    fits = whole.memory <= room
    if method == "krylov" and not fits:
        want = f"sampled at n = {width}: krylov needs {whole.memory / 1e9:.3g} GB, and {room / 1e9:.3g} GB are free"
        raise ParameterError("method", want, method, "method='sampled' trains it in law, at a cost free of n.")
    if method == "krylov" or (method == "auto" and fits and width <= WIDEST):
        return whole
    if method == "sampled":
        return law
    why = f"n = {width} > {WIDEST}" if fits else f"whole it needs {whole.memory / 1e9:.3g} GB of {room / 1e9:.3g} GB"
    return replace(law, reason=f"{why}; {law.reason}")


def choose_exact(width: int, data: Quadratic, steps: int, method: str = "auto") -> MethodChoice:
    """Choose how to train random networks whose losses validation compares: drawn whole, and exact to rounding.

    Error: ParameterError for any other method.  Source: `choose_method`.
    """
    if method not in EXACT:
        hint = "Validation compares these losses, so they are exact to rounding."
        raise ParameterError("method", ", ".join(EXACT), method, hint)
    network, tests = _krylov(width, data, steps + CURVATURE, 0.0), _products(data, steps)
    return replace(network, flops=network.flops + tests[0], traffic=network.traffic + tests[1])


def solving(data: Quadratic, bases: int, paths: int) -> MethodChoice:
    """What it costs to solve for the descent of convolutions: eigenbases of the data, and paths in each of them.

    Units: those of MethodChoice.  Source: measured multiples of the product of two such matrices.
    """
    size = data.lags * data.n_x
    flops = bases * BASIS * 2.0 * size**3 + paths * POINTS * (2.0 * size**2 * data.n_y + POWER * size)
    return MethodChoice(
        "solved", "one eigenbasis for each part and weights", 8.0 * 6 * size**2, flops, 0.0, 100.0 * paths
    )


def available_memory() -> float:
    """Return the bytes of memory of this machine, or 8 GB where the system does not tell."""
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, ValueError, OSError):
        return 8e9


def _only(name: str, method: str, why: str, hint: str) -> None:
    if method not in ("auto", name):
        raise ParameterError("method", name, method, f"{why[0].upper()}{why[1:]}. {hint}")


def _obstacle(start: LinearRNN, data: Quadratic, accuracy: float) -> str:
    """Say why subspace descent does not apply, or nothing."""
    if not isinstance(start.W, np.ndarray):
        return "the matrix is not a NumPy array"
    if accuracy < FINEST:
        asked = f"within {accuracy:.1g}" if accuracy else "exact to rounding"
        return f"losses {asked} are asked for, and it reaches {FINEST:.0g}"
    if 2 * data.lags * (data.n_x + data.n_y) >= start.width:
        return f"T (n_x + n_y) = {data.lags * (data.n_x + data.n_y)} directions nearly fill n = {start.width}"
    return ""


def _krylov(width: int, data: Quadratic, steps: int, momentum: float) -> MethodChoice:
    n, m, sweeps = width, min(data.n_x, data.n_y), data.lags - 1
    memory = 8.0 * (n * n * (3 if momentum else 2) + 2 * data.lags * m * n)
    passes = 2 * sweeps * (1.0 + ROWS * (m - 1)) + (6 if momentum else 2)
    slopes, read = _products(data, steps)
    flops, traffic = 6.0 * sweeps * m * n * n * steps + slopes, 8.0 * n * n * (steps * passes + COPIES) + read
    calls = steps * (3.0 * data.lags + 25.0)
    return MethodChoice("krylov", f"exact, {2 * sweeps} sweeps of W a step", memory, flops, traffic, calls)


def _subspace(width: int, data: Quadratic, steps: int, accuracy: float) -> MethodChoice:
    n, met = width, _met(data, width, accuracy)
    runs = 2  # the second one, with a finer tolerance, gives the error
    once = 2.0 * n * n * (2 * met)
    slopes, read = _products(data, runs * steps)
    flops = once + runs * _inner(met, data, steps) + 40.0 * n * met**2 + slopes
    memory = 8.0 * (2 * n * n + 4 * met * n)
    why = f"W is multiplied along about {met} directions a side only"
    return MethodChoice("subspace", why, memory, flops, 8.0 * n * n * 2 * met + read, runs * _calls(data, steps, met))


def _sampled(width: int, data: Quadratic, steps: int) -> MethodChoice:
    met, runs = int(_met(data, width, IN_LAW) * min(1.0, steps / 300) ** GROWTH), 2
    why = f"drawn along about {met} directions a side, whatever the width"
    slopes, read = _products(data, runs * steps)
    flops = runs * _inner(met, data, steps) + 80.0 * met**3 + slopes
    traffic = runs * steps * 8.0 * met**2 * (2 * data.lags + 10) + read
    calls = runs * _calls(data, steps, 0) + met * MEETING  # the second run meets no new ones
    return MethodChoice("sampled", why, 8.0 * 30 * met**2, flops, traffic, calls)


def _direct(data: Quadratic, steps: int) -> MethodChoice:
    size = data.lags * data.n_x
    flops, traffic = _products(data, steps)
    return MethodChoice("direct", "each step is one product with Sxx", 8.0 * size**2, flops, traffic, 7.0 * steps)


def _met(data: Quadratic, width: int, accuracy: float) -> int:
    decades = max(1.0, 1.0 - math.log10(accuracy))
    return min(width, int(DECADE * decades * min(data.n_x, data.n_y)))


def _products(data: Quadratic, steps: int) -> tuple[float, float]:
    """Flops and bytes of one product with Sxx at every step: that of the slope, or of the loss on other data."""
    size = data.lags * data.n_x
    return 2.0 * size**2 * data.n_y * steps, 8.0 * size**2 * steps


def _calls(data: Quadratic, steps: int, met: int) -> float:
    """Array calls of the steps, and of one direction after the other in their unit."""
    return steps * (2.0 * data.lags + 60.0) + 2 * met * MEETING


def _inner(met: int, data: Quadratic, steps: int) -> float:
    """Flops of the steps among the directions met: two sweeps, and five products of low rank."""
    return 14.0 * data.lags * min(data.n_x, data.n_y) * met**2 * steps
