"""lmms-eval in this process: evaluates one model on one loaded task.

An evaluation leaves the caller's state unchanged: random numbers, the launcher's environment, the model. lmms-eval is
optional and takes half a minute to import, so only the functions that need it import it.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from uniopd_mm.evaluation.library import our_tasks
from uniopd_mm.evaluation.records import ResponseStats
from uniopd_mm.runtime.rng import untouched_rng

if TYPE_CHECKING:
    from lmms_eval.api.task import ConfigurableMessagesTask

    from uniopd_mm.evaluation.engine_model import EngineModel

REASONING_TAGS = '[["<think>", "</think>"], ["<analysis>", "</analysis>"]]'
LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRun:
    """One model on one task.

    `results` are lmms-eval's results for the task ("score,none": 51.2), `samples` its log of each document.
    `num_questions` of `num_expected` questions have results; each has `num_samples` responses.
    """

    results: Mapping[str, Any]
    samples: list[dict[str, Any]]
    stats: ResponseStats
    num_questions: int
    num_expected: int
    num_samples: int
    seconds: float


def run_task(
    model: "EngineModel", task: "ConfigurableMessagesTask", *, limit: int | None = None, threads: int | None = None
) -> TaskRun:
    """Evaluate the model on a loaded task, which stays unchanged.

    Args:
        limit: evaluate only this many documents, from the front; None for all.
        threads: number of threads that grade responses; None for the task's default. lmms-eval's own graders get one:
            they time out with signals, which only the main thread can receive, and in other threads they grade an
            answer as wrong.

    Raises:
        ValueError: a limit below 1, which lmms-eval would read as all documents or as a share.
    """
    if limit is not None and (limit < 1 or limit != int(limit)):
        raise ValueError(f"limit={limit} must be a whole number above 0")
    name = task.config.task
    default_threads = 2 * len(os.sched_getaffinity(0)) if name in our_tasks() else 1
    model.reset()
    model.task_dict[name] = task.dataset
    began = time.perf_counter()
    with ExitStack() as stack:
        for context in (untouched_rng(), _without_launcher(), _quietly()):
            stack.enter_context(context)
        options = _options(stack.enter_context(tempfile.TemporaryDirectory()))
        output = _evaluate(model, task, options, limit, threads or default_threads)
    samples = output["samples"][name]
    original = output["n-samples"][name]["original"]
    return TaskRun(
        results=output["results"][name],
        samples=samples,
        stats=model.stats,
        num_questions=len({sample["doc_id"] for sample in samples}),
        num_expected=original if limit is None else min(limit, original),
        num_samples=task.config.repeats,
        seconds=time.perf_counter() - began,
    )


def _evaluate(
    model: "EngineModel",
    task: "ConfigurableMessagesTask",
    options: argparse.Namespace,
    limit: int | None,
    threads: int,
) -> dict[str, Any]:
    from lmms_eval.evaluator import evaluate

    if task.config.num_fewshot is None:
        task.set_config(key="num_fewshot", value=0)  # as lmms-eval's command line does
    return evaluate(
        lm=model,
        task_dict={task.config.task: task},
        limit=limit,
        bootstrap_iters=0,  # our tasks compute standard errors as metrics
        cli_args=options,
        process_docs_parallel=threads,
    )


def _options(output: str) -> argparse.Namespace:
    """The options of lmms-eval's command line that it reads here, with their defaults. As there, thoughts are removed
    before scoring. `output` is the folder where some tasks leave a submission file."""
    return argparse.Namespace(
        process_with_media=False, reasoning_tags=REASONING_TAGS, output_path=output, log_samples_suffix=""
    )


@contextmanager
def _without_launcher() -> Iterator[None]:
    """Hide the launcher's environment: lmms-eval would wait for the other processes of the job."""
    hidden = {name: os.environ.pop(name) for name in LAUNCHER if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextmanager
def _quietly() -> Iterator[None]:
    """Turn off lmms-eval's log and progress bars, which would overwrite the caller's."""
    from lmms_eval import evaluator
    from lmms_eval.api import task

    modules: tuple[Any, ...] = (evaluator, task)
    bars = [module.tqdm for module in modules]
    evaluator.eval_logger.disable("lmms_eval")
    try:
        for module, bar in zip(modules, bars, strict=True):
            module.tqdm = partial(_disabled, bar)
        yield
    finally:
        for module, bar in zip(modules, bars, strict=True):
            module.tqdm = bar
        evaluator.eval_logger.enable("lmms_eval")


def _disabled(bar: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return bar(*arguments, **{**options, "disable": True})
