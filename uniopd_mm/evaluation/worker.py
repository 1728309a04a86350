"""`python -m uniopd_mm.evaluation.worker FD PID`: one model, loaded once, that is evaluated on one task after another.

Started by the sweep, whose process is PID; FD is its end of the connection. Ends when the sweep does.
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
from uniopd_mm.evaluation.opening import open_model
from uniopd_mm.evaluation.protocol import Asked, Failed, Finished, Opening, Ready
from uniopd_mm.evaluation.records import Score, Status
from uniopd_mm.evaluation.results import departures, score_of
from uniopd_mm.evaluation.tasks import load_task, require_metric
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.types import Media, UserError


def work(connection: Connection) -> None:
    """Until the connection ends."""
    opening: Opening = connection.recv()
    transformers_logging.set_verbosity_error()
    torch.set_num_threads(opening.threads or os.cpu_count() or 1)
    try:
        model = open_model(
            opening.engine,
            opening.path,
            dtype=opening.dtype,
            options=opening.options,
            processor=opening.processor,
            seed=opening.seed,
            prompts_per_chunk=opening.prompts_per_chunk,
            max_batch_size=opening.max_batch_size,
        )
        prompts = training_prompts(opening.run) if opening.run else None
    except Exception as error:  # noqa: BLE001 - of whatever library loads the model; the sweep names it and goes on
        connection.send(Failed(reason=_reason(error)))
        return
    connection.send(Ready())
    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        connection.send(_done(connection, model, job, opening, prompts))


def _done(
    connection: Connection, model: EngineModel, job: Job, opening: Opening, prompts: TrainingPrompts | None
) -> Finished | Failed:
    try:
        evaluate_job(connection, model, job, opening, prompts)
        return Finished()
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - of lmms-eval, an engine or a benchmark's data: the sweep goes on without
        return Failed(reason=_reason(error))


def evaluate_job(
    connection: Connection, model: EngineModel, job: Job, opening: Opening, prompts: TrainingPrompts | None
) -> None:
    """One task on the model, and its files.

    Raises:
        UserError: the task lacks the metric that counts, its data cannot be read, or not one question of it; the disk
            is full.
    """
    limits = job.limits
    check_room(job.folder)
    task = load_task(
        job.task.task,
        data_root=opening.data_root,
        num_samples=limits.num_samples,
        max_new_tokens=limits.max_new_tokens,
    )
    require_metric(task, job.task.metric)
    total = min(limits.limit or len(task.eval_docs), len(task.eval_docs))
    unseen = unreadable_kinds(model, task, total)
    if unseen:
        reason = f"it reads no {' and no '.join(sorted(unseen))}"
        write_outcome(job, blank_score(job, Status.INAPPLICABLE, reason), [], {})
        return
    model.reset()
    model.advanced = lambda count: connection.send(Asked(questions=count, total=total))
    run = run_task(model, task, limit=limits.limit)
    write_outcome(job, scored(job, run, _contaminated(task, prompts, total)), list(run.samples), run.results)


def unreadable_kinds(model: EngineModel, task: Any, total: int) -> set[str]:
    """The kinds of media of a task's first questions that the model has no eyes for.

    Of a model that sees anything, the first question that can be read tells. One that reads nothing but text is asked
    nothing if any question has media, as a benchmark may well begin with some that have none.
    """
    eyes = {name.partition(".")[0] for name in model.processor.settings.binding}
    for index in range(total):
        kinds = _kinds(task, index)
        if kinds is not None and (eyes or kinds):
            return kinds - eyes
    return set()


def _kinds(task: Any, index: int) -> set[str] | None:
    """Of one question; None where it cannot be read, which is named when it is asked."""
    try:
        sample = sample_of(task.doc_to_messages(task.eval_docs[index]), str(index), "")
    except Exception:  # noqa: BLE001 - a task's own code
        return None
    return {item.kind for turn in sample.messages for item in turn.content if isinstance(item, Media)}


def scored(job: Job, run: TaskRun, contaminated: int | None) -> Score:
    """The score of a finished run.

    Raises:
        UserError: it lacks questions, or none of them could be read.
    """
    unreadable = run.answered.unreadable
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
        answered=run.answered,
        contaminated=contaminated,
        seconds=run.seconds,
        settings=job.settings,
        metric=published.get("metric") if job.task.metric == "score" else None,
        departures=departed(job, run, published),
    )


def departed(job: Job, run: TaskRun, published: Mapping[str, Any]) -> tuple[str, ...]:
    """Where the run asked less than what is published: by the user's limits, or as data lack questions. Only tasks that
    score several responses take a number."""
    limits = job.limits
    questions = run.num_questions if limits.limit or published.get("questions") else None
    responses = limits.num_samples if limits.num_samples == run.num_samples else None
    asked = (
        ("questions", questions, published.get("questions")),
        ("responses", responses, published.get("repeats")),
        ("tokens a response", limits.max_new_tokens, published.get("max_new_tokens")),
    )
    used = {noun: count for noun, count, _ in asked if count is not None}
    whole = {noun: count for noun, _, count in asked}
    return departures(used, whole)


def _contaminated(task: Any, prompts: TrainingPrompts | None, total: int) -> int | None:
    """Questions that stand in the training prompts, None where either side cannot be compared."""
    if prompts is None or not task.should_decontaminate():
        return None
    docs = task.eval_docs_no_media
    return sum(prompts.contain(str(task.doc_to_decontamination_query(docs[index]))) for index in range(total))


def _reason(error: Exception) -> str:
    if isinstance(error, UserError):
        return " ".join(str(error).split())  # whole, as the remedy stands at its end
    traceback.print_exc()  # into the worker's log
    return f"{type(error).__name__}: {in_short(error)}"


def _end_with_parent(parent: int) -> None:
    """A sweep that is killed must not leave models on GPUs, nor what they have started."""
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
