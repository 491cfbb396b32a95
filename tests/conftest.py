"""What all tests share."""

import gc

gc.set_threshold(100_000, 50, 50)  # SymPy's caches are large and never garbage: a twentieth of the time of all tests
