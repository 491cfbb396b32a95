"""The sections of the report of a program that alternates a matrix and its transpose."""
