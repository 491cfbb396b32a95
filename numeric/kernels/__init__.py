"""Kernels of infinitely wide networks on sequences, and what they predict."""
