"""`python -m uniopd_mm.grade task=math data.path=rows.jsonl out=graded.jsonl`: grade the responses that rows hold.

`--help` lists every key. After a kill, the same command continues where it stopped.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from uniopd_mm.cli.command import Command, composed, run_command
from uniopd_mm.config.grade import NOT_USED, GradeConfig, validate
from uniopd_mm.types import Skip, UserError

if TYPE_CHECKING:
    from uniopd_mm.run.regrading import Answered


def grade(config: GradeConfig, overrides: Sequence[str]) -> None:
    """Grade each response, write the outcomes, and print tables of them."""
    validate(config)
    from uniopd_mm.run.regrading import grade_rows, read_answered, report  # a refused command need not import them

    answered, skipped = _of_tasks(config) if config.mixed else read_answered(config)
    report(config, grade_rows(config, answered, skipped), skipped)


def _of_tasks(config: GradeConfig) -> "tuple[list[Answered], list[Skip]]":
    """What rows of several tasks hold. The rows of a task that does not exist are left out."""
    from uniopd_mm.run.mixed_rows import parts_of
    from uniopd_mm.run.regrading import read_answered

    answered: list[Answered] = []
    with tempfile.TemporaryDirectory() as scratch:
        parts, skipped = parts_of(config, Path(scratch))
        for part in parts:
            metrics = [f"task.metric={part.metric}"] if part.metric else []
            rows = [f"data.path={json.dumps(str(part.path))}", f"out={json.dumps(str(config.out))}"]
            try:
                own = composed(COMMAND, [f"task={part.task}", *metrics, *rows])
                columns = {"response_column": config.response_column, "expected_column": config.expected_column}
                found, left_out = read_answered(replace(own, **columns))
            except UserError as error:
                skipped += part.skipped(str(error))
                continue
            answered += found
            skipped += part.at_their_places(left_out)
    return answered, skipped


COMMAND = Command(
    name="grade",
    summary="Grade the responses that rows hold, and show what is right, wrong and unknown.",
    schema=GradeConfig,
    run=grade,
    refused=NOT_USED,
    resume_hint="the same command continues: finished grades are kept",
)


def main() -> None:
    """The command."""
    run_command(COMMAND)


if __name__ == "__main__":
    main()
