"""Benchmarks of finished checkpoints. Validation during training is uniopd_mm/run/validation.py."""
