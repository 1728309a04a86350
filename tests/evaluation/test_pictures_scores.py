"""Every benchmark about pictures in lmms-eval over invented rows: what right and wrong answers score."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("lmms_eval")

from picture_parts import hub, right_answer, scores_of, task_of  # noqa: F401 - fixtures

NAMES = [
    "uniopd_chartqa",
    "uniopd_ai2d",
    "uniopd_docvqa",
    "uniopd_infographicvqa",
    "uniopd_mathvision",
    "uniopd_dynamath",
    "uniopd_wemath",
    "uniopd_logicvista",
    "uniopd_visulogic",
]
Tasks = Callable[[str], Any]


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_score_100_and_wrong_ones_0(task_of: Tasks, name: str) -> None:  # noqa: F811
    task = task_of(name)
    assert scores_of(task, right_answer(task))["score"] == 100
    wrong = scores_of(task, lambda row: "No idea whatsoever.")
    assert (wrong["score"], wrong["score_se"], wrong["unknown"]) == (0, 0, 0)
    assert scores_of(task, lambda row: "")["score"] == 0
