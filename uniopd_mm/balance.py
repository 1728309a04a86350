"""`python -m uniopd_mm.balance task=video_qa data.path=IN.jsonl out=OUT.jsonl`: repeat prompts of medium difficulty.

`--help` lists every key. After a kill, the same command continues where it stopped.
"""

from collections.abc import Sequence

from uniopd_mm.cli.command import Command, run_command
from uniopd_mm.config.balance import NOT_USED, BalanceConfig, validate


def balance(config: BalanceConfig, overrides: Sequence[str]) -> None:
    """Measure pass rates where rows have none, and write balanced rows."""
    validate(config)
    from uniopd_mm.run.balancing import balance as balance_rows  # imports torch, which a refused command need not

    balance_rows(config, overrides)


COMMAND = Command(
    name="balance",
    summary="Measure pass rates of a data set and repeat prompts of medium difficulty.",
    schema=BalanceConfig,
    run=balance,
    refused=NOT_USED,
    resume_hint="the same command continues: finished pass rates are kept",
)


def main() -> None:
    """The command."""
    run_command(COMMAND)


if __name__ == "__main__":
    main()
