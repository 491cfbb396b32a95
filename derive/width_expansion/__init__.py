"""Finite width to order 1/n: how overlaps of wide vectors fluctuate, and what that does to second moments."""
