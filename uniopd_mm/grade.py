"""`python -m uniopd_mm.grade task=math data.path=rows.jsonl out=graded.jsonl`: grade the responses that rows hold.

`--help` lists every key. After a kill, the same command continues where it stopped.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from uniopd_mm.cli.command import Command, composed, run_command
from uniopd_mm.config.grade import NOT_USED, GradeConfig, validate


def grade(config: GradeConfig, overrides: Sequence[str]) -> None:
    """Grade each response, write the outcomes, and print tables of them."""
    validate(config)
    from uniopd_mm.run.regrading import grade_rows, parts_of, report  # a refused command need not import them

    with tempfile.TemporaryDirectory() as scratch:
        configs = list(_of_tasks(config, parts_of(config, Path(scratch)))) if config.mixed else [config]
        report(config, *grade_rows(config, configs))


def _of_tasks(config: GradeConfig, parts: Sequence[tuple[str, str | None, Path]]) -> Iterator[GradeConfig]:
    """The configuration of each task, metric and file of rows."""
    for task, metric, path in parts:
        metrics = [f"task.metric={metric}"] if metric else []
        rows = [f"data.path={json.dumps(str(path))}", f"out={config.out}"]
        own = composed(COMMAND, [f"task={task}", *metrics, *rows])
        yield replace(own, response_column=config.response_column)


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
