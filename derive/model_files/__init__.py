"""Models that users wrote: Python files, which are run, and TOML files, of which nothing is run."""
