"""A whole small job: what it leaves behind, that it goes on exactly, and that a kill costs one step at most."""

import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from job_parts import composed, execute, measured, rollouts, run, start, summary, weights
from transformers import AutoModelForImageTextToText, AutoProcessor

from uniopd_mm.config.train import TrainConfig
from uniopd_mm.learner.checkpoint import complete_steps
from uniopd_mm.learner.manifest import check_files
from uniopd_mm.types import Media, Sample

STEPS = 4


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small: list[str]) -> Path:
    """The folder of a run of four steps that nothing interrupted, every checkpoint kept."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = [*small, f"trainer.steps={STEPS}", "trainer.keep_checkpoints=9", "tracking.tensorboard=true"]
    finished = run(arguments, folder, charts=True)
    assert (finished.status, finished.err) == (0, "")
    return folder / "runs" / "small"


def test_a_run_leaves_what_the_design_lists(whole: Path) -> None:
    names = {path.name for path in whole.iterdir()}
    wanted = {"config.yaml", "metrics.jsonl", "rollouts", "tensorboard", "checkpoints", "summary.json", "report.html"}
    assert names == wanted | {"teachers.json", "mixture.json", "mixture_budget.json"}
    assert list((whole / "tensorboard").iterdir())
    assert (whole / "report.html").read_text(encoding="utf-8").count("<svg") > 20
    assert set(rollouts(whole)) == {f"step_{step}.jsonl" for step in range(1, STEPS + 1)}
    assert complete_steps(whole) == list(range(1, STEPS + 1))
    assert {path.name for path in (whole / "checkpoints" / "step_1").iterdir()} == {
        *("student", "trainer_state", "manifest.json")
    }
    assert {path.name for path in whole.parent.parent.iterdir()} == {"runs", ".out", ".err"}, "nothing is littered"


def test_the_summary_has_the_keys_of_the_contract(whole: Path) -> None:
    said = summary(whole)
    assert {"task", "steps", "accuracy_before", "accuracy_after", "teacher_accuracy", "seconds"} <= said.keys()
    assert (said["task"], said["steps"], said["num_questions"]) == ("video_qa", STEPS, {"video_qa": 8})
    assert set(said["accuracy_before"]) == set(said["accuracy_after"]) == set(said["teacher_accuracy"]) == {"video_qa"}
    assert said["seconds"] > 0
    assert said["skipped"] == {"count": 0, "items": []}
    after = [line["eval/accuracy"] for line in measured(whole)]
    assert said["accuracy_after"]["video_qa"] == after[-1]


def test_the_config_says_all_that_was_composed(whole: Path) -> None:
    from omegaconf import OmegaConf

    kept = OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.load(whole / "config.yaml"))
    assert kept.trainer.steps == STEPS
    assert kept.task.synthetic.num_train == 12
    assert kept.recipe.clip_high == composed().recipe.clip_high


def test_a_checkpoint_answers_a_question_through_transformers_alone(whole: Path, samples: tuple[Sample, ...]) -> None:
    folder = whole / "checkpoints" / "step_2" / "student"
    model, processor = AutoModelForImageTextToText.from_pretrained(folder), AutoProcessor.from_pretrained(folder)
    (medium,) = [part for part in samples[0].messages[0].content if isinstance(part, Media)]
    with av.open(medium.source) as video:
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])
    metadata = {"fps": 4.0, "total_num_frames": len(frames), "frames_indices": list(range(len(frames)))}
    content = [{"type": "video"}, {"type": "text", "text": "Which way does it move?"}]
    text = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    inputs = processor(
        text=[text], videos=[frames], video_metadata=[metadata], do_sample_frames=False, return_tensors="pt"
    )
    written = model.generate(**inputs, max_new_tokens=5, do_sample=False)
    assert written.shape[1] > inputs["input_ids"].shape[1]
    assert isinstance(processor.decode(written[0, inputs["input_ids"].shape[1] :]), str)


def test_steps_change_the_weights_and_the_rollouts_match_the_metrics(whole: Path) -> None:
    assert len({weights(whole, step) for step in range(1, STEPS + 1)}) == STEPS
    for line in measured(whole):
        written = (whole / "rollouts" / f"step_{line['step']}.jsonl").read_text(encoding="utf-8").splitlines()
        lengths = [len(json.loads(rollout)["token_ids"]) for rollout in written]
        assert len(lengths) == 6
        assert line["response_length"] == pytest.approx(sum(lengths) / 6)


def test_a_resumed_run_is_the_uninterrupted_one_bit_by_bit(tmp_path: Path, small: list[str], whole: Path) -> None:
    assert run(small, tmp_path).status == 0
    resumed = run(["resume=runs/small", f"trainer.steps={STEPS}", "trainer.keep_checkpoints=9"], tmp_path)
    assert (resumed.status, resumed.err) == (0, "")
    _assert_same(tmp_path / "runs" / "small", whole)
    assert summary(tmp_path / "runs" / "small")["accuracy_before"] == summary(whole)["accuracy_before"]


def test_a_run_resumed_at_its_end_stays_as_it_is(tmp_path: Path, small: list[str]) -> None:
    run(small, tmp_path)
    folder = tmp_path / "runs" / "small"
    before = measured(folder), weights(folder, 2), rollouts(folder)
    assert run(["resume=runs/small"], tmp_path).status == 0
    assert (measured(folder), weights(folder, 2), rollouts(folder)) == before


@pytest.mark.parametrize(
    "moment", ["begun", "best_1", "partial_1", "step_1", "partial_2", "step_2", "partial_3", "rollouts_4"]
)
def test_a_killed_run_loses_a_step_at_most_and_goes_on_exactly(
    tmp_path: Path, small: list[str], whole: Path, moment: str
) -> None:
    folder = tmp_path / "runs" / "small"
    name, _, step = moment.partition("_")
    checkpoints = folder / "checkpoints"
    watched = {  # a busy machine may see the whole checkpoint only
        "begun": [folder / "config.yaml"],
        "best": [checkpoints / f"best_step_{step}.partial", checkpoints / "best"],
        "partial": [checkpoints / f"step_{step}.partial", checkpoints / f"step_{step}"],
        "step": [checkpoints / f"step_{step}"],
        "rollouts": [folder / "rollouts" / f"step_{step}.jsonl"],
    }[name]
    command = start([*small, f"trainer.steps={STEPS}", "trainer.keep_checkpoints=2"], tmp_path)
    later = random.Random(moment).uniform(0, 0.03)
    assert command.kill_when(lambda: any(path.exists() for path in watched), later), "the run ended before"
    metrics = folder / "metrics.jsonl"
    begun = metrics.read_bytes().count(b"\n") if metrics.exists() else 0
    done = complete_steps(folder)
    assert (done[-1] if done else 0) >= begun - 1
    for number in done:
        AutoModelForImageTextToText.from_pretrained(folder / "checkpoints" / f"step_{number}" / "student")
        check_files(folder / "checkpoints" / f"step_{number}")
    finished = run(["resume=runs/small"], tmp_path)
    assert (finished.status, finished.err) == (0, "")
    _assert_same(folder, whole)
    best = summary(folder)["extra"]["best"]
    assert best == summary(whole)["extra"]["best"]
    assert json.loads((folder / "checkpoints" / "best" / "best.json").read_text()) == best
    names = {path.name for path in (folder / "checkpoints").iterdir()}
    kept = {name for name in names if name.startswith("best_step_")}
    assert len(kept) == 1 and names - kept == {f"step_{STEPS - 1}", f"step_{STEPS}", "best"}


def test_a_run_goes_on_from_the_whole_checkpoint_and_names_the_damaged(
    tmp_path: Path, small: list[str], whole: Path
) -> None:
    assert run([*small, "trainer.steps=3"], tmp_path).status == 0
    folder = tmp_path / "runs" / "small"
    path = folder / "checkpoints" / "step_3" / "student" / "model.safetensors"
    os.truncate(path, 1000)
    resumed = run(["resume=runs/small", f"trainer.steps={STEPS}"], tmp_path)
    assert (resumed.status, resumed.err) == (0, "")
    (said,) = [line for line in resumed.out.splitlines() if "damaged" in line]
    shown = "runs/small/checkpoints/step_3/student/model.safetensors: 1000 bytes, "
    assert shown in said and said.endswith("goes on from runs/small/checkpoints/step_2")
    _assert_same(folder, whole)
    for step in complete_steps(folder):
        (folder / "checkpoints" / f"step_{step}" / "manifest.json").unlink()
    refused = run(["resume=runs/small"], tmp_path)
    assert refused.status == 2 and refused.err.count("\n") == 1
    assert refused.err.startswith("error: resume=runs/small: no checkpoint is whole: ")


def test_a_second_process_is_refused_and_readers_are_not(tmp_path: Path, small: list[str], whole: Path) -> None:
    """A kill frees the folder at once, and of two that resume then, one does."""
    folder = tmp_path / "runs" / "small"
    first = start([*small, f"trainer.steps={STEPS}", "trainer.keep_checkpoints=9"], tmp_path)
    wait_for(folder / "checkpoints" / "step_1")
    os.kill(first.process.pid, signal.SIGSTOP)
    second = run(["resume=runs/small"], tmp_path)
    assert second.status == 2 and second.err.count("\n") == 1
    assert f"error: resume=runs/small: process {first.process.pid} on " in second.err
    assert run(["runs/small"], tmp_path, command="report").status == 0
    first.process.kill()
    first.process.join()
    both = [start(["resume=runs/small"], tmp_path / name, target=execute_in_parent) for name in ("a", "b")]
    finished = [each.wait() for each in both]
    assert sorted(each.status for each in finished) == [0, 2]
    _assert_same(folder, whole)
    assert not (folder / ".lock").exists()


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def execute_in_parent(command: str, arguments: list[str], folder: str, *rest: Any) -> None:
    """With streams in a folder of its own, and the runs in the one above."""
    execute(command, [argument.replace("runs/", "../runs/") for argument in arguments], folder, *rest)


def test_resuming_keeps_the_runs_own_threads(tmp_path: Path, small: list[str]) -> None:
    """Sums over several threads differ in their last bits: the number of threads is part of what is resumed."""
    run([*small, "trainer.steps=1"], tmp_path)
    done = run(["resume=runs/small"], tmp_path, target=execute_with_two_threads)
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[-1] == "threads 1"


def execute_with_two_threads(*arguments: Any) -> None:
    """As on a machine of two cores."""
    torch.set_num_threads(2)
    execute(*arguments)
    print("threads", torch.get_num_threads(), flush=True)


def test_a_sweep_gives_a_run_a_seed_and_a_name(tmp_path: Path, small: list[str]) -> None:
    finished = run(["--multirun", *small, "seed=0,1", "run.name=null", "trainer.steps=1"], tmp_path)
    assert (finished.status, finished.err) == (0, "")
    zero, one = (tmp_path / "runs" / f"video_qa-tiny-uni_opd-seed{seed}" for seed in (0, 1))
    assert summary(zero)["steps"] == summary(one)["steps"] == 1
    assert measured(zero) != measured(one)
    (table,) = (tmp_path / "runs").glob("multirun-*/multirun.md")
    assert "2 of 2 runs finished" in table.read_text(encoding="utf-8") and "2 of 2 runs finished" in finished.out
    assert {path.name for path in tmp_path.iterdir()} == {"runs", ".out", ".err"}


def _assert_same(folder: Path, whole: Path) -> None:
    assert measured(folder) == measured(whole)
    assert weights(folder, STEPS) == weights(whole, STEPS)
    assert rollouts(folder) == rollouts(whole)
