"""The warning that a width is narrow for a number of steps, with the exact size of the correction, if one is known."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import numpy as np

from wideproof.derive import Program, moments
from wideproof.derive.calculus.linear_reads import is_affine
from wideproof.derive.language.errors import NotClosed
from wideproof.derive.linear.matrix_words import ImpulseWords
from wideproof.numeric.core.width_ladder import WIDE, is_wide

LATEST, FEW_WORDS = (8, 3), 40
"""Lags of which the exact correction is derived while a user waits, a second at most: where L has at most so many
words."""
_QUIET: ContextVar[bool] = ContextVar("quiet", default=False)


class NarrowWidth(UserWarning):
    """The squared number of steps is not small against the width: limits are off by a part that the warning states.

    Filter it by its cause: warnings.simplefilter("ignore", wideproof.NarrowWidth).

    >>> issubclass(wp.NarrowWidth, UserWarning)
    True
    """


def warn_narrow(program: Program, values: Mapping[str, Any], width: int, steps: int) -> None:
    """Warn the caller's caller once where a recursion with a finite-width theory is off its limit at a width.

    Units: values by symbol.  Source: `narrow_width`.
    """
    if _QUIET.get() or is_wide(width, steps - 1) or program.base is not None:
        return
    text = narrow_width(program, values, width, steps) if is_affine(program) else ""
    if text:
        warnings.warn(text, NarrowWidth, stacklevel=3)


@contextmanager
def quiet_widths() -> Iterator[None]:
    """Keep `warn_narrow` silent inside, where the widths are ours and not the user's."""
    token = _QUIET.set(True)
    try:
        yield
    finally:
        _QUIET.reset(token)


def narrow_width(program: Program, values: Mapping[str, Any], width: int, steps: int) -> str:
    """Say what is off where the squared number of steps is not small against the width; "" where it is, or nothing is.

    Units: time steps.  Error: none, where the recursion is linear the size is that of the exact second moment of L_j.
    Source: relative corrections of the limit grow with T²/n, `is_wide`; derive.moments.
    """
    if is_wide(width, steps - 1):
        return ""
    begin = f"T² = {steps**2} is not small against n = {width}: "
    if not is_affine(program):
        return begin + (
            f"corrections of the limit grow like T²/n where the recursion is linear, so expect it from "
            f"n = {WIDE * steps**2} on; of this recursion the measured coefficients of 1/n tell"
        )
    lag, size = correction(program, values, width, steps - 1)
    if not size:
        return ""
    later = f", and more at lag {steps - 1}" if lag < steps - 1 else ""
    return begin + (
        f"at this width E L_j² is {_told(size)} its limit at lag {lag}{later}. "
        f"Take n >= {WIDE * steps**2}, or fewer steps; wideproof.width_for(…, horizon={steps}) says how wide is enough"
    )


def _told(size: float) -> str:
    if size >= 1:
        return f"{1 + size:.2g} times"
    return f"{100 * abs(size):.2g} % {'above' if size > 0 else 'below'}"


def correction(program: Program, values: Mapping[str, Any], width: int, lag: int) -> tuple[int, float]:
    """Return the latest lag, at most the given one, whose exact moment is quickly derived, and what it is off there.

    The second is E L_j² at the width over its limit, less 1; 0 where L_j vanishes or its moments do not close.
    Units: 1.  Error: rounding.  Source: derive.moments.
    """
    for latest in LATEST:
        at = min(lag, latest)
        try:
            words = ImpulseWords(program, program.bodies, program.output, "narrow width").response(at)
            if not words or len(words) > FEW_WORDS:
                continue
            found = moment_at(program, (at, at))
        except NotClosed:
            continue
        with np.errstate(all="ignore"):  # what overflows is told where the network does
            here, limit = (float(found(n=x, **values)) for x in (float(width), np.inf))
        return at, here / limit - 1 if limit and np.isfinite(here) else 0.0
    return 0, 0.0


@lru_cache(maxsize=1024)
def moment_at(program: Program, lags: tuple[int, ...]) -> Callable[..., Any]:
    """Return the proved moment of L at some lags as a function of n and the variances, derived once for all runs.

    Units: output/input for each lag.  Error: rounding; as derive.moments.  Source: derive.moments.
    """
    return moments(program, lags=lags).formula.compile("numpy")
