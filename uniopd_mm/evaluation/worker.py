"""`python -m uniopd_mm.evaluation.worker FD PID`: loads one model and evaluates it on one task after another.

Started by the sweep. PID is the sweep's process id, FD this process's end of the connection. Exits when the sweep does.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from uniopd_mm.config.evaluate import check_room
from uniopd_mm.evaluation.contamination import TrainingPrompts, training_prompts
from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.evaluation.harness import TaskRun, run_task
from uniopd_mm.evaluation.jobs import Job, blank_score, write_outcome
from uniopd_mm.evaluation.library import settings_of
from uniopd_mm.evaluation.messages import sample_of
from uniopd_mm.evaluation.model_loading import load_engine_model
from uniopd_mm.evaluation.protocol import Failed, Finished, ModelSpec, ProgressReport, Ready
from uniopd_mm.evaluation.records import Score, Status
from uniopd_mm.evaluation.results import departures, score_of
from uniopd_mm.evaluation.tasks import load_task, require_metric
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.types import Media, UserError


def work(connection: Connection) -> None:
    """Run until the connection ends."""
    spec: ModelSpec = connection.recv()
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(spec.threads or os.cpu_count() or 1)
    try:
        model = load_engine_model(
            spec.engine,
            spec.path,
            dtype=spec.dtype,
            options=spec.options,
            processor=spec.processor,
            seed=spec.seed,
            prompts_per_chunk=spec.prompts_per_chunk,
            max_batch_size=spec.max_batch_size,
        )
        prompts = training_prompts(spec.run) if spec.run else None
    except Exception as error:  # noqa: BLE001 - from any library that loads the model; the sweep reports it and continues
        connection.send(Failed(reason=_reason(error)))
        return
    connection.send(Ready())
    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        connection.send(_run_job(connection, model, job, spec, prompts))


def _run_job(
    connection: Connection, model: EngineModel, job: Job, spec: ModelSpec, prompts: TrainingPrompts | None
) -> Finished | Failed:
    try:
        evaluate_job(connection, model, job, spec, prompts)
        return Finished()
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - from lmms-eval, an engine or the data: the sweep continues without it
        return Failed(reason=_reason(error))


def evaluate_job(
    connection: Connection, model: EngineModel, job: Job, spec: ModelSpec, prompts: TrainingPrompts | None
) -> None:
    """Evaluate the model on one task and write the job's files.

    Raises:
        UserError: the task lacks the metric that counts, its data or all of its questions cannot be read, or the disk
            is full.
    """
    limits = job.limits
    check_room(job.folder)
    task = load_task(
        job.task.task,
        data_root=spec.data_root,
        num_samples=limits.num_samples,
        max_new_tokens=limits.max_new_tokens,
    )
    require_metric(task, job.task.metric)
    total = min(limits.limit or len(task.eval_docs), len(task.eval_docs))
    unsupported = unsupported_kinds(model, task, total)
    if unsupported:
        reason = f"the model cannot read {' or '.join(sorted(unsupported))}"
        write_outcome(job, blank_score(job, Status.INAPPLICABLE, reason), [], {})
        return
    model.reset()
    model.on_progress = lambda count: connection.send(ProgressReport(num_answered=count, total=total))
    run = run_task(model, task, limit=limits.limit)
    write_outcome(job, scored(job, run, _contaminated(task, prompts, total)), list(run.samples), run.results)


def unsupported_kinds(model: EngineModel, task: Any, total: int) -> set[str]:
    """The kinds of media in a task's questions that the model cannot read.

    For a model that reads any media, the first readable question decides. A text-only model skips a task if any
    question has media, because the first questions of a benchmark may have none.
    """
    supported = {name.partition(".")[0] for name in model.processor.settings.binding}
    for index in range(total):
        kinds = _kinds(task, index)
        if kinds is not None and (supported or kinds):
            return kinds - supported
    return set()


def _kinds(task: Any, index: int) -> set[str] | None:
    """The kinds of media in one question; None if it cannot be read, which is reported during evaluation."""
    try:
        sample = sample_of(task.doc_to_messages(task.eval_docs[index]), str(index), "")
    except Exception:  # noqa: BLE001 - a task's own code
        return None
    return {item.kind for turn in sample.messages for item in turn.content if isinstance(item, Media)}


def scored(job: Job, run: TaskRun, contaminated: int | None) -> Score:
    """The score of a finished run.

    Raises:
        UserError: some questions have no results, or none of them could be read.
    """
    unreadable = run.stats.unreadable
    first = f"{unreadable[0].where}: {unreadable[0].reason}" if unreadable else ""
    published = settings_of(job.task.task)
    if run.num_questions != run.num_expected:
        raise UserError(f"{run.num_questions} of {run.num_expected} questions have results")
    if len(unreadable) == run.num_expected:
        raise UserError(f"no question could be read; the first: {first}")
    return score_of(
        run.results,
        job.task,
        checkpoint=job.checkpoint.name,
        status=Status.INCOMPLETE if unreadable else Status.DONE,
        num_questions=run.num_questions,
        num_samples=run.num_samples,
        stats=run.stats,
        contaminated=contaminated,
        seconds=run.seconds,
        settings=job.settings,
        metric=published.get("metric") if job.task.metric == "score" else None,
        departures=run_departures(job, run, published),
    )


def run_departures(job: Job, run: TaskRun, published: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the run used less than the published protocol: because of the user's limits, or because data lack
    questions. `num_samples` only affects tasks that score several responses."""
    limits = job.limits
    questions = run.num_questions if limits.limit or published.get("questions") else None
    responses = limits.num_samples if limits.num_samples == run.num_samples else None
    sizes = (
        ("questions", questions, published.get("questions")),
        ("responses", responses, published.get("repeats")),
        ("tokens a response", limits.max_new_tokens, published.get("max_new_tokens")),
    )
    used = {unit: count for unit, count, _ in sizes if count is not None}
    whole = {unit: count for unit, _, count in sizes}
    return departures(used, whole)


def _contaminated(task: Any, prompts: TrainingPrompts | None, total: int) -> int | None:
    """Number of questions contained in the training prompts, None if they cannot be compared."""
    if prompts is None or not task.should_decontaminate():
        return None
    docs = task.eval_docs_no_media
    return sum(prompts.contain(str(task.doc_to_decontamination_query(docs[index]))) for index in range(total))


def _reason(error: Exception) -> str:
    if isinstance(error, UserError):
        return " ".join(str(error).split())  # in full, because the remedy is at its end
    traceback.print_exc()  # into the worker's log
    return f"{type(error).__name__}: {in_short(error)}"


def _end_with_parent(parent: int) -> None:
    """If the sweep is killed, kill this process and its children, so that no model stays on a GPU."""
    while os.getppid() == parent:
        time.sleep(1)
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(1)


def main() -> None:
    connection, parent = Connection(int(sys.argv[1])), int(sys.argv[2])
    threading.Thread(target=_end_with_parent, args=(parent,), daemon=True).start()
    work(connection)


if __name__ == "__main__":
    main()
