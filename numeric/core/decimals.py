"""Numbers written as text by somebody else, read in one form."""

from __future__ import annotations

LONGEST = 800
"""Characters of a number: the longest exact decimal of a double has 767 digits."""


def decimal(text: str) -> float:
    """The double of an ASCII decimal such as -1.5e-3, or of inf and nan; 1_000 and digits of other scripts are none.

    Errors: ValueError.
    """
    if not text.isascii() or "_" in text or len(text) > LONGEST:
        raise ValueError("no decimal number")
    return float(text)
