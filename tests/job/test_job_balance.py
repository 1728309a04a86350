"""The command that balances a corpus by difficulty, on real clips with an untrained student."""

import json
import os
import re
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from balance_parts import K, balanced, kept, lay_out, read, row, write
from job_parts import run, start, summary
from PIL import Image

from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import Sample


@pytest.fixture
def student(tmp_path: Path, checkpoint: str, samples: tuple[Sample, ...]) -> list[str]:
    """Arguments for the untrained student and the task that grades its noise."""
    return lay_out(tmp_path, checkpoint, samples)


def test_rows_get_pass_rates_and_repeats_and_none_is_lost(tmp_path: Path, student: list[str]) -> None:
    rows = [row(number, level=number) for number in range(10)] + [row(11, split="test"), row(10, split="validation")]
    cache = tmp_path / "cache"
    finished = balanced([*student, *write(tmp_path, *rows)], tmp_path, UNIOPD_MM_CACHE=str(cache))
    written = read(tmp_path / "balanced" / "out.jsonl")
    first = {entry["id"]: entry for entry in written if "#" not in entry["id"]}
    assert set(first) == {entry["id"] for entry in rows}
    assert len({entry["id"] for entry in written}) == len(written)
    for given in rows:
        entry = first[given["id"]]
        assert {name: entry[name] for name in ("question", "answer")} == {n: given[n] for n in ("question", "answer")}
        assert entry["video"] == [str(tmp_path / given["video"])]
        assert entry.get("level") == given.get("level")
    train = [entry for entry in written if entry["split"] == "train"]
    assert all(entry["pass_rate"] * K == pytest.approx(round(entry["pass_rate"] * K)) for entry in train)
    assert all("pass_rate" not in entry for entry in written if entry["split"] != "train")
    tallies = {entry["id"]: entry for entry in kept(cache)}
    assert {name: tally["correct"] / K for name, tally in tallies.items()} == {
        entry["id"]: entry["pass_rate"] for entry in train if "#" not in entry["id"]
    }
    assert (
        "next: python -m uniopd_mm.train task=video_qa model.builder=null model=tiny model.path=student" in finished.out
    )
    assert "data.path=balanced/out.jsonl" in finished.out
    with Image.open(tmp_path / "balanced" / "out.png") as picture:
        assert (picture.format, picture.size) == ("PNG", (1280, 640))


def test_the_middle_is_raised_and_repeats_stay_in_train(tmp_path: Path, student: list[str]) -> None:
    """Worked out by hand: never right 4, so that 0.5 and 0.1 are each wanted 4 times and allowed 3 times. No student
    is needed, as every row has its pass rate."""
    rates = {0: 0.0, 1: 0, 2: 0.0, 3: 0.0, 4: 0.5, 5: 0.1, 6: 1.0}
    rows = [row(number, pass_rate=rate, split="training") for number, rate in rates.items()]
    rows += [row(7, "q4#2", split="validation"), row(8, "held", split="val", pass_rate=0.5)]
    arguments = [*student, *write(tmp_path, *rows), "max_repeat=3", "model.path=no/such/folder"]
    finished = balanced(arguments, tmp_path)
    written = read(tmp_path / "balanced" / "out.jsonl")
    assert Counter(entry["video"][0][-5] for entry in written) == Counter("0123444555678")
    assert [entry["id"] for entry in written if "clips/4" in entry["video"][0]] == ["q4", "q4#3", "q4#4"]
    assert {entry["id"] for entry in written if entry["split"] == "validation"} == {"q4#2", "held"}
    assert [entry["pass_rate"] for entry in written if entry["id"] in ("q1", "q5#2", "held")] == [0, 0.1, 0.5]
    assert "7 rows have a pass_rate, which is used as it is" in finished.out
    assert "out.jsonl: 13, of which train 7, validation 2, repeats of train 4" in finished.out
    shown = {words[0]: words[1:] for line in finished.out.splitlines() if (words := re.findall(r"[\d.]+|all", line))}
    assert (shown["all"], shown["1"]) == (["7", "11"], ["1", "1"])


def test_two_commands_do_not_write_one_file(tmp_path: Path, student: list[str]) -> None:
    rows = [row(number, split="train") for number in range(12)]
    arguments = [*student, *write(tmp_path, *rows), "prompts_per_chunk=1"]
    environment = {"UNIOPD_MM_CACHE": str(tmp_path / "cache")}
    first = start(arguments, tmp_path, environment, command="balance")
    while num_lines(tmp_path / "cache") < 1:
        time.sleep(0.01)
    os.kill(first.process.pid, signal.SIGSTOP)
    refused = run(arguments, tmp_path, environment, command="balance")
    assert refused.status == 2
    assert refused.err.splitlines()[-1].startswith(f"error: out=balanced/out.jsonl: process {first.process.pid} on ")
    first.process.kill()
    first.process.join()
    assert run(arguments, tmp_path, environment, command="balance").status == 0
    assert {path.name for path in (tmp_path / "balanced").iterdir()} == {"out.jsonl", "out.png"}


def test_a_killed_command_repeats_nothing_that_was_finished(tmp_path: Path, student: list[str]) -> None:
    rows = [row(number, split="train") for number in range(12)]
    arguments = [*student, *write(tmp_path, *rows), "prompts_per_chunk=1"]
    cache, whole = tmp_path / "cache", tmp_path / "whole"
    command = start(arguments, tmp_path, {"UNIOPD_MM_CACHE": str(cache)}, command="balance")
    assert command.kill_when(lambda: num_lines(cache) >= 3), "it ended before it was killed"
    assert not (tmp_path / "balanced" / "out.jsonl").exists()
    (file,) = (cache / "pass_rates").glob("*.jsonl")
    done = file.read_bytes()
    file.write_bytes(done + b'{"id": "q11", "sample": "0123')  # as a kill in the middle of a line leaves it
    num_done = done.count(b"\n")
    assert 3 <= num_done < 12
    finished = balanced(arguments, tmp_path, UNIOPD_MM_CACHE=str(cache))
    assert f"{num_done} of 12 pass rates are cached" in finished.out
    assert file.read_bytes().startswith(done)
    lines = file.read_text(encoding="utf-8").splitlines()
    names = [json.loads(line)["id"] for number, line in enumerate(lines) if number != num_done]
    assert sorted(names) == sorted(entry["id"] for entry in rows)
    balanced([*arguments, "out=whole.jsonl"], tmp_path, UNIOPD_MM_CACHE=str(whole))
    assert (tmp_path / "whole.jsonl").read_bytes() == (tmp_path / "balanced" / "out.jsonl").read_bytes()


def num_lines(cache: Path) -> int:
    return sum(file.read_bytes().count(b"\n") for file in cache.glob("pass_rates/*.jsonl"))


def test_what_changes_pass_rates_is_measured_anew_and_nothing_else(tmp_path: Path, student: list[str]) -> None:
    rows = [row(number, split="train") for number in range(4)]
    cache = {"UNIOPD_MM_CACHE": str(tmp_path / "cache")}

    def again(*arguments: str) -> int:
        """How many prompts were asked."""
        before = len(kept(tmp_path / "cache"))
        balanced([*student, "data.path=in.jsonl", "out=out.jsonl", "overwrite=true", *arguments], tmp_path, **cache)
        return len(kept(tmp_path / "cache")) - before

    write(tmp_path, *rows)
    assert again() == 4
    assert again("max_repeat=2", "num_bins=3") == 0
    write(tmp_path, row(5, split="train"), *rows[1:], {**rows[0], "question": "Another one?"})
    assert again() == 2
    assert again("num_rollouts=2") == 4 + 1
    assert again("seed=1") == 4 + 1
    shutil.copy(tmp_path / "clips" / "7.mp4", tmp_path / "clips" / "5.mp4")
    assert again() == 1
    (tmp_path / "student" / "model.safetensors").touch()
    assert again() == 4 + 1


def test_what_cannot_be_measured_is_named_and_kept_once(tmp_path: Path, student: list[str]) -> None:
    rows: list[Any] = [row(number, split="train") for number in range(3)]
    rows += [row(3, split="train", ungradable=True), row(4, split="train", video="clips/text.mp4")]
    rows += [row(5, split="train", video="clips/none.mp4"), '{"id": ']
    cache = {"UNIOPD_MM_CACHE": str(tmp_path / "cache")}
    finished = balanced([*student, *write(tmp_path, *rows)], tmp_path, **cache)
    written = {entry["id"]: entry for entry in read(tmp_path / "balanced" / "out.jsonl")}
    assert {name for name in written if "#" not in name} == {"q0", "q1", "q2", "q3", "q4"}
    assert {name for name, entry in written.items() if "pass_rate" not in entry} == {"q3", "q4"}
    assert not {"q3#2", "q4#2"} & set(written)
    for text in (
        f"in.jsonl:4: all {K} outcomes are unknown (nobody knows); kept once, without a pass rate",
        "warning: in.jsonl:5: ",
        "warning: in.jsonl:6: ",
        "warning: in.jsonl:7: ",
        "without a pass rate, written once: 2 of train",
        "not valid samples: 2;",
    ):
        assert text in finished.out
    again = balanced([*student, *write(tmp_path, *rows), "overwrite=true"], tmp_path, **cache)
    assert "nobody knows" in again.out


def test_a_run_learns_from_what_was_written(tmp_path: Path, student: list[str], parts: list[str]) -> None:
    """From another folder, without a column map or a media root."""
    named = {"question": "frage", "video": "datei", "id": "nummer"}
    rows = [{named.get(n, n): v for n, v in row(k, pass_rate=0.5 if k < 2 else 0.0).items()} for k in range(12)]
    columns = [f"+data.columns.{ours}={theirs}" for ours, theirs in named.items()]
    balanced([*student, *columns, *write(tmp_path, *rows), "data.validation_fraction=0.3"], tmp_path)
    written = read(tmp_path / "balanced" / "out.jsonl")
    assert any("#" in entry["id"] for entry in written)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(tmp_path / "balanced" / "out.jsonl", elsewhere / "rows.jsonl")
    finished = run([*parts, "data.path=rows.jsonl", "trainer.steps=1", "run.name=own"], elsewhere)
    assert (finished.status, finished.err) == (0, "")
    said = summary(elsewhere / "runs" / "own")
    held_out = [entry for entry in written if entry["split"] == "validation"]
    assert said["num_questions"] == {"video_qa": len(held_out)} and held_out
    assert said["skipped"]["count"] == 0


def test_the_synthetic_set_can_be_balanced(tmp_path: Path, student: list[str], samples: tuple[Sample, ...]) -> None:
    sizes = ["task.synthetic.num_pretrain=24", "task.synthetic.num_train=12", "task.synthetic.num_validation=8"]
    balanced([*student, *sizes, "out=out.jsonl"], tmp_path)
    written = read(tmp_path / "out.jsonl")
    task = VideoQaTask(rows=RowSource(path=str(tmp_path / "out.jsonl")))
    train = {sample.sample_id: sample for sample in task.samples("train")}
    assert len(task.samples("validation")) == 8
    assert not task.samples("train").skipped
    for sample in samples:
        again = train[sample.sample_id]
        assert (again.messages, again.answer) == (sample.messages, sample.answer)
        assert again.demonstration == sample.demonstration
    assert sum("#" not in entry["id"] for entry in written) == 20
