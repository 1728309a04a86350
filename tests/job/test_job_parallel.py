"""Two processes train the student that one would: the same losses, shifts, masks, responses and weights, whatever each
of them holds.

A whole run is started by `accelerate launch`; the others are processes forked from the tests' server, with the
environment that a launcher gives its own.
"""

import json
import re
import shutil
from pathlib import Path

import pytest
from job_parts import measured, run, start, summary
from parallel_parts import (
    STEPS,
    HashedTask,
    assert_same_run,
    assert_same_weights,
    environment,
    free_port,
    in_folder,
    launch,
    lines,
    nearly,
    run_two,
)
from safetensors.torch import load_file, save_file

from uniopd_mm.learner.checkpoint import complete_steps
from uniopd_mm.types import Media, Sample


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, samples: tuple[Sample, ...]) -> Path:
    """Eight rows to learn from, five to be asked; and four that cannot be used, of which the process that draws the
    unreadable and the long ones alone finds out."""
    folder = tmp_path_factory.mktemp("rows")
    for number, sample in enumerate(samples):
        (medium,) = [part for part in sample.messages[0].content if isinstance(part, Media)]
        shutil.copy(medium.source, folder / f"{number}.mp4")
    (folder / "text.mp4").write_text("not a video", encoding="utf-8")
    train = [_row(f"train-{number}", f"{number}.mp4") for number in range(8)]
    train[5:5] = [_row("unreadable", "text.mp4"), _row("missing", "none.mp4")]
    train[2:2] = [_row("unreadable too", "text.mp4"), _row("long", "0.mp4", question="which way " * 400)]
    asked = [_row(f"asked-{number}", f"{7 + number}.mp4", split="validation") for number in range(5)]
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in [*train, *asked]), encoding="utf-8")
    return path


def _row(name: str, video: str, **fields: str) -> dict[str, str]:
    return {"id": name, "question": "Which way?", "answer": "left", "video": video, "split": "train", **fields}


@pytest.fixture(scope="module")
def job(parts: list[str], rows: Path) -> list[str]:
    """Arguments of a run on the rows, three prompts a step: one for the first process and two for the second."""
    sizes = ["rollout.num_samples=4", "trainer.learning_rate=1e-4", "data.max_prompt_tokens=600"]
    return [
        *parts,
        *sizes,
        f"task._target_={HashedTask.__module__}.HashedTask",
        f"data.path={rows}",
        f"trainer.steps={STEPS}",
        "trainer.keep_checkpoints=9",
        "recipe=uni_opd",
    ]


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory, job: list[str]) -> Path:
    """The folder of a run of one process."""
    folder = tmp_path_factory.mktemp("one")
    finished = run([*job, *in_folder(folder)], folder)
    assert (finished.status, finished.err) == (0, "")
    return folder / "runs" / "own"


@pytest.fixture(scope="module")
def launched(tmp_path_factory: pytest.TempPathFactory, job: list[str]) -> tuple[Path, str]:
    """The folder of the same run of two processes, with smaller micro-batches, and what they printed."""
    folder = tmp_path_factory.mktemp("launched")
    finished = launch([*job, *in_folder(folder), "trainer.tokens_per_microbatch=300"], folder)
    assert finished.returncode == 0, finished.stderr
    return folder / "runs" / "own", finished.stdout


def test_a_launched_run_is_that_of_one_process(one: Path, launched: tuple[Path, str]) -> None:
    assert_same_run(launched[0], one)


def test_the_run_has_something_to_disagree_about(one: Path) -> None:
    """Shifts, samples left out and unknown outcomes; and a step in which the first process has no correct sample."""
    values = measured(one)
    assert any(line["shifted"] > 0 for line in values) and any(line["dropped"] > 0 for line in values)
    assert sum(line["unknown_outcomes"] for line in values) > 0 and values[-1]["grad_norm"] > 0
    outcomes = [{line["correct"] for line in lines(one, step) if line["group_id"] == 0} for step in range(1, STEPS + 1)]
    assert any(True not in each for each in outcomes)
    assert {line["correct"] for step in range(1, STEPS + 1) for line in lines(one, step)} == {True, False, None}


def test_what_one_process_skips_is_skipped_by_both(one: Path, launched: tuple[Path, str], rows: Path) -> None:
    folder, out = launched
    skipped = summary(folder)["skipped"]
    assert skipped == summary(one)["skipped"] and skipped["count"] == 4
    assert [line["skipped"] for line in measured(folder)] == [line["skipped"] for line in measured(one)]
    for item in skipped["items"]:
        assert out.replace("\n", "").count(f"{item['where']}: ") == 1, "told once, by the main process"
    used = [line["sample_id"] for step in range(1, STEPS + 1) for line in lines(folder, step)]
    assert len(set(used)) == 8 and not set(used) & {"unreadable", "unreadable too", "missing", "long"}


def test_only_the_main_process_writes_and_speaks(one: Path, launched: tuple[Path, str]) -> None:
    folder, out = launched
    assert complete_steps(folder) == list(range(1, STEPS + 1))
    assert _tree(folder) == _tree(one)
    for text in ("held-out questions", f"step {STEPS}/{STEPS}", f"{STEPS} steps in", "report "):
        assert out.count(text) == 1, out


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


SPLITS = {
    "a mask over the batch": [
        "recipe.calibration.method=MASK",
        "recipe.calibration.statistic=MINMAX",
        "recipe.calibration.scope=BATCH",
        "recipe.balancing.scope=BATCH",
        "trainer.prompts_per_step=5",
        "recipe.reduction=TOKEN_MEAN",
    ],
    "a shift of what balancing kept": [
        "recipe.calibration.scope=BATCH",
        "recipe.calibration.after_balancing=true",
        "recipe.balancing.ratio=0.5",
        "trainer.prompts_per_step=4",
    ],
}


@pytest.mark.parametrize("case", SPLITS)
def test_a_margin_of_the_batch_is_that_of_all_processes(case: str, job: list[str], tmp_path: Path) -> None:
    arguments = [*job, *SPLITS[case], "trainer.steps=2"]
    alone, together = tmp_path / "alone", tmp_path / "together"
    assert run([*arguments, *in_folder(alone)], alone).status == 0
    both = run_two([*arguments, *in_folder(together), "trainer.tokens_per_microbatch=500"], together)
    assert [finished.status for finished in both] == [0, 0], both
    assert_same_run(together / "runs" / "own", alone / "runs" / "own", steps=2)
    assert any(0 < line["dropped"] < 1 for line in measured(alone / "runs" / "own")), "something is left out"


def test_a_run_goes_on_with_two_processes_and_with_one(job: list[str], one: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "own"
    arguments = [*job, *in_folder(tmp_path), "trainer.steps=1"]
    assert [finished.status for finished in run_two(arguments, tmp_path)] == [0, 0]
    trust = f"trust=[{HashedTask.__module__}]"
    resumed = [f"resume={folder}", trust, "trainer.steps=2"]
    assert [finished.status for finished in run_two(resumed, tmp_path)] == [0, 0]
    assert complete_steps(folder) == [1, 2] and len(measured(folder)) == 2
    assert run([f"resume={folder}", trust, f"trainer.steps={STEPS}"], tmp_path).status == 0
    values = [{name: value for name, value in line.items() if "eval/" not in name} for line in measured(one)]
    for line, other in zip(measured(folder), values, strict=True):
        assert {name: line[name] for name in other} == {
            name: nearly(value, rel=1e-5, abs=1e-6) for name, value in other.items()
        }
    assert_same_weights(folder, one, STEPS)


REFUSED = {
    "trainer.prompts_per_step=1": "trainer.prompts_per_step=1 is less than the 2 processes that share them",
    "run.name=taken": "run.name=taken",
}


@pytest.mark.parametrize("argument", REFUSED)
def test_what_two_processes_cannot_do_is_refused_in_one_line(argument: str, job: list[str], tmp_path: Path) -> None:
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    (tmp_path / "runs" / "taken" / "config.yaml").touch()
    first, second = run_two([*job, *in_folder(tmp_path)[:1], "run.name=own", argument], tmp_path)
    assert (first.status, second.status) == (2, 2), (first, second)
    assert first.err.startswith(f"error: {REFUSED[argument]}") and first.err.count("\n") == 1
    assert second.err == "" and second.out == ""
    assert not (tmp_path / "runs" / "own").exists(), "its name is free again"


def test_weights_that_differ_between_processes_are_refused(job: list[str], teacher: str, tmp_path: Path) -> None:
    """A relative path is another folder for each of them."""
    for place, changed in ((tmp_path, 0.0), (tmp_path / "second", 1e-3)):
        shutil.copytree(teacher, place / "expert")
        weights = load_file(place / "expert" / "model.safetensors")
        name = max(weights)
        weights[name].view(-1)[0] += changed
        save_file(weights, place / "expert" / "model.safetensors", metadata={"format": "pt"})
    first, second = run_two([*job, *in_folder(tmp_path), "teacher.path=expert"], tmp_path)
    assert (first.status, second.status) == (2, 2), (first, second)
    assert re.match(r"error: teacher=\w+: rank 1 has loaded other weights than rank 0; [^\n]*\n$", first.err)
    assert second.err == ""


def test_weights_that_one_process_lacks_are_named_with_its_rank(job: list[str], teacher: str, tmp_path: Path) -> None:
    """As with a launcher that has transformers load the weights on rank 0 alone."""
    for place in (tmp_path, tmp_path / "second"):
        shutil.copytree(teacher, place / "expert")
    path = tmp_path / "second" / "expert" / "model.safetensors"
    weights = load_file(path)
    weights[max(weights)].fill_(float("nan"))
    save_file(weights, path, metadata={"format": "pt"})
    port = free_port()
    arguments = [*job, *in_folder(tmp_path), "teacher.path=expert"]
    commands = [start(arguments, place, environment(rank, 2, port)) for rank, place in enumerate(both(tmp_path))]
    second = commands[1].wait()
    commands[0].process.kill()  # as a launcher does
    assert second.status == 2
    assert re.match(r"error: rank 1: teacher.path=expert: its weight \S+ contains NaN [^\n]*\n$", second.err)


def test_a_launcher_that_shards_is_refused_before_anything_loads(job: list[str], tmp_path: Path) -> None:
    """Rank 1 would train with an empty teacher."""
    sharding = {"ACCELERATE_USE_FSDP": "true", "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}
    port = free_port()
    commands = [
        start([*job, *in_folder(tmp_path)], place, {**environment(rank, 2, port), **sharding})
        for rank, place in enumerate(both(tmp_path))
    ]
    first, second = (command.wait() for command in commands)
    assert (first.status, second.status, second.err) == (2, 2, "")
    assert first.err.startswith("error: ACCELERATE_USE_FSDP=true: ") and first.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


def both(folder: Path) -> list[Path]:
    """Where each of two processes works."""
    return [folder, folder / "second"]
