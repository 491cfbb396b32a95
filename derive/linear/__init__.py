"""Quantities of linear recursions: convolution, realisation, stability, finite width, bounds, training."""
