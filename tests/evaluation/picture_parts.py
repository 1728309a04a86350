"""What the tests of benchmarks about pictures share: their rows as `datasets` loads them, and lmms-eval over them."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import datasets
import hub_pictures
import pytest
from lmms_eval.api.model import lmms
from lmms_eval.api.task import ConfigurableMessagesTask
from lmms_eval.evaluator import evaluate
from lmms_eval.utils import load_yaml_config

import uniopd_mm.evaluation

BENCHMARKS = Path(uniopd_mm.evaluation.__file__).parent / "benchmarks"
Answer = Callable[[Mapping[str, Any]], str]
HOSTILE = ["", "   ", "\\boxed{", "<think>24", "\x00\ud800", "9" * 100_000, "{" * 5_000, "\\boxed{}", "24 or 25"]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    hub_pictures.write(folder)
    return folder


@pytest.fixture
def task_of(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Makes a task of lmms-eval from one of our YAMLs, with the fixture in the hub's place."""
    monkeypatch.chdir(hub)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets.disable_progress_bars()
    return lambda name: ConfigurableMessagesTask(config=load_yaml_config(str(BENCHMARKS / f"{name}.yaml"), mode="full"))


class Canned(lmms):
    """Answers every question by its row."""

    is_simple = False

    def __init__(self, task: Any, answer: Answer) -> None:
        super().__init__()
        self.answer, self.name = answer, task.config.task
        self.task_dict, self.accelerator = {self.name: task.dataset}, None
        self.requests: list[Any] = []

    def generate_until(self, requests: list[Any]) -> list[str]:
        self.requests = requests
        return [self.answer(self.task_dict[task][split][doc]) for *_, doc, task, split in (r.args for r in requests)]

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        raise NotImplementedError

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError


def scores_of(task: Any, answer: Answer, *, threads: int = 4, limit: int | None = None) -> dict[str, float]:
    """The metrics of lmms-eval, without the names of filters."""
    results = evaluate(
        lm=Canned(task, answer),
        task_dict={task.config.task: task},
        limit=limit,
        bootstrap_iters=0,
        cli_args=Namespace(process_with_media=False),
        process_docs_parallel=threads,
    )["results"][task.config.task]
    return {name.removesuffix(",none"): value for name, value in results.items() if name.endswith(",none")}


def right_answer(task: Any) -> Answer:
    """Reasons a little, and boxes the target of a row."""

    def answer(row: Mapping[str, Any]) -> str:
        target = task.doc_to_target(row)
        return f"Let me see. \\boxed{{{target[-1] if isinstance(target, list) else target}}}"

    return answer


def reward(module: Any, row: Mapping[str, Any], response: str) -> float:
    """What one response to a row is worth."""
    item = module.process_results(row, [response])["score"]
    (score,) = item["scores"]
    return float(score)
