"""Recursions of polynomial activations at finite width: outputs as sums over indices, whose means are exact."""
