"""`python -m uniopd_mm.evaluate suite=paper16 'checkpoints=[runs/a,runs/b]'`: benchmarks, through lmms-eval.

Every checkpoint on every task of a suite; the same command continues where it stopped. `--help` lists every key,
`--dry-run` shows what would be done and what it needs.
"""

from collections.abc import Sequence

from uniopd_mm.cli.command import Command, run_command
from uniopd_mm.config.evaluate import EvaluateConfig, validate


def evaluate(config: EvaluateConfig, overrides: Sequence[str]) -> None:
    """From checkpoints to a table."""
    validate(config)
    from uniopd_mm.evaluation.evaluate import evaluate as sweep  # imports torch, which a refused command need not

    sweep(config, overrides)


COMMAND = Command(
    name="evaluate",
    summary="Evaluate checkpoints on benchmarks through lmms-eval.",
    schema=EvaluateConfig,
    run=evaluate,
    flags={"--dry-run": "dry_run=true"},
    resume_hint="the same command continues: finished evaluations are kept",
)


def main() -> None:
    """The command."""
    run_command(COMMAND)


if __name__ == "__main__":
    main()
