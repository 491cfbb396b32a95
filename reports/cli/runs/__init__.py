"""Runs on disk: the options that make them, and the verb `runs`."""
