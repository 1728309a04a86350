"""The tables of docs/grading.md: each row is graded, and gets the verdict that it shows."""

import re
from pathlib import Path

import pytest

from uniopd_mm.tasks.grading.answers import grade_open
from uniopd_mm.tasks.grading.chart_answers import grade_relaxed
from uniopd_mm.tasks.grading.math_answers import grade_math

PAGE = Path(__file__).parents[2] / "docs" / "grading.md"
ROW = re.compile(r"\| (\w+) \| (.+?) \| `(.+?)` \| (right|wrong|unknown) \|")
ROWS = [match.groups() for match in map(ROW.fullmatch, PAGE.read_text().splitlines()) if match]
GRADERS = {"video_qa": grade_open, "vqa": grade_open, "math": grade_math, "chart": grade_relaxed}
VERDICTS = {"right": True, "wrong": False, "unknown": None}


def test_the_page_has_examples_of_every_task() -> None:
    assert {task for task, *_ in ROWS} == set(GRADERS) and len(ROWS) > 25


@pytest.mark.parametrize(("task", "reference", "response", "verdict"), ROWS)
def test_the_verdict_is_the_one_shown(task: str, reference: str, response: str, verdict: str) -> None:
    outcome = GRADERS[task](response, reference)
    assert outcome.correct is VERDICTS[verdict], outcome.reason
