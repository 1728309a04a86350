"""Models: loaded checkpoints, the comparison of student and teacher, and the built-in zoo."""
