"""A run that would go on with other rows, teachers or code than it began with is refused, and says what differs."""

import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
from balance_parts import lay_out, row, write
from job_parts import Finished, run, summary

from uniopd_mm.learner.checkpoint import FORMAT
from uniopd_mm.learner.manifest import seal
from uniopd_mm.types import Sample


@pytest.fixture
def begun(tmp_path: Path, parts: list[str], checkpoint: str, teacher: str, samples: tuple[Sample, ...]) -> Path:
    """The folder of a run on rows of its own that stopped after its first step."""
    lay_out(tmp_path, checkpoint, samples)
    shutil.copytree(teacher, tmp_path / "teacher")
    write(tmp_path, *rows())
    begin = [*parts, "teacher.path=teacher", "data.path=in.jsonl", "trainer.steps=1", "run.name=a"]
    finished = run(begin, tmp_path)
    assert (finished.status, finished.err) == (0, "")
    return tmp_path


def rows(**changed: str) -> list[dict[str, object]]:
    """Eight train rows and two to validate with; `changed` are answers by id."""
    given = [row(number, split="train" if number < 8 else "validation") for number in range(10)]
    return [{**each, "answer": changed.get(each["id"], each["answer"])} for each in given]


def resume(folder: Path, *overrides: str) -> Finished:
    return run(["resume=runs/a", "trainer.steps=2", *overrides], folder)


def refused(folder: Path, *said: str) -> None:
    finished = resume(folder)
    assert finished.status == 2
    line = finished.err.splitlines()[-1]
    assert line.startswith("error: resume=runs/a: changed since step 1: ") and "resume_with_changes=true" in line
    assert all(text in line for text in said), line


def test_other_rows_and_teachers_are_named_and_refused(begun: Path) -> None:
    write(begun, *rows(q3="right"))
    refused(begun, "train rows: 1 changed; restore")
    write(begun, *rows(q9="right"), row(11, split="train"))
    refused(begun, "train rows: 1 added; validation rows: 1 changed; restore")
    write(begun, *rows()[::-1])
    refused(begun, "train rows: in another order; validation rows: in another order; restore")
    write(begun, *rows())
    weights = begun / "teacher" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"1234")
    refused(begun, "changed since step 1: teacher tiny_expert, weights: ", " -> ")


def test_what_is_accepted_is_a_warning_and_in_the_summary(begun: Path) -> None:
    write(begun, *rows(q3="right"))
    finished = resume(begun, "resume_with_changes=true")
    assert finished.status == 0
    assert "changed since step 1: train rows: 1 changed" in finished.out
    folder = begun / "runs" / "a"
    assert summary(folder)["extra"]["changes"] == ["step 1: train rows: 1 changed"]
    again = run(["resume=runs/a", "trainer.steps=3"], begun)
    assert (again.status, again.err) == (0, "")
    assert summary(folder)["extra"]["changes"] == ["step 1: train rows: 1 changed"]
    assert "resume_with_changes: false" in (folder / "config.yaml").read_text()


def test_other_code_is_named(begun: Path) -> None:
    step = begun / "runs" / "a" / "checkpoints" / "step_1"
    path = step / "trainer_state" / "state.json"
    other = path.read_text().replace(f'"code, torch", "{version("torch")}"', '"code, torch", "2.1.0"')
    assert other != path.read_text()
    path.write_text(other)
    seal(step, FORMAT)
    refused(begun, f"changed since step 1: code, torch: 2.1.0 -> {version('torch')}; restore")
