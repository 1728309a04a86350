"""A job: one evaluation of one checkpoint on one task. Defines its key and its files.

    <out>/<checkpoint>/<task>/samples.jsonl     every question's responses and scores, as lmms-eval logs them
    <out>/<checkpoint>/<task>/lmms_eval.json    lmms-eval's own results
    <out>/<checkpoint>/<task>/score.json        written last: the Score, the job's key, checksums of all three

A job is done if all files exist, belong to the same key, and are unchanged since they were written.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from uniopd_mm.evaluation.checkpoints import Checkpoint
from uniopd_mm.evaluation.records import Score, Status, SuiteTask
from uniopd_mm.evaluation.results import score_from_json, score_to_json
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.records import json_line, standard

SCORE, SAMPLES, RESULTS = "score.json", "samples.jsonl", "lmms_eval.json"
MAX_CELL = 20_000  # characters of a row's cell in samples.jsonl
FINISHED = (Status.DONE, Status.INAPPLICABLE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Overrides of a task's own settings, None for no override: number of questions, responses to each, tokens per
    response."""

    limit: int | None = None
    num_samples: int | None = None
    max_new_tokens: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """`settings` is everything that determines the outcome; its hash is the job's key."""

    checkpoint: Checkpoint
    task: SuiteTask
    limits: Limits
    folder: Path
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return hashlib.sha256(json.dumps(standard(self.settings), sort_keys=True, default=str).encode()).hexdigest()

    @property
    def label(self) -> str:
        return f"{self.checkpoint.name} on {self.task.task}"


def job_folder(out: Path, checkpoint: Checkpoint, task: str) -> Path:
    return out / checkpoint.folder / task


def blank_score(job: Job, status: Status, reason: str) -> Score:
    """The score of a job without a value, with the reason."""
    task = job.task
    return Score(
        checkpoint=job.checkpoint.name,
        task=task.task,
        title=task.title,
        domain=task.domain,
        metric=task.metric,
        status=status,
        reason=reason,
        paper=task.paper,
        settings=job.settings,
    )


def write_outcome(job: Job, score: Score, samples: list[Mapping[str, Any]], results: Mapping[str, Any]) -> None:
    """Write all files of a job, the score last.

    Raises:
        UserError: the disk is full.
    """
    lines = [json_line(json.loads(json.dumps(_without_long_cells(sample), default=str))) for sample in samples]
    write_atomically(job.folder / SAMPLES, lines, run=None)
    text = json.dumps(standard(results), indent=1, default=str)
    write_atomically(job.folder / RESULTS, [text.encode()], run=None)
    record = {"key": job.key, "files": _digests(job.folder), "score": score_to_json(score)}
    record["sha256"] = _sha256_of(record)
    write_atomically(job.folder / SCORE, [json.dumps(record, indent=1, allow_nan=False).encode()], run=None)


def _without_long_cells(sample: Mapping[str, Any]) -> dict[str, Any]:
    """The sample without very long cells of its row: the packed tests of one program may take megabytes."""
    row = {
        name: f"({len(cell):,} characters)" if isinstance(cell, str) and len(cell) > MAX_CELL else cell
        for name, cell in dict(sample.get("doc") or {}).items()
    }
    return {**sample, "doc": row}


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """The content of a job's folder: its score, and the reason to run the job again. Both are None for a job that never
    ran."""

    score: Score | None = None
    problem: str | None = None

    @property
    def done(self) -> bool:
        return self.score is not None and self.problem is None


def stored(job: Job) -> Stored:
    """A job's stored evaluation. It is done if its files are complete and were made with the same settings."""
    path = job.folder / SCORE
    if not path.exists():
        return Stored()
    try:
        record = json.loads(path.read_bytes())
        score = score_from_json(record["score"])
        intact = record.pop("sha256") == _sha256_of(record)
        changed = [name for name, digest in _digests(job.folder).items() if record["files"][name] != digest]
        key = record["key"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        return Stored(problem=f"{path}: damaged ({type(error).__name__})")
    if not intact or changed:
        return Stored(problem=f"{job.folder / (changed or [SCORE])[0]}: changed since it was written")
    if key != job.key:
        return Stored(problem=f"{path}: made with other settings, another checkpoint or another version of the task")
    if score.status not in FINISHED:
        problem = f"{job.label}: {len(score.unreadable)} questions could not be read"
        return Stored(score=_with_current_names(score, job), problem=problem)
    return Stored(score=_with_current_names(score, job))


def _with_current_names(score: Score, job: Job) -> Score:
    """The score with the suite's current names and figures, which do not affect the value."""
    task = job.task
    return replace(score, checkpoint=job.checkpoint.name, title=task.title, domain=task.domain, paper=task.paper)


def _digests(folder: Path) -> dict[str, str]:
    """Checksums of the other files, by name."""
    return {name: _sha256(folder / name) for name in (SAMPLES, RESULTS)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sha256_of(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def first_samples(job: Job, count: int) -> list[dict[str, Any]]:
    """The first questions of a finished job, for display. Plain records with "checkpoint", "task", "prompt",
    "response", "target" and "scores"."""
    path = job.folder / SAMPLES
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as file:
        return [_shown(job, json.loads(line)) for line in islice(file, count)]


def _shown(job: Job, sample: Mapping[str, Any]) -> dict[str, Any]:
    responses = sample["resps"][0]
    own = sample.get("score")
    return {
        "checkpoint": job.checkpoint.name,
        "task": job.task.task,
        "prompt": sample["arguments"][0],
        "response": responses[0] if isinstance(responses, list) else responses,
        "target": sample["target"],
        "scores": own.get("scores") if isinstance(own, Mapping) else own,
    }
