"""Gaussian expectations: the symbolic calculus, the table of dual activations, series and integrals."""
