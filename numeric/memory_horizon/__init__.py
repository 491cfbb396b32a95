"""Fixed points, slopes and phase diagrams in numbers, and their check by simulation."""
