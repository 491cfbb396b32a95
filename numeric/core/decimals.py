"""Numbers as text: read in one form, and written with their standard errors."""

from __future__ import annotations

import math

LONGEST = 800
"""Characters of a number: the longest exact decimal of a double has 767 digits."""


def decimal(text: str) -> float:
    """The double of an ASCII decimal such as -1.5e-3, or of inf and nan; 1_000 and digits of other scripts are none.

    Errors: ValueError.
    """
    if not text.isascii() or "_" in text or len(text) > LONGEST:
        raise ValueError("no decimal number")
    return float(text)


def measured(x: float, stderr: float) -> tuple[str, str]:
    """A number and its standard error as text: the error has two digits, and the number ends where it does.

    Without an error (0, infinite or not a number) the number has six digits.
    """
    if not (math.isfinite(x) and math.isfinite(stderr) and stderr > 0):
        return f"{x:.6g}", f"{stderr:.2g}"
    shown = f"{stderr:.1e}"  # rounded first: 0.0996 is 0.10
    last = int(shown.partition("e")[2]) - 1
    lead = max(math.floor(math.log10(abs(x))) if x else last, last + 1)
    if -5 < lead < 6:
        return f"{x:.{max(-last, 0)}f}", f"{float(shown):.{max(-last, 0)}f}"
    return f"{x:.{max(lead - last, 0)}e}", shown
