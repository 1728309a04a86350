"""The student's optimisation and its checkpoints."""
