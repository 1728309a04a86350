"""Faults of lmms-eval 0.7.3 that change numbers, each looked for in what we have in its place; number by number as
docs/evaluation.md lists them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lmms_eval")

import invented_scores
from lmms_eval.api.instance import GenerationResult, TokenCounts
from model_parts import GREEDY, Recorder, asking, requests_of, serve

from uniopd_mm.evaluation import library
from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.evaluation.evaluate import check_complete
from uniopd_mm.evaluation.harness import run_task
from uniopd_mm.evaluation.records import Status
from uniopd_mm.evaluation.tasks import load_task
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.tasks.benchmarks import ai2d, chartqa, competitions, mathvision, wemath
from uniopd_mm.types import Skip, UserError

HUB = Path(__file__).parent / "hub"
PACKAGE = Path(library.__file__).parents[1]


def score(module: Any, row: dict[str, Any], response: str) -> float:
    (found,) = module.process_results(row, [response])["score"]["scores"]
    return float(found)


def test_fault_01_roots_pi_and_trigonometry_are_graded_by_value() -> None:
    said = {"2\\sqrt{2}": "\\sqrt{8}", "\\frac{\\pi}{2}": "\\frac{3\\pi}{6}", "\\frac{1}{2}": "\\sin 30^\\circ"}
    for answer, value in said.items():
        row = {"question": "?", "options": [], "answer": answer}
        assert score(mathvision, row, f"\\boxed{{{value}}}") == 1
        assert score(mathvision, row, "\\boxed{\\sqrt{7}}") == 0


def test_fault_02_scores_of_threads_are_those_of_one() -> None:
    rows = [{"problem": "?", "answer": f"{number}\\sqrt{{2}}"} for number in (2, 3, 4, 5)] * 4
    said = [f"\\boxed{{\\sqrt{{{2 * number**2}}}}}" for number in (2, 3, 4, 6)] * 4  # the last is wrong
    alone = [score(competitions, row, text) for row, text in zip(rows, said, strict=True)]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(lambda row, text: score(competitions, row, text), rows, said)) == alone
    assert alone == [1, 1, 1, 0] * 4


def test_fault_03_words_are_no_letters_and_numbers_have_a_tolerance() -> None:
    def asked(answer: str) -> dict[str, Any]:
        return {"type": "human_test", "question": "?", "answer": answer}

    assert score(chartqa, asked("Canada"), "China") == 0
    assert [score(chartqa, asked("100"), text) for text in ("105", "95", "106")] == [1, 1, 0]
    assert score(ai2d, {"question": "?", "options": ["x", "y", "z"], "answer": "2"}, "China") == 0


def test_fault_04_no_whole_problem_right_divides_nothing_by_zero() -> None:
    rows = [
        {"ID": "1", "key": f"2steps_{part}", "question": "?", "option": "A. 1;B. 2", "answer": "A"} for part in "12"
    ]
    rows.append({**rows[0], "key": "2steps_multi"})
    items = [wemath.process_results(row, ["\\boxed{B}"])["score"] for row in rows]
    metrics = library.task_yaml("uniopd_wemath")["metric_list"]
    names = [metric["aggregation"].rpartition(".")[2] for metric in metrics]
    values = {name: getattr(wemath, name)(items) for name in names if hasattr(wemath, name)}
    assert values["loose"] == values["strict"] == 0 and values["insufficient_knowledge"] == 100


def test_fault_05_thoughts_are_no_answers_in_the_python_interface() -> None:
    row = {"problem": "?", "answer": "7"}
    said = ["<think>\\boxed{1}</think>\\boxed{7}", "\\boxed{1}</think>\\boxed{7}"]
    thought = ["<think>\\boxed{7}</think>\\boxed{1}", "<think>\\boxed{7}</think>", "<think>\\boxed{7} or"]
    assert [score(competitions, row, text) for text in said] == [1, 1]
    assert [score(competitions, row, text) for text in thought] == [0, 0, 0]


class Silent(EngineModel):
    """Answers nothing."""

    def generate_until(self, requests: Any) -> list[GenerationResult]:
        return [GenerationResult(text="", token_counts=TokenCounts())] * len(requests)


def test_fault_06_a_limit_stays_with_its_run(
    processor: QwenVLProcessor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LMMS_EVAL_DATASETS_CACHE", str(tmp_path))
    monkeypatch.setenv("UNIOPD_MM_DATA_ROOT", str(HUB))
    model: EngineModel = Silent(Any, processor)  # type: ignore[arg-type]
    first, second = (load_task(name, data_root=HUB) for name in ("uniopd_aime24", "uniopd_chartqa"))
    with pytest.raises(ValueError, match="whole number"):
        run_task(model, first, limit=0.5)  # type: ignore[arg-type]
    runs = [run_task(model, first, limit=1), run_task(model, second), run_task(model, first)]
    rows = [len(task.dataset[task.config.test_split]) for task in (first, second)]
    assert [run.num_questions for run in runs] == [1, rows[1], rows[0]]
    assert min(rows) > 1


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package of which the tasks and their YAMLs may be changed."""
    package = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE / "tasks", package / "tasks", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(library.FOLDER, package / "evaluation" / "benchmarks")
    monkeypatch.setattr(library, "__file__", str(package / "evaluation" / "library.py"))
    monkeypatch.setattr(library, "FOLDER", package / "evaluation" / "benchmarks")
    library.our_tasks.cache_clear(), library.task_yaml.cache_clear()
    yield package
    library.our_tasks.cache_clear(), library.task_yaml.cache_clear()


CHANGED = {
    "uniopd_ai2d.yaml": ("uniopd_ai2d",),
    "_greedy": ("uniopd_ai2d", "uniopd_mathvision"),
    "benchmarks/ai2d.py": ("uniopd_ai2d",),
    "grading/choices.py": ("uniopd_ai2d", "uniopd_mathvision", "uniopd_mbpp_plus"),  # code_gen uses it
    "grading/math_worker.py": ("uniopd_ai2d", "uniopd_aime24", "uniopd_mathvision", "uniopd_mbpp_plus"),
    "grading/code_driver.py": ("uniopd_mbpp_plus",),
    "video_qa.py": (),
}


@pytest.mark.parametrize("changed", CHANGED)
def test_fault_07_a_hash_is_of_the_yaml_its_includes_and_all_that_scores(copied: Path, changed: str) -> None:
    names = ("uniopd_ai2d", "uniopd_aime24", "uniopd_mathvision", "uniopd_mbpp_plus")
    before = {name: library.task_hash(name) for name in names}
    assert len(set(before.values())) == len(names)
    folder = copied / "tasks" if changed.endswith(".py") else library.FOLDER
    path = folder / changed
    path.write_text(path.read_text() + "\n# changed\n")
    assert tuple(name for name in names if library.task_hash(name) != before[name]) == CHANGED[changed]


@pytest.fixture
def recorder(backbone: Backbone, processor: QwenVLProcessor) -> Recorder:
    return Recorder(HFRollout(backbone, processor))


def test_fault_08_a_tasks_system_message_is_the_one_that_is_read(recorder: Recorder, checkpoint: str) -> None:
    own = QwenVLProcessor(checkpoint, system_prompt="Ours")
    messages = [{"role": "system", "content": "Reason first."}, *asking("Which way?")]
    serve(EngineModel(recorder, own), [messages]).generate_until(requests_of(GREEDY, [0]))
    prompt = "".join(own.pieces(recorder.calls[0][0][0].token_ids))
    assert prompt.startswith("<|im_start|>system\nReason first.<|im_end|>") and prompt.count("system") == 1


def test_fault_09_limits_and_stop_strings_are_the_tasks_and_requests_are_made_together(
    recorder: Recorder, processor: QwenVLProcessor
) -> None:
    model = serve(EngineModel(recorder, processor), [asking("Which way?"), asking("Where?")])
    model.generate_until(requests_of({"max_new_tokens": 3, "until": ["?"]}, [0, 1]))
    ((prompts, _, sampling),) = recorder.calls
    assert (len(prompts), sampling.max_new_tokens, sampling.stop_strings) == (2, 3, ("?",))


FAILED = """
from uniopd_mm.cli.command import Command, run_command
from uniopd_mm.evaluation.evaluate import check_complete
from uniopd_mm.config.evaluate import EvaluateConfig
import invented_scores
run = lambda config, overrides: check_complete([invented_scores.{score}])
run_command(Command(name="evaluate", summary="", schema=EvaluateConfig, run=run))
"""


def test_fault_10_an_evaluation_that_failed_ends_with_status_2(tmp_path: Path) -> None:
    lacking = invented_scores.score(status=Status.INCOMPLETE, unreadable=(Skip(where="a/1", reason="no picture"),))
    for bad in (invented_scores.failed("a", "uniopd_aime24"), lacking):
        with pytest.raises(UserError, match="1 of 2 evaluations are not whole"):
            check_complete([invented_scores.score(), bad])
    check_complete([invented_scores.score()])
    for made, status in (("score()", 0), ("failed('a', 'uniopd_aime24')", 2)):
        program = [sys.executable, "-c", FAILED.format(score=made), "checkpoints=[a]"]
        environment = {"PYTHONPATH": str(Path(__file__).parent), "HOME": str(tmp_path), "PATH": ""}
        ended = subprocess.run(program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == status, ended.stderr
