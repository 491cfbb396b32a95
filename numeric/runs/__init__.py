"""Long work, stored: chunks drawn by any workers in any order, into a folder that goes on after a kill."""
