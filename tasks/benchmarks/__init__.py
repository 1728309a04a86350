"""Published benchmarks: how their rows become questions and their responses scores, with the graders of the tasks.

Each module is named by one or more YAML files of uniopd_mm/evaluation/benchmarks, which lmms-eval reads; nothing here
imports lmms-eval.
"""
