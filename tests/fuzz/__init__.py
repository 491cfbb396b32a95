"""Hostile input by the million: files, texts of recursions, calls of the public functions, command lines.

`python -m tests.fuzz --files 10000 --texts 1000000 --api 100000 --commands 10000` is the documented soak. Every case is
a function of a seed and its number, so that a failure is repeated by `--only KIND NUMBER`.
"""
