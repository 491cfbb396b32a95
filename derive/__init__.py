"""Symbolic derivation: recursions, their infinite-width limits, and the proofs."""
