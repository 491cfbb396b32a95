"""Numbers printed to the digits their standard error supports, as in 0.3014(21) and 12.3(1.5)."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_EVEN, Decimal
from typing import SupportsFloat

from wideproof.derive.language.errors import ParameterError
from wideproof.derive.latex.text import Latex, Math

LARGE, SMALL = 5, -4  # powers of ten from which, and up to which, a number is printed as m x 10^k
ERROR_DIGITS = 2


def value(x: SupportsFloat, error: SupportsFloat | None = None, digits: int = 4) -> Math:
    """The number rounded where its standard error has two digits: 0.30142 +- 0.0021 is 0.3014(21).

    The error counts the last digits that are printed; one that reaches above the decimal point has the point, too.
    Without an error (None or 0) it has `digits` significant digits; an error that is infinite or not a
    number is printed so, and the number keeps `digits` digits.  Errors: `ParameterError` for error < 0.
    """
    number, spread = float(x), 0.0 if error is None else float(error)
    if spread < 0:
        raise ParameterError("value", "a standard error >= 0", spread, "Pass its absolute value.")
    if not math.isfinite(number):
        return Math(_odd(number))
    if spread == 0:
        return Math(_rounded(number, _exponent(number) - digits + 1, None))
    if not math.isfinite(spread):
        body = _rounded(number, _exponent(number) - digits + 1, None)
        return Math(Latex(rf"{body} \pm {_odd(spread)}"))
    last = _exponent(spread) - ERROR_DIGITS + 1
    if round(Decimal(spread).scaleb(-last)) >= 10**ERROR_DIGITS:  # 0.0996 rounds up to 0.10
        last += 1
    return Math(_rounded(number, last, spread))


def _odd(x: float) -> Latex:
    if math.isnan(x):
        return Latex(r"\mathrm{nan}")
    return Latex(r"\infty" if x > 0 else r"-\infty")


def _exponent(x: float) -> int:
    """The power of ten of the first digit, 0 for zero."""
    return Decimal(x).adjusted() if x else 0


def _in_last_digits(units: int, decimals: int) -> str:
    """An error in units of the last of so many decimals: with its point where it is above one, as in 0.6(5.8)."""
    return f"{units / 10**decimals:.{decimals}f}" if decimals > 0 and units >= 10**decimals else str(units)


def _rounded(x: float, last: int, error: float | None) -> Latex:
    """x, its last printed digit being that of 10**last, with the error in units of that digit."""
    shown = Decimal(x).quantize(Decimal(1).scaleb(last), ROUND_HALF_EVEN)
    if not shown and error is None:
        return Latex("0")
    leads = ([shown.adjusted()] if shown else []) + ([] if error is None else [last + ERROR_DIGITS - 1])
    first = max(leads)
    power = first if first >= LARGE or first <= SMALL or last > 0 else 0
    if error is None:
        shown = shown.normalize()
        last = int(shown.as_tuple().exponent)
    digits = f"{abs(shown.scaleb(-power)):.{max(power - last, 0)}f}"
    sign = "-" if shown < 0 else ""
    tail = "" if error is None else f"({_in_last_digits(round(Decimal(error).scaleb(-last)), power - last)})"
    scale = rf" \times 10^{{{power}}}" if power else ""
    if digits == "1" and scale and not tail:
        return Latex(f"{sign}10^{{{power}}}")
    return Latex(f"{sign}{digits}{tail}{scale}")
