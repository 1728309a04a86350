"""The typed schema of `configs/grade.yaml`: every key of `python -m uniopd_mm.grade`, and what cannot work."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from uniopd_mm.config.components import check_component
from uniopd_mm.config.parts import documented
from uniopd_mm.config.train import DataConfig
from uniopd_mm.types import UserError


@dataclass
class GradeConfig:
    """All of `python -m uniopd_mm.grade`."""

    task: dict[str, Any] = documented("component: how rows are read and responses are graded")
    data: DataConfig = field(default_factory=DataConfig)
    response_column: str = documented("column of a row's response: a text, or a list of texts", "response")
    expected_column: str = documented(
        "column of the acceptable verdicts: letters of T, F and N (unknown), or T=0.5 for a reward; rows may lack it",
        "expected",
    )
    mixed: bool = documented("each row names its `task` (and `metric`), and holds its columns under `row`", False)
    out: str | None = documented("outcomes to write, a .jsonl file; required", None)
    overwrite: bool = documented("replace an existing file", False)
    threads: int | None = documented("responses graded at a time; null: two per core", None)


NOT_USED = {
    "task=mixture": "grade the rows of each task by themselves, or give mixed=true and rows that name their task",
    "data.prompt_cache_mb": "grading encodes no prompts; leave it out",
    "data.max_prompt_tokens": "grading encodes no prompts; leave it out",
    "data.max_validation_samples": "grading reads all rows; leave it out",
}


def validate(config: GradeConfig) -> None:
    """Refuse values that cannot work.

    Raises:
        UserError: names the key, its value and the remedy.
    """
    if not config.data.path:
        raise UserError("data.path=null: no rows to grade; give data.path=FILE.jsonl, whose rows hold a response")
    if config.threads is not None and config.threads < 1:
        raise UserError(f"threads={config.threads} must be at least 1, or null for two per core")
    _check_out(config)
    check_component(config.task, "task")
    if "rows" not in config.task:
        raise UserError("task: it has no `rows`, from which responses are read; include /rows@rows: data in its YAML")


def _check_out(config: GradeConfig) -> None:
    if not config.out:
        raise UserError("out=null: no file to write; give out=FILE.jsonl")
    path = Path(config.out).expanduser()
    if path.suffix != ".jsonl":
        raise UserError(f"out={path}: unknown suffix {path.suffix or 'none'}; give a .jsonl file")
    if os.path.realpath(path) == os.path.realpath(Path(str(config.data.path)).expanduser()):
        raise UserError(f"out={path}: these are the rows of data.path; give another file")
    if path.exists() and not (config.overwrite and path.is_file()):
        raise UserError(f"out={path}: exists already; give another file, or overwrite=true")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"out={path}: {error.strerror}; give a file in a folder to write in") from error
