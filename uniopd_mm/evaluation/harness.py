"""lmms-eval in this process: a task of it, loaded, and one model evaluated on it.

Evaluating leaves what is the caller's alone: random numbers, the launcher's environment, the model. lmms-eval, which is
optional and takes half a minute to import, is imported by the functions that need it.
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
from uniopd_mm.runtime.rng import untouched_rng

if TYPE_CHECKING:
    from lmms_eval.api.task import ConfigurableMessagesTask

    from uniopd_mm.evaluation.engine_model import Answered, EngineModel

REASONING_TAGS = '[["<think>", "</think>"], ["<analysis>", "</analysis>"]]'
LAUNCHER = ("RANK", "WORLD_SIZE", "LOCAL_RANK")


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskRun:
    """One model on one task.

    `results` is what lmms-eval says of the task ("score,none": 51.2), `samples` what it logs of each document.
    `num_questions` have results, of `num_expected`; each has `num_samples` responses.
    """

    results: Mapping[str, Any]
    samples: list[dict[str, Any]]
    answered: "Answered"
    num_questions: int
    num_expected: int
    num_samples: int
    seconds: float


def run_task(
    model: "EngineModel", task: "ConfigurableMessagesTask", *, limit: int | None = None, threads: int | None = None
) -> TaskRun:
    """Evaluate the model on a loaded task, of which nothing is left changed.

    Args:
        limit: the first so many documents; None for all.
        threads: that judge responses; None for what suits the task: upstream's graders stop their own clocks with
            signals, which only the main thread has, and call an answer wrong where they cannot.

    Raises:
        ValueError: a limit below 1, which lmms-eval would read as all documents or as a share.
    """
    if limit is not None and (limit < 1 or limit != int(limit)):
        raise ValueError(f"limit={limit} must be a whole number above 0")
    name = task.config.task
    ours = name in our_tasks()
    model.reset()
    model.task_dict[name] = task.dataset
    began = time.perf_counter()
    with ExitStack() as stack:
        for context in (untouched_rng(), _without_launcher(), _quietly()):
            stack.enter_context(context)
        options = _options(stack.enter_context(tempfile.TemporaryDirectory()))
        everything = _evaluate(model, task, options, limit, threads or (2 * _cores() if ours else 1))
    samples = everything["samples"][name]
    original = everything["n-samples"][name]["original"]
    return TaskRun(
        results=everything["results"][name],
        samples=samples,
        answered=model.answered,
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
        task.set_config(key="num_fewshot", value=0)  # as the command line does
    return evaluate(
        lm=model,
        task_dict={task.config.task: task},
        limit=limit,
        bootstrap_iters=0,  # standard errors are metrics of our tasks
        cli_args=options,
        process_docs_parallel=threads,
    )


def _options(output: str) -> argparse.Namespace:
    """What is read of lmms-eval's command line, with its defaults: reasoning is taken out before scoring, as there.
    `output` is where some tasks leave a submission."""
    return argparse.Namespace(
        process_with_media=False, reasoning_tags=REASONING_TAGS, output_path=output, log_samples_suffix=""
    )


@contextmanager
def _without_launcher() -> Iterator[None]:
    """One process of a launched job evaluates by itself: lmms-eval would wait for the others."""
    hidden = {name: os.environ.pop(name) for name in LAUNCHER if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without lmms-eval's log and bars, which would be drawn across the caller's."""
    from lmms_eval import evaluator
    from lmms_eval.api import task

    modules: tuple[Any, ...] = (evaluator, task)
    bars = [module.tqdm for module in modules]
    evaluator.eval_logger.disable("lmms_eval")
    try:
        for module, bar in zip(modules, bars, strict=True):
            module.tqdm = partial(_unseen, bar)
        yield
    finally:
        for module, bar in zip(modules, bars, strict=True):
            module.tqdm = bar
        evaluator.eval_logger.enable("lmms_eval")


def _unseen(bar: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    return bar(*arguments, **{**options, "disable": True})


def _cores() -> int:
    return len(os.sched_getaffinity(0))
