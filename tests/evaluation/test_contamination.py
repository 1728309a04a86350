"""Benchmark questions that stand in a run's training prompts."""

import json
from pathlib import Path

import pytest

from uniopd_mm.evaluation.contamination import training_prompts

LONG = (
    "A train leaves the station at noon and travels north at sixty kilometres an hour while another one follows it an "
    "hour later at ninety. After how many hours does the second catch up with the first?"
)
PROMPTS = [
    f"user: {LONG}\nPlease reason step by step, and put your final answer within \\boxed{{}}.",
    "user: [image /data/a.png] Which of these shapes has four equal sides? Answer in \\boxed{}.",
]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "rollouts"
    folder.mkdir()
    lines = [json.dumps({"prompt": prompt}) for prompt in PROMPTS]
    (folder / "step_1.jsonl").write_text("\n".join([*lines, '{"prompt": "cut o']))
    return tmp_path


@pytest.mark.parametrize(
    ("question", "contained"),
    [
        (LONG, True),
        (LONG.upper().replace(",", " ;"), True),
        (f"Consider this. {LONG}", True),
        (LONG.replace("sixty", "fifty").replace("second", "third").replace("north", "south"), False),
        ("Which of these shapes has four equal sides?", True),
        ("Which of these shapes has three equal sides?", False),
        ("Answer it", False),
        ("", False),
    ],
)
def test_a_question_is_found_whatever_stands_around_it(run: Path, question: str, contained: bool) -> None:
    prompts = training_prompts(run)
    assert prompts is not None
    assert prompts.contain(question) is contained


def test_without_rollouts_nothing_is_known(tmp_path: Path) -> None:
    assert training_prompts(tmp_path) is None
