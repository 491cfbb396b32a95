"""From a proved goal to a formula: LaTeX, array code, and evaluators of recurrences."""
