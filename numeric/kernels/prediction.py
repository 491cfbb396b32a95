"""Training of infinitely wide networks in closed form, and the Gaussian process they are at the start."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np

from wideproof.derive import Derivation, flow_gain, models, momentum_flow_gain, momentum_gain, trajectory_gain
from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Array, Host, namespace, to_host
from wideproof.numeric.core.inputs import finite_array, instance, names, real, whole
from wideproof.numeric.core.shown import ROWS, InOneLine, described
from wideproof.numeric.kernels.kernel import Kernel

VISIBLE = 1e-10
"""Part of the largest eigenvalue below zero that is told: rounding of a kernel leaves 1e-14."""


class Indefinite(UserWarning):
    """A kernel on which predictions rest has an eigenvalue below zero by more than rounding.

    >>> issubclass(wp.Indefinite, UserWarning)
    True
    """


@dataclass(frozen=True, eq=False, repr=False)
class Prediction(InOneLine):
    """The outputs of an ensemble of trained networks are Gaussian, with this mean and covariance.

    Shapes: for N new sequences mean (N, *Y.shape[1:]); covariance (N, N), or (N, T, N, T) for every step, of each
    output alone: the outputs are independent. None for one network whose start is known.
    Units: output; output^2.  Error: rounding, times the condition of the kernel.

    >>> kernel = wp.Kernel(wp.models.linear_rnn(), readout="last", nu_W=0.5, nu_F=1.0, nu_C=1.0)
    >>> said = wp.posterior(kernel, [[[1.0]]], [2.0], [[[0.5]]])
    >>> said.mean.round(6), said.std.round(6)
    (array([1.]), array([0.]))
    """

    mean: Array
    covariance: Array | None

    def _repr_html_(self) -> str:
        mean, std = (np.ravel(to_host(x)) for x in (self.mean, self.std + self.mean * 0.0))
        rows = [(str(i), f"{m:.6g} ± {d:.2g}") for i, (m, d) in enumerate(zip(mean[:ROWS], std[:ROWS], strict=True))]
        more = [("…", f"{mean.size - ROWS} more")] if mean.size > ROWS else []
        return described(f"Prediction of shape {tuple(self.mean.shape)}", ("entry", "mean ± s.d."), [*rows, *more])

    @property
    def std(self) -> Array:
        """The standard deviation at each sequence (and step)."""
        if self.covariance is None:
            return self.mean * 0.0
        xp = namespace(self.covariance)
        shape = self.covariance.shape[: self.covariance.ndim // 2]
        side = int(np.prod(shape))
        flat = xp.linalg.diagonal(xp.reshape(self.covariance, (side, side)))
        return xp.reshape(xp.sqrt(xp.maximum(flat, flat * 0.0)), shape)


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum(InOneLine):
    """Full-batch descent of the mean square error, by the eigenvectors of the tangent kernel on the training data.

    The loss is the mean of `count` squares plus ridge/count times the squared distance of the parameters from their
    start. Residuals of eigenvalue s shrink by 1 - 2 step (s + ridge)/count at each step, by
    exp(-2 time (s + ridge)/count) in the flow, so that time = step x steps for small steps. With momentum (velocity
    v <- momentum v - step gradient) the flow of small steps is u'' + friction u' + 2 (s + ridge)/count u = 0, where
    time = sqrt(step) x steps and friction = (1 - momentum)/sqrt(step).
    Shapes: values (N,), vectors (N, N).  Source: lee2019wide, (9)-(11); emami2021implicit, (61)-(64); polyak1964some.
    """

    values: Host
    vectors: Array
    count: int
    ridge: float = 0.0

    @property
    def largest_step(self) -> float:
        """Descent converges below this step and diverges above it; momentum makes it 1 + momentum times as large."""
        largest = float(np.max(self.values, initial=0.0)) + self.ridge
        return self.count / largest if largest > 0 else np.inf

    @property
    def rates(self) -> Host:
        """The eigenvalues with the ridge; those that rounding cannot tell from zero are zero.

        They are the ones below rounding, and those no larger than the most negative one is below zero.
        """
        rounded = len(self.values) * np.finfo(float).eps * np.max(np.abs(self.values), initial=0.0)
        noise = max(rounded, -float(np.min(self.values, initial=0.0)))
        return np.where(self.values > noise, self.values, 0.0) + self.ridge

    def flowed(self, time: float, friction: float | None = None) -> Array:
        """The matrix G of the flow: outputs move by K(x, X) G (Y - start).  Shapes: (N, N).  Units: 1/kernel."""
        time = real("flow: time", time, 0.0, infinite=True, hint="It is step x number of steps, infinity allowed.")
        if friction is not None:
            hint = "It is (1 - momentum)/sqrt(step); leave it out for the flow without momentum."
            friction = real("flow: friction", friction, 0.0, above=True, hint=hint)
        least = np.finfo(float).tiny
        rates = np.maximum(self.rates, least)
        if np.isinf(time):
            return self._matrix(np.where(rates > least, 1.0 / rates, 0.0))
        pace = 2.0 / self.count
        if friction is None:
            return self._matrix(_gain(flow_gain)(sigma=rates, time=pace * time))
        return self._matrix(pace * _gain(momentum_flow_gain)(sigma=pace * rates, time=time, gamma=friction))

    def descended(self, steps: int, step: float | None = None, momentum: float = 0.0) -> Array:
        """The matrix G after a number of steps; the default step is half the largest.  Shapes: (N, N)."""
        momentum = real("descend: momentum", momentum, 0.0, below=1.0, hint="0 is plain gradient descent.")
        steps = whole("descend: steps", steps, hint="Use flow for times between.")
        largest = (1.0 + momentum) * self.largest_step
        usual = largest / 2 if largest < np.inf else 1.0  # a kernel of zeros learns nothing at any step
        step = usual if step is None else real("descend: step", step, 0.0, above=True, hint="It is the size of a step.")
        if step > largest:
            bound = 2.0 * (1.0 + momentum)
            rule = f"step size × largest curvature = {bound * step / largest:.3g} is above {bound:.3g}"
            hint = f"Descent diverges above {largest:.6g}, from the first step on: {rule}."
            raise ParameterError("descend: step", "a stable step", step, hint)
        eta = 2.0 * step / self.count
        if momentum:
            return self._matrix(_gain(momentum_gain)(l=steps, eta=eta, sigma=self.rates, mu=momentum))
        return self._matrix(eta * _gain(trajectory_gain)(l=steps, eta=eta, sigma=self.rates))

    def _matrix(self, gains: Host) -> Array:
        xp = namespace(self.vectors)
        return (self.vectors * xp.asarray(gains)) @ self.vectors.T


def spectrum(kernel: Array, count: int, ridge: float = 0.0) -> Spectrum:
    """Diagonalise a tangent kernel on the training data.

    Shapes: kernel (N, N); count = N n_y squares in the mean of the loss.  Units: kernel and ridge alike.
    Error: ShapeError; ParameterError for a kernel that is not finite, or a negative ridge.  Source: see Spectrum.
    """
    xp = namespace(kernel)
    kernel = finite_array("spectrum: kernel", kernel, None, xp)
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise ShapeError("spectrum", "a square kernel", kernel.shape, "Flatten sequences and steps into one index.")
    ridge = real("spectrum: ridge", ridge, 0.0, hint="It is a penalty, in units of the kernel.")
    values, vectors = xp.linalg.eigh((kernel + kernel.T) / 2)
    _warn_indefinite(to_host(values))
    return Spectrum(to_host(values), vectors, whole("spectrum: count", count, 1), ridge)


def _warn_indefinite(values: Host) -> None:
    """Warn where an eigenvalue is below zero by more than rounding.  Shapes: (N,), increasing."""
    least, largest = (float(values[0]), float(values[-1])) if values.size else (0.0, 0.0)
    if -least > VISIBLE * largest:
        told = (
            "no eigenvalue is above zero"
            if largest <= 0
            else f"its least eigenvalue is {least / largest:.2g} of the largest"
        )
        warnings.warn(
            f"a kernel is that of no Gaussian process: {told}. Directions with no larger eigenvalue are not "
            "learnt. Where it is a Kernel's, sequences nearly agree and their angles are lost in rounding "
            "(KernelValue.below): drop one of each pair, or give a ridge or noise above it; otherwise it is no kernel.",
            Indefinite,
            stacklevel=4,
        )


@cache
def _gain(derived: Callable[[Any], Derivation]) -> Any:
    """A gain as a function; it is the same for every recursion."""
    return derived(models.linear_rnn()).formula.compile()


class WideTraining:
    """Infinitely wide networks trained on (X, Y) by full-batch gradient descent on the mean square error.

    Before training their outputs have the mean `kernel.mean`, that of the biases of the output, and the NNGP kernel.
    `parameters` names those that are trained (all by default): the readout alone under `parameterization="ntk"` is
    the NNGP ensemble. `ridge` pulls the parameters to their start, see Spectrum; it is in units of the kernel.
    Shapes: X as `Kernel` takes it; Y (N,) or (N, n_y), or (N, T, n_y) for readout "all".
    Units: step size and time are those of `train_network`, whose loss is a mean over all outputs.
    Error: rounding, times the condition of the kernel; ShapeError, ParameterError.
    Source: lee2019wide, (9)-(16); jacot2018neural.

    >>> kernel = wp.Kernel(wp.models.linear_rnn(), readout="last", nu_W=0.5, nu_F=1.0, nu_C=1.0)
    >>> training = wp.WideTraining(kernel, [[[1.0]]], [2.0])
    >>> training.flow(np.inf, [[[0.5]]]).mean
    array([1.])
    """

    def __init__(
        self, kernel: Kernel, X: Any, Y: Any, *, ridge: float = 0.0, parameters: str | Iterable[str] | None = None
    ) -> None:
        self.kernel, self.X = instance("WideTraining: kernel", kernel, Kernel, "Write Kernel(recursion, ...)."), X
        self.ridge = real("WideTraining: ridge", ridge, 0.0, hint="It is a penalty, in units of the kernel.")
        self.parameters = names("WideTraining: parameters", parameters)
        self._tangent, prior = self._theta(X), kernel.nngp(X)
        xp = namespace(prior)
        self.Y = finite_array("WideTraining: Y", Y, None, xp, hint="Drop the sequences without a target.")
        points = prior.shape[: prior.ndim // 2]
        if tuple(self.Y.shape[: len(points)]) != tuple(points) or self.Y.ndim > len(points) + 1:
            hint = "One target, or one row of targets, for each output."
            raise ShapeError("WideTraining: Y", f"{points} and the number of outputs", self.Y.shape, hint)
        self._side, self._mean = int(np.prod(points)), kernel.mean
        self._prior, self._tangent = _square(prior), _square(self._tangent)

    @cached_property
    def spectrum(self) -> Spectrum:
        """The eigenvalues that set the pace."""
        return spectrum(self._tangent, int(np.prod(self.Y.shape)), self.ridge)

    @property
    def largest_step(self) -> float:
        """Descent converges below this step size and diverges above it."""
        return self.spectrum.largest_step

    def flow(
        self, time: float, X: Any = None, start: tuple[Any, Any] | None = None, friction: float | None = None
    ) -> Prediction:
        """Return the ensemble after gradient flow for `time`, which may be infinite; without X, on the training data.

        `start` gives the outputs of one network before training, on the training data and on X: then the mean is
        that of its linearisation. `friction` makes it the flow of descent with momentum, see Spectrum for its clock.
        Shapes, units, error: as the class says.  Source: lee2019wide, (10), (15), (16); polyak1964some.
        """
        return self._moved(self.spectrum.flowed(time, friction), X, start)

    def descend(
        self, steps: int, step: float | None = None, X: Any = None, start: tuple[Any, Any] | None = None,
        momentum: float = 0.0,
    ) -> Prediction:  # fmt: skip
        """Return the ensemble after whole steps of gradient descent, by default of half the largest stable size.

        With momentum the velocity is momentum times the last one minus step times the gradient.
        Shapes, units, error, `start`: as `flow`.
        Source: emami2021implicit, (61)-(64), with the kernel for T D^2 T'; polyak1964some.
        """
        return self._moved(self.spectrum.descended(steps, step, momentum), X, start)

    def _theta(self, X1: Any, X2: Any = None) -> Array:
        return self.kernel.ntk(X1, X2, self.parameters)

    def _moved(self, gain: Array, X: Any, start: tuple[Any, Any] | None) -> Prediction:
        new = X is not None
        cross = _square(self._theta(X, self.X)) if new else self._tangent
        answer = cross @ gain  # (M, N): outputs at X move by answer @ (Y - outputs at the training data)
        if start is not None:
            return self._of_one(answer, *_pair(start))
        joint = _square(self.kernel.nngp(X, self.X)) if new else self._prior
        prior = self.kernel.nngp(X) if new else None
        own = self._prior if prior is None else _square(prior)
        mixed = answer @ joint.T
        covariance = own - mixed - mixed.T + answer @ self._prior @ answer.T
        return self._shaped(self._mean + answer @ (self._flat(self.Y) - self._mean), covariance)

    def _of_one(self, answer: Array, at_data: Any, at_new: Any) -> Prediction:
        xp = namespace(answer)
        first, new = (finite_array("start", x, None, xp) for x in (at_data, at_new))
        if first.shape != self.Y.shape:
            raise ShapeError("start", f"outputs {self.Y.shape} on the data", first.shape, "Outputs before training.")
        moved = answer @ (self._flat(self.Y) - self._flat(first))
        if int(np.prod(new.shape)) != int(np.prod(moved.shape)):
            raise ShapeError("start", f"{moved.shape} outputs on the new data", new.shape, "Outputs before training.")
        return Prediction(new + xp.reshape(moved, new.shape), None)

    def _flat(self, values: Array) -> Array:
        return namespace(values).reshape(values, (self._side, -1))

    def _shaped(self, mean: Array, covariance: Array) -> Prediction:
        return _shaped(mean, covariance, self.Y, self.kernel.readout)


def posterior(kernel: Kernel, X: Any, Y: Any, X_new: Any, noise: float = 0.0) -> Prediction:
    """Return the posterior of the wide network as a Gaussian process, given targets with noise of this variance.

    Shapes: as WideTraining.  Units: noise in output^2; the covariance is that of the noiseless output.
    Error: rounding, times the condition of the kernel; ShapeError, ParameterError.  Source: lee2019wide, (12), (13).

    >>> kernel = wp.Kernel(wp.models.linear_rnn(), readout="last", nu_W=0.5, nu_F=1.0, nu_C=1.0)
    >>> wp.posterior(kernel, [[[1.0]]], [2.0], [[[0.5]]], noise=0.5).mean.round(6)
    array([0.666667])
    """
    instance("posterior: kernel", kernel, Kernel, "Write Kernel(recursion, ...).")
    noise = real("posterior: noise", noise, 0.0, hint="It is the variance of the targets' noise.")
    train, cross, own = (_square(kernel.nngp(*x)) for x in ((X,), (X_new, X), (X_new,)))
    xp = namespace(train)
    Y = finite_array("posterior: Y", Y, None, xp, hint="Drop the sequences without a target.")
    if Y.ndim == 0 or int(np.prod(Y.shape)) % train.shape[0] or Y.shape[0] != len(X):
        raise ShapeError("posterior: Y", f"targets of {len(X)} sequences", Y.shape, "One row for each sequence.")
    answer = cross @ spectrum(train, 1, noise).flowed(np.inf)
    mean = kernel.mean + answer @ (xp.reshape(Y, (train.shape[0], -1)) - kernel.mean)
    return _shaped(mean, own - answer @ cross.T, Y, kernel.readout)


def log_marginal_likelihood(kernel: Kernel, X: Any, Y: Any, noise: float) -> float:
    """Return the log density of targets under the wide network as a Gaussian process, with noise of this variance.

    Outputs are independent: the value is their sum. Its largest value among variances chooses them by the data alone.
    Shapes: as `posterior`; number.  Units: log of 1/output.
    Error: rounding, times the condition of the kernel; ShapeError, ParameterError where kernel and noise are singular.
    Source: rasmussen2006gaussian, (5.8).

    >>> kernel = wp.Kernel(wp.models.linear_rnn(), readout="last", nu_W=0.5, nu_F=1.0, nu_C=1.0)
    >>> round(wp.log_marginal_likelihood(kernel, [[[1.0]]], [0.0], noise=1.0), 6)
    -1.265512
    """
    instance("log_marginal_likelihood: kernel", kernel, Kernel, "Write Kernel(recursion, ...).")
    noise = real("log_marginal_likelihood: noise", noise, 0.0, hint="It is the variance of the targets' noise.")
    covariance = to_host(_square(kernel.nngp(X)))
    Y = to_host(finite_array("log_marginal_likelihood: Y", Y, None, hint="Drop the sequences without a target."))
    side = covariance.shape[0]
    if Y.ndim == 0 or Y.size % side or Y.shape[0] != len(X):
        raise ShapeError("log_marginal_likelihood: Y", f"targets of {len(X)} sequences", Y.shape, "One row for each.")
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2 + noise * np.eye(side))
    if values[0] <= side * np.finfo(float).eps * values[-1]:
        hint = "Give noise a positive variance: equal sequences, or fewer dimensions than sequences, have no density."
        raise ParameterError("log_marginal_likelihood", "a kernel with noise that can be inverted", values[0], hint)
    moved = vectors.T @ (Y.reshape(side, -1) - kernel.mean)
    outputs = moved.shape[1]
    squares = float(np.sum(moved * moved / values[:, None]))
    return -0.5 * (squares + outputs * float(np.sum(np.log(values))) + outputs * side * float(np.log(2 * np.pi)))


def _pair(start: Any) -> tuple[Any, Any]:
    if not isinstance(start, tuple | list) or len(start) != 2:
        raise ParameterError("start", "outputs on the data and on the new inputs", type(start).__name__, "A pair.")
    return start[0], start[1]


def _square(kernel: Array) -> Array:
    """(N1, T, N2, T) as a matrix."""
    if kernel.ndim == 2:
        return kernel
    rows, columns = kernel.shape[0] * kernel.shape[1], kernel.shape[2] * kernel.shape[3]
    return namespace(kernel).reshape(kernel, (rows, columns))


def _shaped(mean: Array, covariance: Array, Y: Array, readout: str) -> Prediction:
    """The shapes of the targets and of the kernel."""
    xp = namespace(mean)
    points = (-1, Y.shape[1]) if readout == "all" else (-1,)
    count = mean.shape[0] // (Y.shape[1] if readout == "all" else 1)
    points = (count, *points[1:])
    return Prediction(xp.reshape(mean, (*points, *Y.shape[len(points) :])), xp.reshape(covariance, (*points, *points)))
