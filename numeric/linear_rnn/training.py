"""Full-batch gradient descent on the mean square error, for the linear RNN and the convolutions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from array_api_compat import array_namespace

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.core.inputs import callback, instance, real, whole
from wideproof.numeric.core.timing import blas_threads
from wideproof.numeric.linear_rnn.convolution import Convolution, ConvolutionDescent
from wideproof.numeric.linear_rnn.krylov import KrylovDescent, LinearRNN, impulse_response, rnn_curvature
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, curvature, loss, loss_and_slope, to_impulse
from wideproof.numeric.linear_rnn.subspace import LazyDescent, RandomRNN, SubspaceDescent, finest_tolerance
from wideproof.numeric.linear_rnn.training_choice import choose_method
from wideproof.numeric.networks.divergence import Diverged, blown_up, diverged, risen, unstable
from wideproof.numeric.runs.gathering import Progress

Model = LinearRNN | Convolution | RandomRNN
REFINEMENT = 10.0  # one subspace run to the next: the change of the losses then is the error of the first
ASKED_EVERY = 16  # steps from one question whether training may end to the next
Until = Callable[[np.ndarray], bool]
"""Is asked with the losses so far, of the test data where there are any, whether training may end here."""


@dataclass(frozen=True, eq=False)
class Training:
    """Entry ℓ of a curve is the loss after ℓ steps; the best step is the one of least test loss.

    Shapes: train_loss, test_loss (steps + 1,), test_loss empty without test data; impulses (k, T, n_y, n_x)
    at the k recorded steps; best_impulse (T, n_y, n_x) (of least train loss without test data). Fewer steps and
    records where training was allowed to end before.
    Error: `error` bounds the relative error of the losses as measured against a run of finer tolerance; 0 where
    the method, named with its reason, is exact to rounding.
    """

    step_size: float
    train_loss: np.ndarray
    test_loss: np.ndarray
    recorded: tuple[int, ...]
    impulses: Array
    best_step: int
    best_impulse: Array
    final: Model
    momentum: float = 0.0
    method: str = ""
    reason: str = ""
    error: float = 0.0


class Descent(Protocol):
    """What training needs of a model."""

    def taps(self) -> Array: ...  # noqa: D102
    def move(self, slope: Array, step: float, momentum: float = 0.0) -> None: ...  # noqa: D102
    def model(self) -> Model: ...  # noqa: D102


def train(
    start: Model,
    data: Quadratic,
    test: Quadratic | None = None,
    *,
    steps: int,
    step_size: float | None = None,
    momentum: float = 0.0,
    method: str = "auto",
    accuracy: float = 0.0,
    kernels: str = "auto",
    threads: int | None = 1,
    record: Sequence[int] = (),
    until: Until | None = None,
    progress: Progress | None = None,
) -> Training:
    """Full-batch gradient descent from `start`, exact to rounding by default; `start` is left unchanged.

    A step is v ← μ v + gradient, θ ← θ − η v with momentum μ in [0, 1).  With an `accuracy` above zero the losses
    may be off by that much, relative, where that makes it cheaper: `choose_method` says which method and why.
    The default step is 1/curvature, half the largest stable one: of the data for a convolution, and of the
    data and the network at its start for an RNN; a RandomRNN, known in law only, needs a step size.
    `threads` is how many the linear algebra may take, None as many as it likes: its products are too small for more
    than one, and two libraries of it, NumPy's and SciPy's, wait for each other. `until`, asked now and then with the
    losses so far, ends training before its steps are taken.
    Units: step_size is for a loss that is a mean over all outputs.
    Errors: Diverged, naming step, cause and largest stable step size, where the loss blows up or an unstable step
    size leaves it above its start; ParameterError naming the method that applies when the one asked for does not.
    Source: paper B.4 (61), erratum E12.

    >>> from wideproof.numeric.linear_rnn.convolution import matched
    >>> from wideproof.numeric.linear_rnn.quadratic_loss import quadratic
    >>> data = quadratic(np.ones((1, 3, 1)), np.ones((1, 3, 1)), 2)
    >>> found = wp.train(matched(np.zeros((2, 1, 1)), np.array([1.0, 0.5])), data, steps=200)
    >>> bool(found.train_loss[-1] < found.train_loss[0])
    True
    """
    steps, momentum, record = _numbers(steps, step_size, momentum, accuracy, threads, record, progress)
    _check(start, data, test)
    choice = choose_method(start, data, steps, accuracy=accuracy, momentum=momentum, method=method)
    if until is not None and choice.name not in ("krylov", "direct"):
        hint = "Two runs of one length tell the error of the others: leave until out."
        raise ParameterError("train: until", "a method that is exact", choice.name, hint)
    with blas_threads(threads), np.errstate(over="ignore", invalid="ignore"):
        step = step_size if step_size is not None else 1.0 / (model_curvature(start, data) or 1.0)
        run = partial(
            _run, start=start, data=data, test=test, steps=steps, step=step, momentum=momentum, record=record,
            until=until, progress=progress,
        )  # fmt: skip
        if choice.name == "subspace":
            assert isinstance(start, LinearRNN)
            found = refined(SubspaceDescent(start, data.lags, 20.0 * accuracy), start.width, accuracy, run)
        elif isinstance(start, RandomRNN):
            found = checked(start, data.lags, run)
        else:
            found = run(_descent(start, data, kernels))
    return replace(found, method=choice.name, reason=choice.reason)


def refined(descent: SubspaceDescent, width: int, accuracy: float, run: Callable[[Descent], Training]) -> Training:
    """Train in the subspace at finer and finer tolerances until the losses move by less than `accuracy`.

    What the matrix was asked for a coarse run is known to the finer ones.
    Error: the largest relative change of any loss at the last refinement, reported as `Training.error`; it bounds
    that of the coarser run, and the finer one is returned.  ParameterError at the finest tolerance doubles allow.
    """
    tolerance, error = descent.tolerance, math.inf
    coarse = run(descent)
    while tolerance / REFINEMENT >= finest_tolerance(width):
        tolerance /= REFINEMENT
        fine = run(descent.again(tolerance))
        error = training_distance(coarse, fine)
        if error <= accuracy:
            return replace(fine, error=error)
        coarse = fine
    hint = "Use method='krylov', which is exact to rounding."
    raise ParameterError("train: subspace", f"losses within {accuracy:.1g}", f"{error:.1g} at best", hint)


def checked(start: RandomRNN, lags: int, run: Callable[[Descent], Training]) -> Training:
    """Train a network known in law at its tolerance, after a coarser run on the same draws that tells the error.

    Error: the largest relative change of any loss between the two, reported as `Training.error`.
    """
    descent = _in_law(start, lags)
    coarse = run(descent)
    fine = run(descent.again(start.tolerance))
    return replace(fine, error=training_distance(coarse, fine))


def _in_law(start: RandomRNN, lags: int) -> LazyDescent:
    """The network that `checked` trains, draw by draw."""
    return LazyDescent(start, lags, REFINEMENT * start.tolerance)


def training_distance(coarse: Training, fine: Training) -> float:
    """The largest relative change of any loss from one run to the other."""
    return max(_distance(coarse.train_loss, fine.train_loss), _distance(coarse.test_loss, fine.test_loss))


def _distance(first: np.ndarray, second: np.ndarray) -> float:
    """The largest relative change of a curve."""
    scale = np.maximum(np.abs(second), np.finfo(np.float64).tiny)
    return float(np.max(np.abs(first - second) / scale, initial=0.0))


def model_curvature(start: Model, data: Quadratic) -> float:
    """The largest eigenvalue of the loss's (Gauss–Newton) Hessian in the parameters, at the start.

    Errors: ParameterError for a RandomRNN, whose Hessian would take draws that training then reuses.
    """
    if isinstance(start, RandomRNN):
        hint = "Take half of largest_stable_step(data, rho) with the scale factors rho of its limit."
        raise ParameterError("train", "a step size for a network known in law", None, hint)
    if isinstance(start, LinearRNN):
        return rnn_curvature(start, data)
    return curvature(data, start.rho)


def impulse_of(model: Model, lags: int) -> Array:
    """The impulse response of either model.  Shapes: -> (T, n_y, n_x)."""
    if isinstance(model, RandomRNN):
        return to_impulse(_in_law(model, lags).taps(), lags)
    return impulse_response(model, lags) if isinstance(model, LinearRNN) else model.impulse


def _run(
    descent: Descent,
    start: Model,
    data: Quadratic,
    test: Quadratic | None,
    steps: int,
    step: float,
    momentum: float,
    record: Sequence[int],
    until: Until | None,
    progress: Progress | None,
) -> Training:
    xp = array_namespace(data.sxx)
    curves = np.full((2, steps + 1), np.nan)
    kept: dict[int, Array] = {}
    best, best_step, best_taps = np.inf, 0, data.sxy
    for k in range(steps + 1):
        taps = descent.taps()
        value, slope = loss_and_slope(data, taps)
        curves[0, k] = judged = float(value)
        if blown_up(curves[0, : k + 1], data.power):
            raise _diverged(curves[0, : k + 1], start, data, step, momentum)
        if test is not None:
            curves[1, k] = judged = float(loss(test, taps))
        if judged < best:
            best, best_step, best_taps = judged, k, taps
        if k in record:
            kept[k] = to_impulse(taps, data.lags)
        if k == steps or (until is not None and k % ASKED_EVERY == 0 and until(curves[int(test is not None), : k + 1])):
            curves = curves[:, : k + 1]
            break
        if progress is not None and k % max(1, steps // 100) == 0:
            progress(k, steps)
        descent.move(slope, step, momentum)
    if progress is not None:
        progress(steps, steps)
    _check_rise(curves[0], start, data, step, momentum)
    recorded = tuple(sorted(kept))
    shape = (0, data.lags, data.n_y, data.n_x)
    impulses = xp.stack([kept[k] for k in recorded]) if kept else xp.empty(shape, dtype=data.sxx.dtype)
    best_impulse = to_impulse(best_taps, data.lags)
    test_loss = curves[1] if test is not None else np.empty(0)
    return Training(step, curves[0], test_loss, recorded, impulses, best_step, best_impulse, descent.model(), momentum)


def _descent(start: LinearRNN | Convolution, data: Quadratic, kernels: str) -> Descent:
    if isinstance(start, LinearRNN):
        return KrylovDescent(start, data.lags, kernels)
    return ConvolutionDescent(start, data)


def _numbers(
    steps: int, step_size: float | None, momentum: float, accuracy: float, threads: int | None,
    record: Sequence[int], progress: Progress | None,
) -> tuple[int, float, tuple[int, ...]]:  # fmt: skip
    """The numbers of a training, or a ParameterError that names the one that is none."""
    steps = whole("train: steps", steps)
    if step_size is not None:
        real("train: step_size", step_size, 0.0, above=True, hint="Leave it out for a stable one.")
    hint = "0 is plain gradient descent, 0.9 is usual; adaptive steps are not offered."
    momentum = real("train: momentum", momentum, 0.0, below=1.0, hint=hint)
    real("train: accuracy", accuracy, 0.0, hint="A relative error of the losses; 0 is exact to rounding.")
    if threads is not None:
        whole("train: threads", threads, 1, hint="None is no limit.")
    if not isinstance(record, Iterable):
        raise ParameterError("train: record", "a sequence of steps", type(record).__name__, "For example (0, 10).")
    callback("train: progress", progress)
    recorded = tuple(whole("train: record", k, most=max(steps, 0), hint="Record fewer steps.") for k in record)
    return steps, momentum, recorded


def _check(start: Model, data: Quadratic, test: Quadratic | None) -> None:
    instance("train: start", start, (LinearRNN, Convolution, RandomRNN), "A model that was made before.")
    for name, part in (("data", data), ("test", test)):
        if part is not None or name == "data":
            instance(f"train: {name}", part, Quadratic, "Write quadratic(x, y, lags).")
    if isinstance(start, Convolution):
        got = tuple(start.theta.shape)
    elif isinstance(start, LinearRNN):
        got = (data.lags, start.C.shape[0], start.F.shape[1])
    else:
        got = (data.lags, start.n_y, start.n_x)
    for part in (data, test):
        want = got if part is None else (part.lags, part.n_y, part.n_x)
        if got != want:
            raise ShapeError("train", f"data of (lags, n_y, n_x) = {got}", want, "Match model and data.")


def _diverged(losses: np.ndarray, start: Model, data: Quadratic, step: float, momentum: float) -> Diverged:
    """The error of losses that have blown up or risen, with its cause; a network known in law has no curvature yet."""
    taken, loss_there = len(losses) - 1, float(losses[-1])
    if isinstance(start, RandomRNN):
        got = f"{step:.6g}, with which the loss is {loss_there:.3g} at step {taken}"
        hint = "Step size × largest curvature above 2 diverges: lower it, see largest_stable_step."
        return Diverged("train", "a stable step size", got, hint)
    fixed = isinstance(start, Convolution)
    return diverged("train", step, model_curvature(start, data), momentum, step=taken, loss=loss_there, fixed=fixed)


def _check_rise(losses: np.ndarray, start: Model, data: Quadratic, step: float, momentum: float) -> None:
    """A training that ends above its start took too large a step, unless its curvature says that it still swings."""
    if not risen(losses) or isinstance(start, RandomRNN):
        return
    if unstable(step, model_curvature(start, data), momentum):
        raise _diverged(losses, start, data, step, momentum)
