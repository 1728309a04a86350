"""Tasks by name."""

import pytest

from uniopd_mm.evaluation.choice import chosen_tasks
from uniopd_mm.evaluation.records import SuiteTask
from uniopd_mm.types import UserError

SUITE = (SuiteTask(task="uniopd_aime24", title="AIME 2024", domain="textual math"),)


def test_without_names_it_is_the_suite() -> None:
    assert chosen_tasks(SUITE, []) == SUITE


def test_a_name_of_the_suite_keeps_what_the_suite_says() -> None:
    assert chosen_tasks(SUITE, ["uniopd_aime24"]) == SUITE


def test_a_task_of_lmms_eval_says_which_metric_counts() -> None:
    (task,) = chosen_tasks(SUITE, ["chartqa:relaxed_overall:1"])
    assert (task.task, task.metric, task.scale) == ("chartqa", "relaxed_overall", 1.0)
    (task,) = chosen_tasks(SUITE, ["mathvision_test"])
    assert (task.metric, task.scale) == ("score", 100.0)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["uniopd_aime42"], "uniopd_aime42: no such task; did you mean uniopd_aime2"),
        (["uniopd_aime24", "uniopd_aime24"], "given twice"),
        (["chartqa:relaxed_overall:7"], "must be 1 or 100, not 7"),
    ],
)
def test_what_is_no_task_is_refused(names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        chosen_tasks(SUITE, names)
