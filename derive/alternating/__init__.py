"""Programs of one Gaussian matrix and its transpose: their language, corrections, state evolution."""

from .program import Alternating, AlternatingProgram, Source

__all__ = ["Alternating", "AlternatingProgram", "Source"]
