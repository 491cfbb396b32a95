"""Kernel recursions as compiled loops over pairs of sequences, whose text is printed from the derived equations."""
