"""A user's own rows, good ones beside every kind of bad one: the run goes on, and says what it left out and where."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from job_parts import measured, run, summary
from PIL import Image

from uniopd_mm.types import Media, Sample

NUM_GOOD = 6


@pytest.fixture
def clips(tmp_path: Path, samples: tuple[Sample, ...]) -> Path:
    """Good MP4 files, and broken ones beside them."""
    folder = tmp_path / "clips"
    folder.mkdir()
    for number, sample in enumerate(samples[:NUM_GOOD]):
        (medium,) = [part for part in sample.messages[0].content if isinstance(part, Media)]
        shutil.copy(medium.source, folder / f"good_{number}.mp4")
    whole = (folder / "good_0.mp4").read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("not a video", encoding="utf-8")
    Image.new("RGB", (1, 1), "red").save(folder / "dot.png")
    Image.new("RGB", (20_000, 3), "red").save(folder / "wide.png")
    return folder


def row(name: str, video: str = "clips/good_0.mp4", **fields: Any) -> dict[str, Any]:
    return {"id": name, "question": "Which way?", "answer": "left", "video": video, "split": "train", **fields}


def good(split: str, numbers: Sequence[int]) -> list[dict[str, Any]]:
    return [row(f"{split}-{number}", f"clips/good_{number}.mp4", split=split) for number in numbers]


def write(folder: Path, rows: Sequence[dict[str, Any] | str]) -> list[str]:
    """rows.jsonl, and the arguments of a run on it."""
    lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
    (folder / "rows.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return ["data.path=rows.jsonl", "run.name=own"]


def test_bad_rows_are_counted_and_named_and_the_run_goes_on(tmp_path: Path, clips: Path, parts: list[str]) -> None:
    bad = {
        "unreadable": row("unreadable", "clips/text.mp4"),
        "truncated": row("truncated", "clips/truncated.mp4"),
        "zero length": row("empty", "clips/empty.mp4"),
        "missing": row("missing", "clips/none.mp4"),
        "a folder": row("folder", "clips"),
        "no answer": {name: value for name, value in row("silent").items() if name != "answer"},
        "duplicate id": row("train-0"),
        "wide image": row("wide", images=["clips/wide.png"]),
        "long prompt": row("long", question="which way " * 400),
        "spelt media token": row("spelt", question="<|video_pad|>"),
        "broken json": '{"id": ',
        "unreadable, held out": row("unreadable too", "clips/text.mp4", split="validation"),
    }
    fine = [*good("train", range(4)), *good("validation", range(4, 6)), row("dot", images=["clips/dot.png"])]
    arguments = write(tmp_path, [*fine, *bad.values()])
    finished = run([*parts, *arguments, "data.max_prompt_tokens=600", "trainer.prompts_per_step=6"], tmp_path)
    assert (finished.status, finished.err) == (0, "")
    said = summary(tmp_path / "runs" / "own")
    items = {item["where"]: item["reason"] for item in said["skipped"]["items"]}
    wanted = {f"rows.jsonl:{line}" for line in range(len(fine) + 1, len(fine) + len(bad) + 1)}
    images = {where for where in items if "dot" in items[where]}  # a 1x1 image may be used or named, never lost
    assert set(items) - images == wanted
    assert said["skipped"]["count"] == len(said["skipped"]["items"]) == len(items)
    assert all(items.values())
    for where in wanted:
        assert finished.out.count(f"warning: {where}: ") == 1, (where, finished.out)
    assert said["num_questions"] == {"video_qa": 2}
    assert measured(tmp_path / "runs" / "own")[-1]["skipped"] == len(bad) - 1 + len(images)


def test_what_was_skipped_is_known_to_a_resumed_run(tmp_path: Path, clips: Path, parts: list[str]) -> None:
    rows = [*good("train", range(3)), row("text", "clips/text.mp4"), *good("validation", [4]), "{"]
    arguments = [*write(tmp_path, rows), "trainer.prompts_per_step=4"]
    assert run([*parts, *arguments, "trainer.steps=1"], tmp_path).status == 0
    assert run(["resume=runs/own", "trainer.steps=2"], tmp_path).status == 0
    items = summary(tmp_path / "runs" / "own")["skipped"]["items"]
    assert sorted(item["where"] for item in items) == ["rows.jsonl:4", "rows.jsonl:6"]


def test_one_good_row_among_bad_ones_is_found(tmp_path: Path, clips: Path, parts: list[str]) -> None:
    bad = [row(f"bad-{number}", "clips/text.mp4") for number in range(5)]
    arguments = write(tmp_path, [*bad, *good("train", [0]), *good("validation", [1])])
    finished = run([*parts, *arguments], tmp_path)
    assert (finished.status, finished.err) == (0, "")
    assert summary(tmp_path / "runs" / "own")["skipped"]["count"] == 5


REFUSED: dict[str, tuple[list[dict[str, Any]], str]] = {
    "train split empty": ([row("a", split="validation"), row("b", split="validation")], "split train"),
    "validation split empty": ([row("a"), row("b")], "split validation"),
    "every row bad": ([row("a", "clips/none.mp4"), row("b", "clips/none.mp4")], "rows.jsonl:1"),
    "every video bad": (
        [row("a", "clips/text.mp4"), row("b", "clips/text.mp4", split="validation")],
        "rows.jsonl:2",
    ),
    "every video to train on bad": (
        [row("a", "clips/text.mp4"), row("b", "clips/empty.mp4"), row("c", split="validation")],
        "rows.jsonl:",
    ),
    "no rows": ([], "the file is empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nothing_to_learn_from_stops_with_one_line(case: str, tmp_path: Path, clips: Path, parts: list[str]) -> None:
    rows, named = REFUSED[case]
    finished = run([*parts, *write(tmp_path, rows)], tmp_path)
    assert finished.status == 2
    (line,) = finished.err.splitlines()
    assert "data.path" in line and named in line
    metrics = tmp_path / "runs" / "own" / "metrics.jsonl"
    assert not metrics.exists() or not metrics.read_bytes()


def test_a_users_own_adapter_lives_outside_the_repository(
    tmp_path: Path, parts: list[str], samples: tuple[Sample, ...]
) -> None:
    """Its YAML says no more than `_target_` and a parameter; its domain is a class attribute."""
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "__init__.py").touch()
    (tmp_path / "my_package" / "ocr.py").write_text(ADAPTER, encoding="utf-8")
    (tmp_path / "my_configs" / "task").mkdir(parents=True)
    yaml = f"_target_: my_package.ocr.OcrTask\nwords: 3\npicture: {tmp_path / 'page.png'}\n"
    (tmp_path / "my_configs" / "task" / "ocr.yaml").write_text(yaml, encoding="utf-8")
    Image.new("RGB", (64, 64), "white").save(tmp_path / "page.png")
    arguments = ["--config-dir", "my_configs", *parts, "task=ocr", "trainer.steps=1", "run.name=ocr"]
    finished = run(arguments, tmp_path)
    assert (finished.status, finished.err) == (0, "")
    said = summary(tmp_path / "runs" / "ocr")
    assert (said["task"], said["num_questions"]) == ("ocr", {"ocr": 3})
    assert said["grading"] == {"ocr": "programs run at isolation level rlimits"}
    assert "grading of ocr: programs run at isolation level rlimits" in finished.out


ADAPTER = """
from uniopd_mm.types import Corpus, Media, Message, Outcome, Sample


class OcrTask:
    domain = "ocr"

    def __init__(self, words: int, **more: str) -> None:
        self.words, self.picture = words, more["picture"]

    def samples(self, split: str) -> Corpus:
        content = (Media(kind="image", source=self.picture), "What does it say?")
        return Corpus(samples=tuple(
            Sample(sample_id=f"{split}-{n}", domain="ocr", messages=(Message(role="user", content=content),),
                   answer="", source=f"{split}:{n}")
            for n in range(self.words)
        ), grading={"ocr": "programs run at isolation level rlimits"})

    def grade(self, sample: Sample, response: str) -> Outcome:
        return Outcome(correct=response == sample.answer, reward=0.0, reason="")
"""
