"""Quantities of any recursion: state evolution, NNGP and tangent kernels, the adjoint."""
