"""Benchmarks during training: the current student answers the first questions of each, using the trainer's own engine.

Training is not affected: random numbers are restored, and weights and modules are only read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, final

from datasets import disable_progress_bars

from uniopd_mm.config.train import BenchmarksConfig
from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.evaluation.harness import TaskRun, run_task
from uniopd_mm.evaluation.live_tasks import live_tasks
from uniopd_mm.evaluation.records import Status, SuiteTask
from uniopd_mm.evaluation.results import score_of
from uniopd_mm.evaluation.tasks import load_task, require_metric
from uniopd_mm.interfaces import Processor, RolloutEngine
from uniopd_mm.runtime.rng import untouched_rng
from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.console import interactive, progress, terminal
from uniopd_mm.types import UserError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LiveTask:
    """A benchmark, and lmms-eval's task object with its rows."""

    named: SuiteTask
    loaded: Any

    def num_questions(self, limit: int) -> int:
        return min(limit, len(self.loaded.eval_docs))


def load_tasks(config: BenchmarksConfig) -> tuple[LiveTask, ...]:
    """The benchmarks with their rows.

    Raises:
        UserError: an unknown task, unreadable data, or a task without the requested metric.
    """
    if not interactive(terminal()):
        disable_progress_bars()  # in a log file, the bars of data set loading would fill many lines
    with untouched_rng():
        return tuple(LiveTask(named=task, loaded=_loaded(task, config)) for task in live_tasks(config.tasks))


def _loaded(task: SuiteTask, config: BenchmarksConfig) -> Any:
    loaded = load_task(
        task.task,
        data_root=Path(config.data_root).expanduser() if config.data_root else None,
        num_samples=config.num_samples,
        max_new_tokens=config.max_new_tokens,
    )
    require_metric(loaded, task.metric, "benchmarks.tasks: ")
    return loaded


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LiveBenchmarks:
    """Evaluates the student on the same questions at every call. Random numbers depend on `seed` and the step.

    Args:
        tasks: needed on the main process only. It evaluates all of them while the others wait, within the timeout of
            `World`.
        limit: number of questions per task.
        max_prompt_tokens: a question with a longer prompt counts as incorrect.
    """

    tasks: Sequence[LiveTask]
    processor: Processor
    limit: int
    max_prompt_tokens: int
    seed: int
    world: World

    def __call__(self, engine: RolloutEngine, step: int) -> Mapping[str, float]:
        """Scores as `benchmark/<task>` on a scale of 0 to 100, and their mean `benchmark/mean`.

        Raises:
            UserError: no question of a task can be read, or the task lacks its metric.
        """
        return self.world.from_main(lambda: self._scores(engine, step))

    def _scores(self, engine: RolloutEngine, step: int) -> Mapping[str, float]:
        total = sum(task.num_questions(self.limit) for task in self.tasks)
        with untouched_rng(), progress(f"benchmarks after step {step}", total, transient=True) as bar:
            model = EngineModel(
                engine,
                self.processor,
                seed=self.seed,
                policy_step=step,
                max_prompt_tokens=self.max_prompt_tokens,
                on_progress=bar.advance,
            )
            scores = {f"benchmark/{task.named.task}": self._score(model, task) for task in self.tasks}
        return {**scores, "benchmark/mean": fmean(scores.values())}

    def _score(self, model: EngineModel, task: LiveTask) -> float:
        model.reset()
        return score_value(task.named, run_task(model, task.loaded, limit=self.limit))


def score_value(task: SuiteTask, run: TaskRun) -> float:
    """The value of a run, 0 to 100.

    Raises:
        UserError: some questions have no results, none of them could be read, or the metric is missing.
    """
    unreadable = run.stats.unreadable
    if run.num_questions != run.num_expected:
        raise UserError(f"benchmarks.tasks: {task.task}: {run.num_questions} of {run.num_expected} questions scored")
    if len(unreadable) == run.num_expected:
        first = f"{unreadable[0].where}: {unreadable[0].reason}"
        raise UserError(f"benchmarks.tasks: {task.task}: no question can be read; {first}; remove the task")
    try:
        score = score_of(
            run.results,
            task,
            checkpoint="",
            status=Status.DONE,
            num_questions=run.num_questions,
            num_samples=run.num_samples,
            stats=run.stats,
        )
    except ValueError as error:
        raise UserError(f"benchmarks.tasks: {error}; give it as NAME:METRIC or NAME:METRIC:FULL_MARK") from error
    assert score.value is not None
    return score.value
