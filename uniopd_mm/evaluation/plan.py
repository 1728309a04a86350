"""What a sweep will do and what it needs: its jobs, which of them are done, downloads, and disk space.

Nothing is loaded or downloaded to find out.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from huggingface_hub.constants import HF_HUB_CACHE
from rich.box import SIMPLE_HEAD
from rich.table import Table

from uniopd_mm.config.evaluate import existing
from uniopd_mm.evaluation.checkpoints import Checkpoint
from uniopd_mm.evaluation.jobs import Job, Limits, Stored, job_folder, stored
from uniopd_mm.evaluation.library import HUB, our_tasks, scores_several_responses, task_hash, task_metadata, task_yaml
from uniopd_mm.evaluation.records import SuiteTask
from uniopd_mm.models.loading import revision
from uniopd_mm.tracking.console import printable, terminal

LOCAL, CACHED, HUB_ONLY, UNKNOWN = "local", "cache", "hub", "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a task's data are, and the approximate download size; None if unknown."""

    where: str
    download_gb: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """`found` has an entry per job, `places` an entry per task."""

    jobs: tuple[Job, ...]
    found: Mapping[str, Stored]
    places: Mapping[str, Place]

    @property
    def waiting(self) -> list[Job]:
        """Jobs that are not done."""
        return [job for job in self.jobs if not self.found[job.label].done]

    @property
    def download_gb(self) -> float:
        """The approximate download size for these jobs."""
        tasks = {job.task.task for job in self.waiting}
        return sum(self.places[task].download_gb or 0 for task in tasks)


def make_jobs(
    checkpoints: Sequence[Checkpoint],
    tasks: Sequence[SuiteTask],
    limits: Limits,
    out: Path,
    settings: Mapping[str, Any],
    offline: bool = False,
) -> tuple[Job, ...]:
    """One job per checkpoint and task, ordered by checkpoint.

    Args:
        settings: the settings of the engine.
        offline: do not ask the hub whether a checkpoint there has changed.
    """
    revisions = {checkpoint.name: _fingerprint(revision(checkpoint.path, offline)) for checkpoint in checkpoints}
    hashes = {task.task: _hash(task.task) for task in tasks}
    return tuple(
        Job(
            checkpoint=checkpoint,
            task=task,
            limits=limits,
            folder=job_folder(out, checkpoint, task.task),
            settings={
                **settings,
                "checkpoint": checkpoint.path,
                "revision": revisions[checkpoint.name],
                "task": task.task,
                "task_hash": hashes[task.task],
                "metric": task.metric,
                "full_mark": task.scale,
                "limit": limits.limit,
                "num_samples": limits.num_samples,
                "max_new_tokens": limits.max_new_tokens,
            },
        )
        for checkpoint in checkpoints
        for task in tasks
    )


def _fingerprint(weights: Any) -> str:
    """A short identifier of a checkpoint's weights."""
    return hashlib.sha256(json.dumps(weights).encode()).hexdigest()[:16]


def _hash(task: str) -> str:
    return task_hash(task) if task in our_tasks() else f"lmms-eval {version('lmms-eval')}"


def make_plan(jobs: Sequence[Job], data_root: Path | None) -> Plan:
    """Look up which jobs are done and where the data are."""
    tasks = dict.fromkeys(job.task.task for job in jobs)
    return Plan(
        jobs=tuple(jobs),
        found={job.label: stored(job) for job in jobs},
        places={task: _place(task, data_root) for task in tasks},
    )


def _place(task: str, data_root: Path | None) -> Place:
    if task not in our_tasks():
        return Place(where=UNKNOWN, download_gb=None)
    repository = _repository(task_yaml(task))
    if data_root is not None and (data_root / repository).is_dir():
        return Place(where=LOCAL, download_gb=0)
    if (Path(HF_HUB_CACHE) / f"datasets--{repository.replace('/', '--')}").is_dir():
        return Place(where=CACHED, download_gb=0)
    return Place(where=HUB_ONLY, download_gb=task_metadata(task).get("download_gb"))


def _repository(entries: Mapping[str, Any]) -> str:
    """OWNER/NAME of a task's data set, which the YAML may give as files of the hub."""
    files = str((entries.get("dataset_kwargs") or {}).get("data_files") or "")
    if HUB in files:
        return "/".join(files.partition(HUB)[2].split("/")[:2])
    return str(entries["dataset_path"])


def plan_table(plan: Plan) -> Table:
    """One row per task: the number of questions and responses, where its data are, and how many checkpoints still need
    it."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("task", "questions", "responses", "data", "to fetch", "to do"):
        table.add_column(name, justify="left" if name in {"task", "data"} else "right", no_wrap=name == "task")
    for task, place in plan.places.items():
        jobs = [job for job in plan.jobs if job.task.task == task]
        waiting = sum(not plan.found[job.label].done for job in jobs)
        questions, responses = _size(task, jobs[0].limits)
        cells = (task, questions, responses, place.where, _gigabytes(place), f"{waiting} of {len(jobs)}")
        table.add_row(*(printable(cell, terminal()) for cell in cells))
    return table


def _size(task: str, limits: Limits) -> tuple[str, str]:
    if task not in our_tasks():
        return "?", "?"
    published = task_metadata(task).get("questions")
    questions = min(published, limits.limit or published) if published else None
    samples = task_yaml(task).get("repeats", 1)
    if scores_several_responses(task_yaml(task)):
        samples = limits.num_samples or samples
    return (f"{questions:,}", f"{questions * samples:,}") if questions else ("?", "?")


def _gigabytes(place: Place) -> str:
    if place.download_gb is None:
        return "?"
    return f"~{place.download_gb:,.3g} GB" if place.download_gb else "-"


def needs(plan: Plan, out: Path, offline: bool) -> list[str]:
    """What the user should know before the sweep starts, one line each."""
    lines = []
    if plan.download_gb:
        free = shutil.disk_usage(existing(Path(HF_HUB_CACHE))).free / 1e9
        lines.append(
            f"to fetch from the hub: about {plan.download_gb:,.3g} GB into {HF_HUB_CACHE} ({free:,.0f} GB free)"
        )
        if plan.download_gb > free:
            lines.append("this does not fit: set HF_HOME to a folder on a larger disk, or set tasks= or data_root=")
        if offline or os.environ.get("HF_HUB_OFFLINE") == "1":
            lines.append("offline: data that would be fetched will be reported as missing")
    free = shutil.disk_usage(existing(out)).free / 1e9
    lines.append(f"results go to {out} ({free:,.0f} GB free)")
    return lines
