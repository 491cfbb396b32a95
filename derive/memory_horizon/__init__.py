"""How long a recursion remembers: scalar maps of two runs, their slopes, the critical line."""
