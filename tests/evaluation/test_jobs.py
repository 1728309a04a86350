"""A job's files: done only where they are whole and were made with the same settings."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from uniopd_mm.config.evaluate import check_room
from uniopd_mm.evaluation.checkpoints import Checkpoint
from uniopd_mm.evaluation.jobs import (
    RESULTS,
    SAMPLES,
    SCORE,
    Job,
    Limits,
    job_folder,
    stored,
    write_outcome,
)
from uniopd_mm.evaluation.records import Paper, Score, Status, SuiteTask
from uniopd_mm.types import Skip, UserError

TASK = SuiteTask(task="uniopd_aime24", title="AIME 2024", domain="textual math")
CHECKPOINT = Checkpoint(name="a/step_10", path="runs/a")


def job(folder: Path) -> Job:
    return Job(checkpoint=CHECKPOINT, task=TASK, limits=Limits(), folder=folder, settings={"seed": 0})


def score(**changes: object) -> Score:
    whole = Score(
        checkpoint=CHECKPOINT.name,
        task=TASK.task,
        title=TASK.title,
        domain=TASK.domain,
        status=Status.DONE,
        metric="avg@4",
        value=62.5,
        standard_error=5.0,
        num_questions=2,
        num_samples=4,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


def write(folder: Path, **changes: object) -> Job:
    done = job(folder)
    samples = [
        {"doc_id": 0, "doc": {"tests": "x" * 30_000, "question": "?"}, "resps": [["a", "\ud800"]], "odd": {1, 2}},
        {"doc_id": 1, "resps": [["b"]]},
    ]
    write_outcome(done, score(**changes), samples, {"score,none": 62.5, "nan": float("nan")})
    return done


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = stored(write(tmp_path))
    assert found.done
    assert found.score == score()
    lines = [json.loads(line) for line in (tmp_path / SAMPLES).read_text().splitlines()]
    assert [line["doc_id"] for line in lines] == [0, 1]
    assert lines[0]["doc"] == {"tests": "(30,000 characters)", "question": "?"}


def test_nothing_is_no_problem(tmp_path: Path) -> None:
    found = stored(job(tmp_path))
    assert not found.done
    assert found.problem is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": 1}', "null", '{"score": {"checkpoint": 3}}'])
def test_a_corrupted_score_is_noticed(tmp_path: Path, content: str) -> None:
    done = write(tmp_path)
    (tmp_path / SCORE).write_text(content)
    found = stored(done)
    assert not found.done
    assert "damaged" in str(found.problem)


def test_samples_that_are_cut_off_or_gone_are_noticed(tmp_path: Path) -> None:
    done = write(tmp_path)
    whole = (tmp_path / SAMPLES).read_bytes()
    (tmp_path / SAMPLES).write_bytes(whole[:-3])
    assert "changed since it was written" in str(stored(done).problem)
    (tmp_path / SAMPLES).unlink()
    assert "damaged" in str(stored(done).problem)


def test_another_value_or_other_results_of_lmms_eval_are_noticed(tmp_path: Path) -> None:
    done = write(tmp_path)
    text = (tmp_path / SCORE).read_text()
    (tmp_path / SCORE).write_text(text.replace("62.5", "92.5"))
    assert f"{SCORE}: changed since it was written" in str(stored(done).problem)
    (tmp_path / SCORE).write_text(text)
    assert stored(done).done
    (tmp_path / RESULTS).write_text("{}")
    assert f"{RESULTS}: changed since it was written" in str(stored(done).problem)
    (tmp_path / RESULTS).unlink()
    assert "damaged" in str(stored(done).problem)


def test_what_decides_nothing_is_as_the_suite_has_it_now(tmp_path: Path) -> None:
    done = write(tmp_path)
    renamed = SuiteTask(task=TASK.task, title="AIME24", domain="maths", paper=Paper(student=23.0))
    found = stored(replace(done, task=renamed)).score
    assert found is not None
    assert (found.title, found.domain, found.paper.student, found.value) == ("AIME24", "maths", 23.0, 62.5)


def test_a_full_disk_is_named_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_room(tmp_path / "not" / "there")
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=4096))
    with pytest.raises(UserError, match=r"0\.0 MB free, and results need 8; free some"):
        check_room(tmp_path / "not" / "there")


def test_other_settings_are_another_job(tmp_path: Path) -> None:
    done = write(tmp_path)
    assert "other settings" in str(stored(replace(done, settings={"seed": 1})).problem)


def test_an_incomplete_score_is_shown_and_done_again(tmp_path: Path) -> None:
    done = write(tmp_path, status=Status.INCOMPLETE, unreadable=(Skip(where="doc 3", reason="no such file"),))
    found = stored(done)
    assert not found.done
    assert found.score is not None
    assert found.score.unreadable == (Skip(where="doc 3", reason="no such file"),)


def test_names_with_slashes_are_one_folder() -> None:
    assert job_folder(Path("out"), CHECKPOINT, "uniopd_x") == Path("out/a__step_10/uniopd_x")
