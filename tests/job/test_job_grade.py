"""The command that grades the responses of rows: what it writes and prints, and what the user can mend."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from job_parts import run, start

ROWS = [
    {"id": "a", "question": "2+2?", "answer": "4", "response": r"\boxed{4}", "expected": "T"},
    {"id": "b", "question": "2+2?", "answer": "4", "response": [r"\boxed{4.0}", r"\boxed{5}"], "expected": "TF"},
    {"id": "c", "question": "2+2?", "answer": "4", "response": "The answer is 4. Wait, no.", "expected": "N"},
    {"id": "d", "question": "2+2?", "answer": "4", "response": "<think>4", "expected": "T"},
    {"id": "e", "question": "2+2?", "answer": "4", "response": r"\boxed{4}", "expected": "F"},
]


def write(folder: Path, *rows: dict[str, Any], name: str = "rows.jsonl") -> str:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return f"data.path={name}"


def read(folder: Path, name: str = "out.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_each_response_has_a_line_and_verdicts_are_compared(tmp_path: Path) -> None:
    finished = run(["task=math", write(tmp_path, *ROWS), "out=out.jsonl"], tmp_path, command="grade")
    assert finished.status == 0, finished
    lines = read(tmp_path)
    assert [line["id"] for line in lines] == ["a", "b", "b", "c", "d", "e"]
    assert [line["correct"] for line in lines] == [True, True, False, None, False, True]
    assert [line["answer"] for line in lines] == ["4", "4.0", "5", "4", None, "4"]
    assert [line["reward"] for line in lines] == [1.0, 1.0, 0.0, 0.0, 0.0, 1.0]
    assert all(line["reason"] and 0 <= line["seconds"] < 60 for line in lines)
    printed = " ".join(finished.out.split())
    assert "math 6 3 (50.0%) 2 (33.3%) 1 (16.7%)" in printed
    assert "4 of 6 (66.7%) 1" in printed and "e FALSE POSITIVE F" in printed
    assert "outcomes out.jsonl: 6 responses" in printed


def test_media_may_be_absent_and_rows_without_a_response_are_named(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "question": "What?", "answer": "red", "images": ["gone.png"], "output": "Red."},
        {"id": "b", "question": "What?", "answer": "red", "output": "blue"},
        {"id": "c", "question": "What?", "answer": "red", "output": None},
        {"id": "d", "question": "What?", "output": "red"},
    ]
    arguments = ["task=vqa", write(tmp_path, *rows), "out=out.jsonl", "response_column=output"]
    finished = run(arguments, tmp_path, command="grade")
    assert finished.status == 0, finished
    assert [(line["id"], line["correct"]) for line in read(tmp_path)] == [("a", True), ("b", False)]
    assert "rows.jsonl:3: no output: neither text nor texts; not graded" in finished.out
    assert "rows.jsonl:4: no answer" in finished.out and "2 rows not graded" in finished.out


def test_a_question_may_have_several_rows(tmp_path: Path) -> None:
    rows = [{"question": "2+2?", "answer": "4", "response": response} for response in ("4", "5", "4.0")]
    finished = run(["task=math", write(tmp_path, *rows), "out=out.jsonl"], tmp_path, command="grade")
    assert finished.status == 0, finished
    assert [line["correct"] for line in read(tmp_path)] == [True, False, True]
    assert len({line["id"] for line in read(tmp_path)}) == 1


def test_rows_of_several_tasks_and_metrics(tmp_path: Path) -> None:
    rows = [
        {"id": "a", "task": "math", "row": {"question": "q", "answer": "1/2"}, "response": "0.5", "expected": "T"},
        {
            "id": "b",
            "task": "vqa",
            "metric": "anls",
            "row": {"question": "q", "answer": "sitting"},
            "response": "kitten",
            "expected": "T=0.5714",
        },
        {"id": "c", "task": "vqa", "metric": "exact", "row": {"question": "q", "answer": "sitting"}, "response": "kit"},
    ]
    finished = run(["mixed=true", write(tmp_path, *rows), "out=out.jsonl"], tmp_path, command="grade")
    assert finished.status == 0, finished
    found = {line["id"]: (line["correct"], round(line["reward"], 4)) for line in read(tmp_path)}
    assert found == {"a": (True, 1.0), "b": (True, 0.5714), "c": (False, 0.0)}
    assert "2 of 2 (100.0%)" in finished.out


def test_bad_rows_of_mixed_files_are_named_where_they_are(tmp_path: Path) -> None:
    good = {"id": "a", "task": "math", "row": {"question": "q", "answer": "1"}, "response": "1", "expected": "T"}
    bad = [
        {**good, "task": "a/b"},
        {**good, "task": "nowhere"},
        {**good, "metric": ["x"]},
        {**good, "metric": "${oc.env:HOME}"},
        {**good, "row": 3},
        {"row": good["row"], "response": "1"},
        {**good, "expected": "T=x"},
        {**good, "expected": ["T"]},
        {**good, "expected": True},
        {**good, "row": {"question": "q"}},
        {**good, "response": None},
    ]
    finished = run(["mixed=true", write(tmp_path, good, *bad), "out=out.jsonl"], tmp_path, command="grade")
    assert finished.status == 0, finished
    assert [line["id"] for line in read(tmp_path)] == ["a"]
    for number in range(2, 2 + len(bad)):
        assert f"rows.jsonl:{number}: " in finished.out, (number, finished.out)
    assert str(Path.home()) not in finished.out and f"{len(bad)} rows not graded" in finished.out


def test_a_killed_command_goes_on(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "id": f"r{n}", "answer": str(n), "response": rf"\boxed{{{n}+0\cdot x}}"} for n in range(300)]
    arguments = ["task=math", write(tmp_path, *rows), "out=out.jsonl", "threads=2"]
    part = tmp_path / ".out.jsonl.part"
    command = start(arguments, tmp_path, command="grade")
    assert command.kill_when(lambda: part.exists() and part.read_bytes().count(b"\n") >= 20)
    kept = part.read_bytes().splitlines()
    assert not (tmp_path / "out.jsonl").exists() and 20 <= len(kept) < 300
    began = time.monotonic()
    finished = run(arguments, tmp_path, command="grade")
    assert finished.status == 0 and time.monotonic() > began
    seconds = {line["id"]: line["seconds"] for line in read(tmp_path)}
    earlier = [json.loads(line)["outcome"]["seconds"] for line in kept if line.endswith(b"}")]
    assert len(seconds) == 300 and all(value in seconds.values() for value in earlier)
    assert not part.exists()


MISTAKES = {
    "out=null": ["out=null", "out=FILE.jsonl"],
    "out=rows.csv": ["out=rows.csv", ".jsonl"],
    "out=./rows.jsonl": ["out=rows.jsonl", "data.path"],
    "out=there.jsonl": ["out=there.jsonl", "exists already", "overwrite=true"],
    "threads=0": ["threads=0", "at least 1"],
    "data.path=null": ["data.path=null", "no rows to grade"],
    "data.path=missing.jsonl": ["data.path=missing.jsonl"],
    "respons_column=x": ["respons_column=x", "no such key", "response_column"],
    "response_column=x": ["no row can be graded", "no x: neither text nor texts"],
    "task=mixture": ["task=mixture", "mixed=true"],
    "mixed=true": ["no row can be graded", "mixed=true needs the columns task, row and response"],
    "data.prompt_cache_mb=3": ["data.prompt_cache_mb=3", "grading encodes no prompts"],
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(mistake: str, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").touch()
    arguments = ["task=math", write(tmp_path, *ROWS), *([] if mistake.startswith("out=") else ["out=o.jsonl"]), mistake]
    finished = run(arguments, tmp_path, command="grade")
    assert finished.status == 2, finished
    line = finished.err.splitlines()[-1]
    for text in MISTAKES[mistake]:
        assert text in line
