"""The YAML of each text benchmark, run by lmms-eval over invented rows, with responses that are known to be right or
wrong."""

import json
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lmms_eval")

import datasets
from hub_text import FIXTURES, write
from lmms_eval.api.model import lmms
from lmms_eval.api.task import ConfigurableMessagesTask
from lmms_eval.evaluator import evaluate
from lmms_eval.utils import load_yaml_config

import uniopd_mm.evaluation

BENCHMARKS = Path(uniopd_mm.evaluation.__file__).parent / "benchmarks"
Config = Mapping[str, Any]
CODE = ("humaneval_plus", "mbpp_plus", "livecodebench_v6")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    datasets.disable_progress_bars()
    write(folder)
    return folder


@pytest.fixture
def task_of(hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Makes a task of lmms-eval from one of our YAMLs, with the fixture in the hub's place."""
    monkeypatch.chdir(hub)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def made(name: str) -> Any:
        config = load_yaml_config(str(BENCHMARKS / f"uniopd_{name}.yaml"), mode="full")
        files = (config.get("dataset_kwargs") or {}).get("data_files", {})
        for split, file in files.items():
            files[split] = file.replace("hf://datasets", str(hub))
        return ConfigurableMessagesTask(config=config)

    return made


class Canned(lmms):
    """Writes the texts of a row in turn, `texts[row]`, as often as it is asked."""

    is_simple = False

    def __init__(self, task: Any, texts: list[list[str]]) -> None:
        super().__init__()
        self.texts = texts
        self.task_dict, self.accelerator = {task.config.task: task.dataset}, None
        self.requests: list[Any] = []

    def generate_until(self, requests: list[Any]) -> list[str]:
        self.requests, times = [request.args for request in requests], Counter[int]()
        written = []
        for _, _, _, row, _, _ in self.requests:
            written.append(self.texts[row][times[row] % len(self.texts[row])])
            times[row] += 1
        return written

    def loglikelihood(self, requests: list[Any]) -> list[Any]:
        raise NotImplementedError

    def generate_until_multi_round(self, requests: list[Any]) -> list[str]:
        raise NotImplementedError


def scores_of(task: Any, model: Canned, *, threads: int = 4, **options: Any) -> dict[str, float]:
    """The metrics of lmms-eval, without the names of filters."""
    results = evaluate(
        lm=model,
        task_dict={task.config.task: task},
        bootstrap_iters=0,
        cli_args=Namespace(process_with_media=False, **options),
        process_docs_parallel=threads,
    )["results"][task.config.task]
    return {name.removesuffix(",none"): value for name, value in results.items() if name.endswith(",none")}


def texts(name: str, *rights: bool) -> list[list[str]]:
    return [list(row) for row in zip(*(FIXTURES[name].responses(right=right) for right in rights), strict=True)]


@pytest.mark.parametrize("name", FIXTURES)
def test_right_responses_have_full_marks_and_wrong_ones_none(task_of: Callable[[str], Any], name: str) -> None:
    for right, score in ((True, 100.0), (False, 0.0)):
        task = task_of(name)
        scores = scores_of(task, Canned(task, texts(name, right)))
        assert (scores["score"], scores["pass@k"], scores["unknown"], scores["score_se"]) == (score, score, 0, 0)
        assert scores.get("majority@k", score) == score


@pytest.mark.parametrize("name", FIXTURES)
def test_sampling_is_the_protocols(task_of: Callable[[str], Any], name: str) -> None:
    task = task_of(name)
    model = Canned(task, texts(name, True))
    scores_of(task, model)
    k = 4 if name in CODE else 32
    assert Counter(row for _, _, _, row, _, _ in model.requests) == dict.fromkeys(range(4), k)
    for _, _, settings, _, _, _ in model.requests:
        assert settings == {
            "max_new_tokens": 16384,
            "do_sample": True,
            "temperature": 1.0,
            "top_p": 1.0,
            "until": [],
        }


def test_metrics_of_mixed_responses(task_of: Callable[[str], Any]) -> None:
    task = task_of("hmmt25_feb")
    mixed = texts("hmmt25_feb", True, False, False, False)
    mixed[0] = [mixed[0][0]]
    scores = scores_of(task, Canned(task, mixed))
    assert scores["score"] == pytest.approx(100 * (1 + 3 * 8 / 32) / 4)
    assert scores["pass@k"] == 100
    assert scores["majority@k"] == 25
    assert scores["score_se"] == pytest.approx(100 * 0.375 / 2)  # deviations 0.5625 and three of -0.1875


@pytest.mark.parametrize("name", ["hmmt25_feb", "humaneval_plus"])
def test_fault_2_scores_are_those_of_one_thread(task_of: Callable[[str], Any], name: str) -> None:
    scores = []
    for threads in (1, 4):
        task = task_of(name)
        scores.append(scores_of(task, Canned(task, texts(name, True, False)), threads=threads))
    assert scores[0] == scores[1]
    assert scores[0]["score"] == 50


TAGS = json.dumps([["<think>", "</think>"]])


@pytest.mark.parametrize("name", ["hmmt25_feb", "humaneval_plus"])
def test_fault_5_scores_are_those_of_the_command_line(task_of: Callable[[str], Any], name: str) -> None:
    """Which takes thoughts out of responses before it scores them."""
    thoughts = [
        [
            f"<think>{wrong}</think>{right}",
            f"<think>{right}</think>{wrong}",
            f"{wrong}</think>{right}",
            f"<think>{right}",  # cut off: no answer, on either side
        ]
        for right, wrong in zip(*(FIXTURES[name].responses(right=right) for right in (True, False)), strict=True)
    ]
    scores = []
    for tags in ("none", TAGS):
        task = task_of(name)
        scores.append(scores_of(task, Canned(task, thoughts), reasoning_tags=tags))
    assert scores[0] == scores[1]
    assert scores[0]["score"] == 50


def test_rows_are_asked_with_what_their_prompt_says(task_of: Callable[[str], Any]) -> None:
    task = task_of("livecodebench_v6")
    model = Canned(task, texts("livecodebench_v6", True))
    scores_of(task, model)
    context, messages, *_ = model.requests[0]
    (turn,) = messages(task.dataset["test"][0])
    assert turn == {"role": "user", "content": [{"type": "text", "text": context}]}
    assert task.should_decontaminate()
    assert task.doc_to_decontamination_query(task.dataset["test"][0]) == "Read two integers and print their sum."


@pytest.mark.parametrize("name", FIXTURES)
def test_a_table_finds_title_metric_and_size(name: str) -> None:
    config = load_yaml_config(str(BENCHMARKS / f"uniopd_{name}.yaml"), mode="full")
    metadata = config["metadata"]
    assert metadata["metric"] == ("pass@1" if name in CODE else "avg@k")
    assert metadata["questions"] >= 30 and 0 < metadata["download_gb"] < 1
