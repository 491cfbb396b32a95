"""Samplers: the matrices of any recursion, whole or revealed by their products; the linear recursion in law."""
