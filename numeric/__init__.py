"""Finite width: arrays, sampling, training, statistics and checks."""
