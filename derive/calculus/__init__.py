"""Rules about any program: moments, state evolution, innovations, tangents, processes, lags."""
