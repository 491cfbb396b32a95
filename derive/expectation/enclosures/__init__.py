"""Enclosures of Gaussian expectations in ball arithmetic: bounds that hold, at the price of time."""
