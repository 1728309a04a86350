"""Experts that score the student's tokens, and who of them scores what."""
