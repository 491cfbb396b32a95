"""SymPy algebra of our own: matrices as symbols, solved linear recurrences, array code."""
