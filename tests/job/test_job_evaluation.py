"""Benchmarks in training: lmms-eval asks the live student, which learns as if it had not; the best step is kept."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmark_parts import MEAN, TASK, needs_lmms_eval, own_hub_cache, write_problems
from job_parts import composed, measured, rollouts, run, start, summary, weights
from parallel_parts import environment, free_port, in_folder
from transformers import AutoModelForImageTextToText, AutoProcessor

from uniopd_mm.learner.checkpoint import complete_steps
from uniopd_mm.run.checks import check
from uniopd_mm.types import UserError

STEPS = 3
VLLM = ["rollout=vllm", "rollout.engine.options.enforce_eager=true", "rollout.engine.options.kv_cache_mb=64"]
VLLM += ["data.max_prompt_tokens=200"]


@pytest.fixture(scope="module", autouse=True)
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of commands that use no hub."""
    with own_hub_cache(tmp_path_factory.mktemp("cache")) as environment:
        yield environment


@pytest.fixture(scope="module")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hub")
    write_problems(root)
    return root


@pytest.fixture(scope="module")
def asking(small: list[str], data_root: Path) -> list[str]:
    """Arguments of a job with a benchmark after every step."""
    benchmarks = {"tasks": "[uniopd_aime24]", "every": 1, "num_samples": 2, "max_new_tokens": 4, "data_root": data_root}
    return [*small, f"trainer.steps={STEPS}", *(f"benchmarks.{name}={value}" for name, value in benchmarks.items())]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, small: list[str]) -> Path:
    """The folder of a run without benchmarks, every checkpoint kept."""
    folder = tmp_path_factory.mktemp("plain")
    assert run([*small, f"trainer.steps={STEPS}", "trainer.keep_checkpoints=9"], folder).status == 0
    return folder / "runs" / "small"


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, asking: list[str], hub: dict[str, str]) -> Path:
    """The folder of the same run with them, one checkpoint kept."""
    folder = tmp_path_factory.mktemp("asked")
    finished = run([*asking, "trainer.keep_checkpoints=1", "tracking.tensorboard=true"], folder, hub)
    assert (finished.status, finished.err) == (0, "")
    return folder / "runs" / "small"


def without_benchmarks(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in line.items() if not name.startswith("benchmark/")} for line in lines]


@needs_lmms_eval
def test_benchmarks_change_nothing_of_what_is_learnt(asked: Path, plain: Path) -> None:
    before, *steps = measured(asked)
    assert before == {"step": 0, TASK: 0.0, MEAN: 0.0}
    assert all({TASK, MEAN} <= line.keys() for line in steps)
    assert without_benchmarks(steps) == measured(plain)
    assert rollouts(asked) == rollouts(plain)
    assert weights(asked, STEPS) == weights(plain, STEPS)


@needs_lmms_eval
def test_tensorboard_has_them_from_step_0(asked: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(asked / "tensorboard"))
    events.Reload()
    assert [event.step for event in events.Scalars(MEAN)] == list(range(STEPS + 1))


@needs_lmms_eval
def test_the_best_outlives_its_checkpoint(asked: Path, plain: Path) -> None:
    """An untrained student is never right, so that all steps are equal: the first is kept."""
    assert complete_steps(asked) == [STEPS]
    best = {"step": 1, "measure": MEAN, "value": 0.0}
    folder = asked / "checkpoints" / "best"
    assert json.loads((folder / "best.json").read_text(encoding="utf-8")) == summary(asked)["extra"]["best"] == best
    assert (folder / "student" / "model.safetensors").read_bytes() == weights(plain, 1)
    AutoModelForImageTextToText.from_pretrained(folder / "student")
    AutoProcessor.from_pretrained(folder / "student")


def test_without_benchmarks_the_held_out_questions_decide(plain: Path) -> None:
    best = summary(plain)["extra"]["best"]
    accuracies = [line["eval/accuracy"] for line in measured(plain)]
    first = accuracies.index(max(accuracies))
    assert best == {"step": first + 1, "measure": "eval/accuracy", "value": accuracies[first]}
    student = plain / "checkpoints" / "best" / "student" / "model.safetensors"
    assert student.samefile(plain / "checkpoints" / f"step_{first + 1}" / "student" / "model.safetensors")


def test_no_best_where_none_is_wanted(tmp_path: Path, small: list[str]) -> None:
    assert run([*small, "trainer.keep_best=false"], tmp_path).status == 0
    folder = tmp_path / "runs" / "small"
    assert {path.name for path in (folder / "checkpoints").iterdir()} == {"step_1", "step_2"}


@needs_lmms_eval
def test_a_resumed_run_asks_what_an_uninterrupted_one_does(
    tmp_path: Path, asking: list[str], asked: Path, hub: dict[str, str]
) -> None:
    assert run([*asking, "trainer.steps=2"], tmp_path, hub).status == 0
    finished = run(["resume=runs/small", f"trainer.steps={STEPS}"], tmp_path, hub)
    assert (finished.status, finished.err) == (0, "")
    assert_same(tmp_path / "runs" / "small", asked)


@needs_lmms_eval
def test_a_run_killed_after_step_0_asks_it_again_and_writes_it_once(
    tmp_path: Path, asking: list[str], asked: Path, hub: dict[str, str]
) -> None:
    folder = tmp_path / "runs" / "small"
    metrics = folder / "metrics.jsonl"
    command = start([*asking, "trainer.save_every=3"], tmp_path, hub)
    assert command.kill_when(lambda: metrics.exists() and metrics.read_bytes().count(b"\n") > 0)
    assert complete_steps(folder) == []
    finished = run(["resume=runs/small"], tmp_path, hub)
    assert (finished.status, finished.err) == (0, "")
    assert_same(folder, asked)


@needs_lmms_eval
@pytest.mark.parametrize("engine", ["hf", "vllm"])
def test_of_two_processes_one_asks(tmp_path: Path, asking: list[str], hub: dict[str, str], engine: str) -> None:
    arguments, port = [*asking, *in_folder(tmp_path)], free_port()
    if engine == "vllm":
        pytest.importorskip("vllm")
        arguments += VLLM
    places = [tmp_path, tmp_path / "second"]
    commands = [start(arguments, place, {**hub, **environment(rank, 2, port)}) for rank, place in enumerate(places)]
    assert [command.wait().status for command in commands] == [0, 0]
    lines = measured(tmp_path / "runs" / "own")
    assert [(line["step"], line[TASK], line[MEAN]) for line in lines] == [(step, 0, 0) for step in range(STEPS + 1)]
    assert summary(tmp_path / "runs" / "own")["extra"]["best"]["step"] == 1


def assert_same(folder: Path, wanted: Path) -> None:
    assert measured(folder) == measured(wanted)
    assert rollouts(folder) == rollouts(wanted)
    assert weights(folder, STEPS) == weights(wanted, STEPS)
    assert summary(folder)["extra"] == summary(wanted)["extra"]
    best = [path / "checkpoints" / "best" / "student" / "model.safetensors" for path in (folder, wanted)]
    assert best[0].read_bytes() == best[1].read_bytes()


MISTAKES = {
    "benchmarks.every=5": ["benchmarks.every=5", "benchmarks.tasks"],
    "benchmarks.limit=8": ["benchmarks.limit=8", "benchmarks.tasks"],
    "benchmarks.tasks=[uniopd_aime42]": ["benchmarks.tasks", "uniopd_aime42", "did you mean uniopd_aime2"],
    "benchmarks.tasks=[uniopd_aime24,uniopd_aime24]": ["benchmarks.tasks", "given twice"],
    "benchmarks.tasks=[ai2d:exact_match:5]": ["benchmarks.tasks", "ai2d:exact_match:5", "1 or 100"],
    "benchmarks.tasks=[uniopd_aime24] benchmarks.every=-1": ["benchmarks.every=-1", "not be negative"],
    "benchmarks.tasks=[uniopd_aime24] benchmarks.limit=0": ["benchmarks.limit=0", "at least 1"],
    "benchmarks.tasks=[uniopd_aime24] benchmarks.num_samples=0": ["benchmarks.num_samples=0", "at least 1"],
    "benchmarks.tasks=[uniopd_aime24] benchmarks.max_new_tokens=-1": ["benchmarks.max_new_tokens=-1", "at least 1"],
    "benchmarks.tasks=[uniopd_aime24] benchmarks.data_root=nowhere": ["benchmarks.data_root=nowhere", "no such folder"],
}


@needs_lmms_eval
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_refused_in_one_line(tmp_path: Path, small: list[str], mistake: str) -> None:
    finished = run([*small, *mistake.split()], tmp_path)
    assert finished.status == 2
    (line,) = finished.err.splitlines()
    assert all(part in line for part in MISTAKES[mistake]), line
    assert not (tmp_path / "runs").exists()


@needs_lmms_eval
def test_data_that_is_not_there_leaves_the_name_free(tmp_path: Path, small: list[str], hub: dict[str, str]) -> None:
    """A folder is there, with no data set in it, and no hub can be reached."""
    arguments = [*small, "benchmarks.tasks=[uniopd_aime24]", f"benchmarks.data_root={tmp_path}"]
    finished = run(arguments, tmp_path, hub)
    assert finished.status == 2, finished.err
    assert "uniopd_aime24" in finished.err and "data_root" in finished.err and "Traceback" not in finished.err
    assert not (tmp_path / "runs" / "small").exists()


def test_without_lmms_eval_it_is_said_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lmms_eval", None)
    check(composed())
    with pytest.raises(UserError, match=r"benchmarks.tasks=\[uniopd_aime24\].*python3 tools/setup.py --extra eval"):
        check(composed("benchmarks.tasks=[uniopd_aime24]"))


def test_a_run_without_benchmarks_imports_no_lmms_eval() -> None:
    code = "import sys, uniopd_mm.train; print([name for name in sys.modules if name.startswith('lmms_eval')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"
