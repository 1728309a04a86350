"""Teachers: models that score or answer in the student's tokens, and which of them teaches which sample."""
