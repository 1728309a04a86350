"""Published benchmarks: how rows become questions, and responses become scores. The tasks' graders do the scoring.

One or more YAML files in uniopd_mm/evaluation/benchmarks name each module. lmms-eval reads them, but nothing here
imports lmms-eval.
"""
