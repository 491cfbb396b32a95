"""The paper's theorems and errata in numbers."""
