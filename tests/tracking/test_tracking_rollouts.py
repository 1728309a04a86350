"""Rollout files: whole or absent, one entry per token, with the teacher's failure where it failed."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tracking_trajectories import make_trajectory

from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.rollouts import RolloutsTracker, newest_rollouts, prompt_text, read_rollouts
from uniopd_mm.types import Media, Message, Sample, UserError

WORLD = World()


def letters(ids: torch.Tensor) -> list[str]:
    return [chr(97 + token_id) for token_id in ids.tolist()]


def test_a_line_says_everything_about_a_trajectory(tmp_path: Path) -> None:
    trajectories = [
        make_trajectory([0, 2], [-0.5, -math.inf], [-0.25, -2.0]),
        make_trajectory([1], [-1.0], "ids differ", correct=None),
    ]
    trajectories[0] = replace(trajectories[0], advantages=torch.tensor([0.25, 3.0]))
    RolloutsTracker(tmp_path, world=WORLD).log_rollouts(5, trajectories, letters)
    first, second = (json.loads(line) for line in (tmp_path / "rollouts/step_5.jsonl").read_bytes().splitlines())
    assert first == {
        "sample_id": "s1",
        "domain": "video_qa",
        "source": "train.jsonl:3",
        "group_id": 4,
        "policy_step": 7,
        "prompt": "user: [video clips/a.mp4] Which way?",
        "answer": "left",
        "response": "left",
        "finish_reason": "stop",
        "correct": True,
        "reward": 1.0,
        "reason": "as expected",
        "weight": 1.0,
        "teacher": "expert",
        "teacher_failure": None,
        "token_ids": [0, 2],
        "tokens": ["a", "c"],
        "student_logprobs": [-0.5, "-Infinity"],
        "teacher_logprobs": [-0.25, -2.0],
        "advantages": [0.25, 3.0],
    }
    assert (second["teacher_failure"], second["teacher_logprobs"], second["correct"]) == ("ids differ", None, None)
    assert second["advantages"] is None
    read = read_rollouts(tmp_path / "rollouts/step_5.jsonl")
    assert read[0].student_logprobs == [-0.5, -math.inf]
    assert [line.to_json()["token_ids"] for line in read] == [[0, 2], [1]]


def test_an_empty_response_and_no_trajectories_are_files_too(tmp_path: Path) -> None:
    tracker = RolloutsTracker(tmp_path, world=WORLD)
    tracker.log_rollouts(1, [make_trajectory([], [], [], text="")], letters)
    tracker.log_rollouts(2, [], letters)
    assert read_rollouts(tmp_path / "rollouts/step_1.jsonl")[0].tokens == []
    assert read_rollouts(tmp_path / "rollouts/step_2.jsonl") == []


def test_lists_of_different_lengths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="2 response tokens"):
        RolloutsTracker(tmp_path, world=WORLD).log_rollouts(1, [make_trajectory([0, 1], [-1.0, -1.0], [-1.0])], letters)
    assert newest_rollouts(tmp_path) is None


def test_only_asked_steps_are_written_and_the_newest_is_by_number(tmp_path: Path) -> None:
    tracker = RolloutsTracker(tmp_path, world=WORLD, every=3)
    for step in range(1, 13):
        tracker.log_rollouts(step, [make_trajectory([0], [-1.0], [-1.0])], letters)
    assert {path.name for path in (tmp_path / "rollouts").iterdir()} == {f"step_{n}.jsonl" for n in (3, 6, 9, 12)}
    assert newest_rollouts(tmp_path) == (12, tmp_path / "rollouts/step_12.jsonl")


def test_resuming_removes_the_files_of_steps_to_repeat(tmp_path: Path) -> None:
    tracker = RolloutsTracker(tmp_path, world=WORLD)
    for step in range(1, 12):
        tracker.log_rollouts(step, [make_trajectory([0], [-1.0], [-1.0])], letters)
    RolloutsTracker(tmp_path, 9, world=WORLD)
    assert newest_rollouts(tmp_path) == (9, tmp_path / "rollouts/step_9.jsonl")
    assert len(list((tmp_path / "rollouts").iterdir())) == 9


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    tracker = RolloutsTracker(tmp_path, world=WORLD)
    tracker.log_rollouts(1, [make_trajectory([0], [-1.0], [-1.0])], letters)
    before = (tmp_path / "rollouts/step_1.jsonl").read_bytes()
    (tmp_path / "rollouts/.step_1.jsonl.tmp").symlink_to("/dev/full")
    with pytest.raises(UserError, match=r"step_1\.jsonl: no space left on the device; free some space, then resume"):
        tracker.log_rollouts(1, [make_trajectory([0, 1], [-1.0, -1.0], [-1.0, -1.0])], letters)
    assert [path.name for path in (tmp_path / "rollouts").iterdir()] == ["step_1.jsonl"]
    assert (tmp_path / "rollouts/step_1.jsonl").read_bytes() == before


def test_a_line_of_something_else_is_named(tmp_path: Path) -> None:
    path = tmp_path / "step_1.jsonl"
    path.write_text('{"sample_id": 3}\n')
    with pytest.raises(UserError, match=r"step_1\.jsonl:1: not a rollout"):
        read_rollouts(path)


def test_media_without_a_short_name_stand_as_their_kind() -> None:
    media = (Media(kind="image", source=b"\x89PNG"), Media(kind="image", source="data:" + "A" * 5000), "What?")
    turns = (Message(role="system", content=("Be short.",)), Message(role="user", content=media))
    sample = Sample(sample_id="a", domain="d", messages=turns, answer=None, source="x:1")
    assert prompt_text(sample) == "system: Be short.\nuser: [image] [image] What?"
