"""The scaled convolution y_t = Σ_j √ρ_j θ_j x_{t-j}, trained by gradient descent on θ."""

from __future__ import annotations

from dataclasses import dataclass

from array_api_compat import array_namespace

from wideproof.derive.language.errors import ParameterError, ShapeError
from wideproof.numeric.core.arrays import Array
from wideproof.numeric.linear_rnn.quadratic_loss import Quadratic, to_impulse, to_taps, weights


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution whose lag j learns at rate ρ_j; ρ = 1 is the unscaled one.

    Shapes: rho (T,), theta (T, n_y, n_x).  Source: paper (7).
    """

    rho: Array
    theta: Array

    @property
    def impulse(self) -> Array:
        """L_j = √ρ_j θ_j.  Shapes: (T, n_y, n_x)."""
        return self.rho[:, None, None] ** 0.5 * self.theta


def matched(impulse: Array, rho: Array | None = None) -> Convolution:
    """The convolution whose impulse response is the given one: θ_j = L_j / √ρ_j, and θ_j = 0 where ρ_j = 0.

    Shapes: impulse (T, n_y, n_x), rho (T,), by default all ones (the unscaled convolution).
    Errors: ShapeError for another number of lags; ParameterError where ρ_j < 0, or ρ_j = 0 but L_j is not.
    Source: paper B.4, before (60).
    """
    xp = array_namespace(impulse)
    lags = impulse.shape[0]
    rho = xp.ones((lags,), dtype=impulse.dtype) if rho is None else xp.asarray(rho, dtype=impulse.dtype)
    if rho.shape != (lags,):
        raise ShapeError("matched", f"rho of shape ({lags},)", rho.shape, "Give one weight per lag.")
    if bool(xp.any(rho < 0)) or not bool(xp.all(xp.isfinite(rho))):
        raise ParameterError("matched", "finite weights ≥ 0", rho, "Check the variances given to rho.")
    dead = (rho == 0)[:, None, None]
    if bool(xp.any(dead & (impulse != 0))):
        hint = "A lag of weight 0 cannot be matched: start it at 0, or change the variances."
        raise ParameterError("matched", "L_j = 0 wherever rho_j = 0", rho, hint)
    root = xp.where(dead, xp.ones_like(impulse), rho[:, None, None] ** 0.5)
    return Convolution(rho, impulse / root)


class ConvolutionDescent:
    """A convolution in training; its own copy of θ is changed in place."""

    def __init__(self, start: Convolution, data: Quadratic) -> None:
        xp = array_namespace(start.theta)
        self._rho, self._lags = start.rho, data.lags
        self._root = weights(data, start.rho) ** 0.5  # (T n_x, 1)
        self._theta = xp.asarray(to_taps(start.theta), copy=True)  # (T n_x, n_y)
        self._velocity = xp.zeros_like(self._theta)

    def taps(self) -> Array:
        """The taps of L_j = √ρ_j θ_j.  Shapes: (T n_x, n_y)."""
        return self._root * self._theta

    def move(self, slope: Array, step: float, momentum: float = 0.0) -> None:
        """v ← μ v + √ρ ∂loss/∂L, θ ← θ − η v: one exact step.  Shapes: slope (T n_x, n_y)."""
        self._velocity = momentum * self._velocity + self._root * slope
        self._theta -= step * self._velocity

    def model(self) -> Convolution:
        """The convolution as it stands now, as a copy."""
        xp = array_namespace(self._theta)
        return Convolution(self._rho, xp.asarray(to_impulse(self._theta, self._lags), copy=True))
