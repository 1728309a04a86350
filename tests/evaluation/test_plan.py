"""What a sweep says it will do before it does it."""

from dataclasses import replace
from pathlib import Path

import pytest

from uniopd_mm.evaluation.checkpoints import Checkpoint
from uniopd_mm.evaluation.choice import chosen_tasks
from uniopd_mm.evaluation.jobs import Job, Limits
from uniopd_mm.evaluation.plan import make_jobs, make_plan, plan_table

CHECKPOINT = Checkpoint(name="a", path="/nowhere/a")


def jobs(names: list[str], **limits: int) -> tuple[Job, ...]:
    return make_jobs([CHECKPOINT], chosen_tasks([], names), Limits(**limits), Path("out"), {"seed": 0})


def test_another_metric_of_the_same_task_is_another_job() -> None:
    overall, human = (jobs([f"chartqa:{metric}:1"])[0] for metric in ("relaxed_overall", "relaxed_human_split"))
    assert overall.folder == human.folder
    assert overall.key != human.key
    assert overall.key != replace(overall, settings={**overall.settings, "full_mark": 100.0}).key


@pytest.mark.parametrize(
    ("task", "limits", "responses"),
    [
        ("uniopd_aime24", {}, "960"),
        ("uniopd_aime24", {"num_samples": 2}, "60"),
        ("uniopd_aime24", {"limit": 3, "num_samples": 2}, "6"),
        ("uniopd_chartqa", {"num_samples": 2}, "2,500"),  # greedy: all of them would be the same
    ],
)
def test_responses_are_counted_as_they_will_be_asked_for(
    task: str, limits: dict[str, int], responses: str, tmp_path: Path
) -> None:
    table = plan_table(make_plan(jobs([task], **limits), tmp_path))
    assert [str(cell) for cell in table.columns[2].cells] == [responses]


@pytest.mark.parametrize("offline", [True, False])
def test_offline_the_hub_is_not_asked_about_a_checkpoint(offline: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def from_pretrained(path: str, local_files_only: bool, trust_remote_code: bool) -> None:
        assert not trust_remote_code
        asked.append(local_files_only)
        raise OSError("no such file")

    monkeypatch.setattr("uniopd_mm.models.loading.AutoConfig.from_pretrained", from_pretrained)
    hub = Checkpoint(name="b", path="owner/b")
    make_jobs([hub], chosen_tasks([], ["uniopd_aime24"]), Limits(), Path("out"), {}, offline)
    assert asked == [offline]
