"""Programs of one Gaussian matrix and its transpose: conditioning, corrections, state evolution."""
