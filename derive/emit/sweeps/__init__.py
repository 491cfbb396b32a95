"""Kernel recursions that read moments at unequal times, as compiled loops."""
