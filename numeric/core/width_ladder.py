"""Width ladders: estimates at several widths, fitted in powers of 1/n, read off at n = infinity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from wideproof.derive.language.errors import ParameterError
from wideproof.numeric.core.arrays import Host
from wideproof.numeric.core.inputs import whole

RUNGS = 5
MOST_LAGS = 10
WIDE = 2  # how often the squared number of factors must fit into the width
SHARE_OF_ERROR = 0.1  # how much of the standard error the neglected power of 1/n may be


@dataclass(frozen=True)
class Extrapolation:
    """The value at n = infinity with its standard error, and the p-value of the fit's lack of fit.

    Shapes: scalars.  Units: of the estimates.  Error: stderr, if the polynomial is adequate.
    Source: weighted least squares.
    """

    mean: float
    stderr: float
    degree: int
    lack_of_fit: float


def width_ladder(width: int, rungs: int = RUNGS) -> tuple[int, ...]:
    """Return the widths n, n/2, n/4, ... in increasing order, the last of them the given one.

    Shapes: at most `rungs` different widths >= 1.  Error: ParameterError for a width below 1.
    Source: with five halvings a quadratic fit costs 4 % more standard error than one width alone.
    """
    width = whole("width", width, 1, hint="The largest width of the ladder.")
    return tuple(sorted({width >> k for k in range(rungs)} - {0}))


def is_wide(width: int, lag: int) -> bool:
    """Say whether the limit is near at this lag: n exceeds twice the square of its number of factors.

    Source: relative corrections grow with j^2/n, not j/n.
    """
    return WIDE * (lag + 1) ** 2 <= width


def default_horizon(width: int) -> int:
    """Return the largest horizon, at most 10, whose lags all have three wide rungs on the ladder.

    Units: time steps.  Source: `is_wide` at a quarter of the width.
    """
    return max(1, min(MOST_LAGS, math.isqrt(width // (4 * WIDE))))


def neglected(lag: int, width: int, degree: int) -> float:
    """Bound the relative size of the first power of 1/n that a polynomial of this degree leaves out.

    Units: relative.  Error: a rule, not a theorem: it exceeds every coefficient of the exact
    second moments to lag 5 (erratum E2), and `lack_of_fit` watches it.  Source: growth of those coefficients.
    """
    return float(6.0 * ((lag + 1) ** 1.5 / width) ** (degree + 1))


def choose_degree(lag: int, widths: Host, relative_error: float) -> int:
    """Return the least degree whose neglected term is small against the error, at most len(widths) - 2.

    Shapes: widths (K,), K >= 2.  Source: `neglected`, blind to the estimates.
    """
    most = max(0, len(widths) - 2)
    smallest = int(widths.min())
    for degree in range(most):
        if neglected(lag, smallest, degree) <= SHARE_OF_ERROR * relative_error:
            return degree
    return most


def extrapolate(widths: Host, means: Host, stderrs: Host, degree: int, precision: float = 0.0) -> Extrapolation:
    """Fit a polynomial in 1/n with fixed weights n^precision and return its value at n = infinity.

    Estimated errors must not weigh the estimates: both come from the same trials, a small fourth moment comes
    with a small error, and inverse-variance weights then bias the fit by half its standard error.
    Shapes: (K,) each, K > degree.  Units: of means.  Error: stderr propagated from stderrs; lack_of_fit is the
    chi-squared p-value of the residuals, K - degree - 1 degrees of freedom.  Source: least squares.
    """
    if len(widths) <= degree:
        raise ParameterError("widths", f"more than {degree} widths", len(widths), "Use a longer ladder.")
    if not np.all(stderrs > 0):  # nothing is random, as for nu_W = 0
        same = bool(np.all(means == means[-1]))
        return Extrapolation(float(means[-1]), 0.0, 0, 1.0 if same else 0.0)
    design = np.vander(widths.min() / widths, degree + 1, increasing=True)  # of order 1, whatever n
    roots = (widths / widths.max()) ** (precision / 2)
    solution = np.linalg.pinv(design * roots[:, None])[0] * roots  # (K,), the weights of the value at infinity
    stderr = float(np.sqrt(np.sum((solution * stderrs) ** 2)))
    return Extrapolation(float(solution @ means), stderr, degree, _lack_of_fit(design, means, stderrs))


def first_correction(
    widths: Host, means: Host, stderrs: Host, limit: float, degree: int, precision: float = 0.0, error: float = 0.0
) -> tuple[float, float] | None:
    """Fit the coefficient of 1/n through a known limit: its value and standard error; None where nothing is random.

    `degree` is that of the fit in 1/n, at least 1; `error` is that of the limit.
    Shapes: (K,) each, K >= degree.  Units: of means.  Error: the standard error; what the next power of 1/n moves
    stays.  Source: least squares with the fixed weights of `extrapolate`.
    """
    degree = max(1, degree)
    if len(widths) < degree or not np.all(stderrs > 0):
        return None
    inverse = widths.min() / widths
    design = np.vander(inverse, degree + 1, increasing=True)[:, 1:]
    roots = (widths / widths.max()) ** (precision / 2)
    solution = np.linalg.pinv(design * roots[:, None])[0] * roots * float(widths.min())
    spread = math.hypot(float(np.sqrt(np.sum((solution * stderrs) ** 2))), error * float(np.sum(solution)))
    return float(solution @ (means - limit)), spread


def _lack_of_fit(design: Host, means: Host, stderrs: Host) -> float:
    """Return the chi-squared p-value of the best fit's residuals; 1 if the polynomial meets every width."""
    spare = design.shape[0] - design.shape[1]
    if not spare:
        return 1.0
    scaled, target = design / stderrs[:, None], means / stderrs
    residual = target - scaled @ (np.linalg.pinv(scaled) @ target)
    return float(special.chdtrc(spare, residual @ residual))
