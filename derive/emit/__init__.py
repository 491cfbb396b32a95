"""From a proved goal to a formula: array code, and evaluators of recurrences."""
