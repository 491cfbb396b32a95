"""Expressions, equations and proofs as LaTeX: the one printer, lines that fit the page, and sentences."""
