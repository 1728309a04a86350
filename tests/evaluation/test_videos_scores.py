"""The YAMLs of benchmarks about videos in lmms-eval, over invented rows with real files in real archives."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lmms_eval")

from picture_parts import scores_of
from video_parts import NAMES, Tasks, video_hub, video_task  # noqa: F401 - fixtures

from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.video import VIDEO_OPTIONS
from uniopd_mm.types import BadSample

METRICS = ("score", "score_se", "unknown")
NUM_QUESTIONS = dict(zip(NAMES, (6, 20, 5, 5, 6, 4), strict=True))


def right_answer(task: Any) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: f"Let me see. \\boxed{{{task.doc_to_target(row)}}}"


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_score_100_and_wrong_ones_0(video_task: Tasks, name: str) -> None:  # noqa: F811
    task = video_task(name)
    assert len(task.eval_docs) == NUM_QUESTIONS[name]
    best = scores_of(task, right_answer(task))
    assert (best["score"], best["score_se"], best["unknown"]) == (100, 0, 0)
    for answer in ("I cannot tell.", ""):
        worst = scores_of(task, lambda row, answer=answer: answer)
        assert (worst["score"], worst["score_se"], worst["unknown"]) == (0, 0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_one_user_turn_with_the_video_and_its_budget_then_the_text(video_task: Tasks, name: str) -> None:  # noqa: F811
    task = video_task(name)
    for row in task.eval_docs:
        (turn,) = task.doc_to_messages(row)
        medium, text = turn["content"]
        assert (turn["role"], medium["type"], text["type"]) == ("user", "video", "text")
        assert {"fps": 2.0, "max_frames": 768, "total_pixels": 50331648}.items() <= medium.items()
        assert medium.keys() - {"type", "url"} <= set(VIDEO_OPTIONS)
        paths = medium["url"] if isinstance(medium["url"], list) else [medium["url"]]
        assert all(Path(path).is_absolute() and Path(path).is_file() for path in paths)
        assert text["text"] == task.doc_to_text(row) and task.config.doc_to_decontamination_query(row) in text["text"]
    assert task.config.generation_kwargs["until"] == []
    assert task.config.metadata.keys() == {"title", "metric", "questions", "download_gb"}


@pytest.mark.parametrize("name", NAMES)
def test_our_processor_reads_every_video_with_its_times(
    video_task: Tasks,  # noqa: F811
    processor: QwenVLProcessor,
    name: str,
) -> None:
    from uniopd_mm.evaluation.messages import sample_of

    task = video_task(name)
    for row in task.eval_docs:
        prompt = processor.encode(sample_of(task.doc_to_messages(row), "x", "video"))
        assert len(prompt.token_ids) > 16


def test_lengths_of_videomme(video_task: Tasks) -> None:  # noqa: F811
    """One of two questions about each of three videos right: the videos agree, so that they say how sure it is."""
    task = video_task("uniopd_videomme")
    scores = scores_of(task, lambda row: row["answer"] if row["duration"] == "long" else "A" * 3)
    assert (scores["short"], scores["medium"], scores["long"]) == (0, 0, 100)
    assert scores["score"] == pytest.approx(100 / 3)
    # Sums of residuals by video: -2/3, -2/3, 4/3; 3/2 * (4 + 4 + 16)/9 / 6^2 = 1/9.
    assert scores["score_se"] == pytest.approx(100 / 3)


def test_m_avg_of_mlvu_counts_kinds_alike(video_task: Tasks) -> None:  # noqa: F811
    """Right on both of plotQA's questions and on none of the three other kinds' one: 1/4, not 2/5."""
    task = video_task("uniopd_mlvu")
    scores = scores_of(task, lambda row: row["answer"] if row["task_type"] == "plotQA" else "none")
    assert scores["score"] == 25


def test_formats_of_tempcompass(video_task: Tasks) -> None:  # noqa: F811
    task = video_task("uniopd_tempcompass")
    scores = scores_of(task, lambda row: row["answer"] if row["format"] != "yes_no" else "Yes.")
    assert (scores["multi_choice"], scores["yes_no"], scores["caption_matching"]) == (100, 50, 100)
    assert scores["score"] == pytest.approx(250 / 3)


def test_kinds_of_nextqa(video_task: Tasks) -> None:  # noqa: F811
    scores = scores_of(video_task("uniopd_nextqa"), lambda row: "ABCDE"[row["answer"]] if row["type"] == "CW" else "C")
    assert (scores["causal"], scores["temporal"], scores["descriptive"]) == (50, 0, 0)


def test_lengths_of_longvideobench(video_task: Tasks) -> None:  # noqa: F811
    task = video_task("uniopd_longvideobench")
    scores = scores_of(task, lambda row: "ABCDE"[row["correct_choice"]] if row["duration_group"] < 100 else "E")
    assert [scores[f"{length} s"] for length in (15, 60, 600, 3600)] == [100, 100, 0, 0]
    assert scores["score"] == 60


def test_fault_6_the_first_questions_are_of_all_kinds_and_a_limit_stays_with_its_run(
    video_task: Tasks,  # noqa: F811
) -> None:
    task = video_task("uniopd_mvbench")
    assert len({row["kind"] for row in task.eval_docs}) == 20
    assert math.isclose(scores_of(task, right_answer(task), limit=3)["score"], 100)
    formats = [row["format"] for row in video_task("uniopd_tempcompass").eval_docs]
    assert formats == ["multi_choice", "yes_no", "caption_matching"] * 2


@pytest.mark.parametrize("name", NAMES)
def test_fault_2_threads_score_as_one_does_and_fault_4_one_question_is_enough(
    video_task: Tasks,  # noqa: F811
    name: str,
) -> None:
    task = video_task(name)
    one, many = (scores_of(task, lambda row: "B", threads=threads) for threads in (1, 8))
    assert [one[metric] for metric in METRICS] == pytest.approx([many[metric] for metric in METRICS])
    alone = scores_of(task, lambda row: "none", limit=1)
    assert alone["score"] == 0 and math.isnan(alone["score_se"])


def test_a_video_that_is_missing_makes_its_question_a_bad_sample(
    video_task: Tasks,  # noqa: F811
) -> None:
    row = {**video_task("uniopd_mlvu").eval_docs[0], "video_name": "other.mp4"}
    with pytest.raises(BadSample, match=r"sy1998/MLVU_dev: other\.mp4: not in"):
        video_task("uniopd_mlvu").doc_to_messages(row)


def test_stretches_and_frame_folders_of_mvbench(video_task: Tasks) -> None:  # noqa: F811
    task = video_task("uniopd_mvbench")
    media = {row["kind"]: task.doc_to_messages(row)[0]["content"][0] for row in task.eval_docs}
    assert (media["action_sequence"]["video_start"], media["action_sequence"]["video_end"]) == (1, 3)
    assert "video_start" not in media["moving_count"]
    frames = media["episodic_reasoning"]
    assert [Path(path).name[-9:] for path in frames["url"]] == [f"{number:05d}.jpg" for number in range(3, 10)]
    assert frames["sample_fps"] == 3
