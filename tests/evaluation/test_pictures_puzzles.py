"""LogicVista, VisuLogic and the options in questions: graders, and their YAMLs in lmms-eval over invented rows."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("lmms_eval")

from picture_parts import HOSTILE, hub, reward, right_answer, scores_of, task_of  # noqa: F401 - fixtures

from uniopd_mm.tasks.benchmarks import logicvista, visulogic
from uniopd_mm.tasks.benchmarks.option_lists import lettered, read_options
from uniopd_mm.types import BadSample

Tasks = Callable[[str], Any]


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("(A) True (B)False (C)Cannot be said", {"A": "True", "B": "False", "C": "Cannot be said"}),
        ("Which of A, B and C? (A) 5 (B) 7", {"A": "5", "B": "7"}),
        ("Select from A-C. \n A) 5 B) 7 C) 9", {"A": "5", "B": "7", "C": "9"}),
        ("A. 1.5;B. 2; C. None", {"A": "1.5", "B": "2", "C": "None"}),
        ("Which?\nA: A\nB: B\nC: C", {"A": "A", "B": "B", "C": "C"}),
        ("(A) x (B) y (C) both (A) and (B)", {"A": "x", "B": "y", "C": "both (A) and (B)"}),
        ("(A) 1 (B) (C) 3", {"A": "1", "B": "B", "C": "3"}),
        ("Which box (A, B, C, or D)?", {}),
        ("Select from A-E", {}),
        ("", {}),
        ("A" * 50_000, {}),
        ("(A) " * 3_000, {}),
    ],
)
def test_options_in_a_text(text: str, options: dict[str, str]) -> None:
    assert read_options(text) == options


def test_blank_options_are_called_by_their_letters() -> None:
    assert lettered(["left", "", " "]) == {"A": "left", "B": "B", "C": "C"}


PICTURED = "Which drawings out of A-D look alike?"
LISTED = "The ball is red. Select from A, B and C. (A) True (B)False (C)Cannot be said"


@pytest.mark.parametrize(
    ("question", "answer", "response", "expected"),
    [
        (PICTURED, "A, C", "\\boxed{A, C}", 1),
        (PICTURED, "A, C", "\\boxed{C, A}", 1),
        (PICTURED, "A, C", "\\boxed{AC}", 1),
        (PICTURED, "A, C", "The answer is A and C.", 1),
        (PICTURED, "A, C", "\\boxed{(A) and (C)}", 1),
        *(
            (PICTURED, "A, C", f"\\boxed{{{said}}}", 1)
            for said in (r"\{A, C\}", r"A, \, C", r"A\ C", r"A \& C", "A & C")
        ),
        (PICTURED, "A, C", "\\boxed{\\{A, B\\}}", 0),
        (PICTURED, "A, C", "\\boxed{A}", 0),
        (PICTURED, "A, C", "\\boxed{A, B, C}", 0),
        (PICTURED, "A, C", "\\boxed{A or C}", 0),
        (PICTURED, "A, C", "ACE", 0),
        (PICTURED, "A, C", "They are red or blue.\nA, C", 1),
        (PICTURED, "C", "\\boxed{C}", 1),
        (PICTURED, "C", "\\boxed{A, C}", 0),
        (PICTURED, "C", "China", 0),
        (LISTED, "B", "\\boxed{False}", 1),
        (LISTED, "B", "\\boxed{B}", 1),
        (LISTED, "B", "True", 0),
        ("Select from 1-5", "3", "\\boxed{3}", 1),
        ("Select from 1-5", "3", "\\boxed{4}", 0),
        ("Select two from 1-5", "2, 4", "\\boxed{2, 4}", 1),
        ("Select two from 1-5", "2, 4", "\\boxed{2, 3}", 0),
        (LISTED, "D", "\\boxed{D}", 1),  # the picture shows more than the question lists
        (PICTURED, "A, C", "<think>A, C</think>\\boxed{B}", 0),
        *((PICTURED, answer, response, 0) for answer in ("A, C", "D") for response in HOSTILE),
    ],
)
def test_logicvista(question: str, answer: str, response: str, expected: float) -> None:
    assert reward(logicvista, {"question": question, "answer": answer}, response) == expected


@pytest.mark.parametrize("answer", ["", "?", "a banana"])
def test_an_answer_that_names_no_option_is_unknown(answer: str) -> None:
    item = logicvista.process_results({"question": PICTURED, "answer": answer}, ["A"])["score"]
    assert (item["scores"], item["unknown"]) == ([0.0], 1)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ("\\boxed{C}", 1),
        ("Answer: \\boxed{C}.", 1),
        ("<answer>C</answer>", 1),
        ("C", 1),
        ("Option C", 1),
        ("\\boxed{B}", 0),
        ("Circle", 0),
        ("B or C", 0),
        *((response, 0) for response in HOSTILE),
    ],
)
def test_visulogic(response: str, expected: float) -> None:
    row = {"question": "Which?\nA: A\nB: B\nC: C\nD: D", "label": "C", "image_path": "images/00001.png"}
    assert reward(visulogic, row, response) == expected


def test_pictures_of_visulogic_come_out_of_its_zip(task_of: Tasks) -> None:  # noqa: F811
    task = task_of("uniopd_visulogic")
    ((turn,),) = [task.doc_to_messages(task.dataset["train"][2])]
    path = Path(turn["content"][0]["url"])
    assert path.is_absolute()
    assert Image.open(path).size == (96, 64)


def test_a_picture_that_is_not_there_is_named(task_of: Tasks) -> None:  # noqa: F811
    task_of("uniopd_visulogic")
    with pytest.raises(BadSample, match=r"VisuLogic/VisuLogic: images/9\.png"):
        visulogic.media({"image_path": "images/9.png"})


def test_importing_visulogic_looks_for_nothing(tmp_path: Path) -> None:
    code = "import sys, uniopd_mm.tasks.benchmarks.visulogic; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False).returncode == 0
