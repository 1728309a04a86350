"""How answers are graded. A grader never raises; if it cannot decide, the outcome is unknown."""
