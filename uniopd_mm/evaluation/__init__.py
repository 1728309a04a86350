"""Benchmarks through lmms-eval: our tasks and models, sweeps over checkpoints, and their reports. Validation during
training is in uniopd_mm/run/validation.py."""
