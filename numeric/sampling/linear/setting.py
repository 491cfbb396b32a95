"""What is sampled: the linear recursion at a finite width, and what one draw of it returns."""

from __future__ import annotations

from dataclasses import dataclass

from wideproof.numeric.core.arrays import Array
from wideproof.numeric.core.inputs import real, whole

LARGEST_WIDTH = 10**15
"""Above this the difference of two neighbouring widths is lost in a double."""


@dataclass(frozen=True)
class LinearSetting:
    """h_t = n^{-1/2} W h_{t-1} + F x_t, y_t = n^{-1/2} C h_t at width n with Gaussian W, F, C, lags j < T.

    Shapes: W (n, n), F (n, n_x), C (n_y, n).  Units: nu_M is the variance of an entry of M.
    Error: ParameterError for a size below 1 or a negative variance.  Source: paper, (1) and (4).
    """

    width: int
    horizon: int
    n_x: int = 1
    n_y: int = 1
    nu_W: float = 1.0
    nu_F: float = 1.0
    nu_C: float = 1.0

    def __post_init__(self) -> None:
        for name in ("width", "horizon", "n_x", "n_y"):
            size = whole(name, getattr(self, name), 1, LARGEST_WIDTH, "Sizes count entries.")
            object.__setattr__(self, name, size)
        for name in ("nu_W", "nu_F", "nu_C"):
            real(name, getattr(self, name), 0.0, hint="It is a variance, not a scale.")


@dataclass(frozen=True)
class Draw:
    """Independent trials of the impulse response and, where asked, of its Krylov Gram matrices.

    Shapes: response (B, T, n_y, n_x), L_j = n^{-1/2} C A^j F with A = n^{-1/2} W;
    right (B, T, n_x, T, n_x), R_a^T R_b / n with R_b = A^b F; left (B, T, n_y, T, n_y), Q_a Q_b^T / n with
    Q_a = C A^a.  Units: those of C F, F^2, C^2.  Source: paper, (9) and (41).
    """

    response: Array
    right: Array | None
    left: Array | None
    method: str
