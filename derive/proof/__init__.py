"""Proofs: claims of a few kinds, rules that make them, steps, and their verification."""
