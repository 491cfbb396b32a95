"""How wide a linear recursion must be for its tangent kernel to be near its limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.language.program import Program
from wideproof.derive.language.recursion import Recursion
from wideproof.derive.linear.finite_width import KernelEntry
from wideproof.derive.linear.width_bound import ntk_gap
from wideproof.numeric.core.inputs import real, whole

WIDEST = 10**18


@dataclass(frozen=True)
class WidthAdvice:
    """From `width` on, all kernel entries of lags below `horizon` are within `tolerance` of their limits at once.

    The probability of that is at least 1 - `failure`: a theorem, by the exact mean squares of the gaps, Chebyshev's
    inequality and the union bound. `bound` is what they give at that width, `narrower` at one unit less.

    >>> wp.width_for(wp.models.linear_rnn(), tolerance=1.0, failure=0.1, horizon=1, nu_W=0.3, nu_F=1.0, nu_C=1.0).bound
    0.1
    """

    width: int
    horizon: int
    tolerance: float
    failure: float
    bound: float
    narrower: float

    def in_words(self) -> str:
        """One sentence."""
        return (
            f"width {self.width}: all entries of the tangent kernel of lags below {self.horizon} are within "
            f"{self.tolerance:g} of their limits with probability at least {1 - self.failure:g} "
            f"(Chebyshev's inequality gives at most {self.bound:.4g} for a miss, at one unit less {self.narrower:.4g})"
        )


def width_for(
    recursion: Recursion | Program,
    tolerance: float,
    failure: float,
    horizon: int,
    parameterization: str = "entries",
    progress: Callable[[int, int], None] | None = None,
    **variances: float,
) -> WidthAdvice:
    """The least width at which the bound on the probability that any kernel entry is off by the tolerance is `failure`.

    Entries are those between (L_t)_11 and (L_j)_11 for t <= j < horizon; the tolerance is in output^2/input^2.
    Shapes: none.  Error: rounding, the mean squares are exact; the bound is not sharp, a smaller width may do.
    Errors: as `ntk_gap`; ParameterError for a tolerance or failure that is not positive, a missing or unknown
    variance, and where no width below 1e18 does.  The cost grows like horizon^6; 4 takes seconds, 6 a minute.
    Source: Chebyshev's inequality and the union bound.

    >>> import wideproof as wp
    >>> wp.width_for(wp.models.linear_rnn(), tolerance=0.2, failure=0.05, horizon=2, nu_W=0.3, nu_F=1.0, nu_C=1.0).width
    5861
    """
    small = real("width_for: tolerance", tolerance, 0.0, above=True)
    chance = real("width_for: failure", failure, 0.0, above=True, below=1.0)
    count = whole("width_for: horizon", horizon, 1)
    entries = [KernelEntry(*lags) for lags in combinations_with_replacement(range(count), 2)]
    gaps = []
    for done, entry in enumerate(entries, 1):
        gaps.append(ntk_gap(recursion, entry, parameterization).formula.compile("numpy"))
        if progress is not None:
            progress(done, len(entries))

    def bound(width: int) -> float:
        return float(sum(gap(n=float(width), **variances) for gap in gaps)) / small**2

    if bound(WIDEST) > chance:
        hint = "Take a larger tolerance or failure, or smaller variances."
        raise ParameterError("width_for", f"a width below {WIDEST:.0e} that does", f"{bound(WIDEST):.3g} there", hint)
    low, high = 0, 1
    while bound(high) > chance:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if bound(middle) > chance else (low, middle)
    return WidthAdvice(high, count, small, chance, bound(high), bound(low) if low else float("inf"))
