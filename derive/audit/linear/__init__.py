"""The independent audit of linear recursions: matrices, descents, momentum, moments at finite width."""
