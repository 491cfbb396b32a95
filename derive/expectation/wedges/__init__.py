"""Expectations of functions that change around zero only: by wedges of the plane, and tables of these."""
