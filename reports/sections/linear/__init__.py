"""The sections of the report of a linear recursion."""
