"""Graders of benchmarks about videos, on responses as models write them, and errors that know of the videos."""

import math
from collections.abc import Mapping
from pathlib import Path
from statistics import stdev
from types import ModuleType
from typing import Any

import pytest

from uniopd_mm.tasks.benchmarks import archives, longvideobench, mlvu, mvbench, nextqa, tempcompass, videomme
from uniopd_mm.tasks.benchmarks.metrics import standard_error
from uniopd_mm.tasks.benchmarks.video_choices import clustered_error, in_turn, label_at
from uniopd_mm.types import BadSample, UserError

OPTIONS = ["Canada", "China", "Brazil", "Egypt"]
ROWS: Mapping[ModuleType, Mapping[str, Any]] = {
    videomme: {"options": [f"{label}. {text}" for label, text in zip("ABCD", OPTIONS, strict=True)], "answer": "B"},
    mvbench: {"kind": "scene_transition", "candidates": OPTIONS, "answer": "China"},
    longvideobench: {**{f"option{i}": text for i, text in enumerate([*OPTIONS, "N/A"])}, "correct_choice": 1},
    mlvu: {"answer": "B", "options": "(A) Canada\n(B) China\n(C) Brazil\n(D) Egypt"},
    nextqa: {**{f"a{i}": text for i, text in enumerate([*OPTIONS, "Chad"])}, "answer": 1},
    tempcompass: {"format": "multi_choice", "answer": "B. China", "options": "A. Canada\nB. China\nC. Brazil"},
}
HOSTILE = ["", "   ", "\\boxed{", "<think>B", "\x00\ud800", "9" * 100_000, "{" * 5_000, "\\boxed{}", "A" * 50_000]


def row_of(module: ModuleType) -> Mapping[str, Any]:
    row = dict(ROWS[module])
    options = row.pop("options") if isinstance(row.get("options"), str) else ""
    return {**row, "question": f"Which country is it?\n{options}".strip()}


def score(module: ModuleType, row: Mapping[str, Any], response: str) -> tuple[list[float], int]:
    item = module.process_results(row, [response])["score"]
    return item["scores"], item["unknown"]


@pytest.mark.parametrize("module", ROWS)
@pytest.mark.parametrize(
    "response",
    [
        "B",
        "(B)",
        "B.",
        "B. China",
        "China",
        "\\boxed{B}",
        "First A seems right.\nThe answer is B.",
        "<think>A</think>B",
    ],
)
def test_right(module: ModuleType, response: str) -> None:
    assert score(module, row_of(module), response) == ([1.0], 0)


@pytest.mark.parametrize("module", ROWS)
@pytest.mark.parametrize(
    "response", ["A", "Canada", "C. Brazil", "A or B", "\\boxed{C}", "I cannot tell.", "It is Peru"]
)
def test_wrong(module: ModuleType, response: str) -> None:
    assert score(module, row_of(module), response) == ([0.0], 0)


@pytest.mark.parametrize("module", ROWS)
@pytest.mark.parametrize("response", HOSTILE)
def test_hostile(module: ModuleType, response: str) -> None:
    assert score(module, row_of(module), response) == ([0.0], 0)


@pytest.mark.parametrize("module", ROWS)
@pytest.mark.parametrize("response", ["Because China is far away", "Brown", "Definitely", "Being here", "Both"])
def test_fault_3_the_first_letter_of_a_word_is_no_choice(module: ModuleType, response: str) -> None:
    assert score(module, row_of(module), response) == ([0.0], 0)


@pytest.mark.parametrize("module", ROWS)
def test_fault_5_thoughts_are_no_answers(module: ModuleType) -> None:
    assert score(module, row_of(module), "<think>It must be A. The answer is A.</think>\n\nB") == ([1.0], 0)
    assert score(module, row_of(module), "<think>It must be B. The answer is B.</think>") == ([0.0], 0)


@pytest.mark.parametrize("module", ROWS)
def test_a_row_without_its_answer_or_its_choices_is_unknown(module: ModuleType) -> None:
    nothing = {name: value for name, value in row_of(module).items() if name in {"question", "format", "kind"}}
    nothing["question"] = "What is it?"
    assert score(module, nothing, "B") == ([0.0], 1)


@pytest.mark.parametrize("module", ROWS)
def test_the_prompt_has_question_choices_and_instruction(module: ModuleType) -> None:
    lines = module.prompt(row_of(module)).split("\n")
    assert lines[:3] == ["Which country is it?", "A. Canada", "B. China"]
    assert lines[-1] == "Answer with the option's letter from the given choices directly."


def test_options_of_longvideobench_as_a_list() -> None:
    row = {"question": "Which?", "candidates": OPTIONS, "correct_choice": 3}
    assert score(longvideobench, row, "D") == ([1.0], 0)
    assert longvideobench.choices(row) == OPTIONS


def test_a_row_of_mvbench_whose_answer_is_no_candidate_is_unknown() -> None:
    assert score(mvbench, {**ROWS[mvbench], "answer": "Peru"}, "Peru") == ([0.0], 1)


def test_questions_of_mlvu_without_their_options() -> None:
    row = row_of(mlvu)
    assert mlvu.question(row) == "Which country is it?"
    assert mlvu.choices({"question": "What?\nA. left\nB) right\nC: up"}) == {"A": "left", "B": "right", "C": "up"}
    with pytest.raises(BadSample):
        mlvu.prompt({"question": "What?"})


def test_poses_of_mvbench_as_its_other_branch_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIOPD_MM_DATA_ROOT", str(tmp_path))
    clip = tmp_path / mvbench.REPO / "nturgbd_convert/S001_rgb.mp4"
    clip.parent.mkdir(parents=True)
    clip.write_bytes(b"x")
    row = {"kind": "fine_grained_pose", "video": "S001_rgb.avi", "start": None, "end": None}
    assert mvbench.media(row) == [{"type": "video", "url": str(clip)}]


YES_NO: Mapping[str, Mapping[str, Any]] = {
    answer: {"format": "yes_no", "question": "Does it turn?", "answer": answer} for answer in ("yes", "no")
}


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ("yes", "yes"),
        ("No.", "no"),
        ("Yes, it turns to the left.", "yes"),
        ("**No**", "no"),
        ("\\boxed{\\text{Yes}}", "yes"),
        ("It rests all the time.\nSo the answer is no.", "no"),
        ("yes or no", None),
        ("Yes and no", None),
        ("Not that I see", None),
        ("Nothing turns", None),
        ("It turns", None),
        ("Yesterday", None),
        ("", None),
    ],
)
def test_yes_or_no(response: str, said: str | None) -> None:
    for answer, row in YES_NO.items():
        assert score(tempcompass, row, response) == ([float(said == answer)], 0)


def test_a_yes_or_no_question_with_another_answer_is_unknown() -> None:
    assert score(tempcompass, {**YES_NO["yes"], "answer": "maybe"}, "yes") == ([0.0], 1)


@pytest.mark.parametrize(
    ("kind", "labels"),
    [("Option", "12"), ("Caption", "AB"), ("Sentence", "AB"), ("Option", "AB"), ("Description", "12")],
)
def test_captions_that_match(kind: str, labels: str) -> None:
    texts = ("it moves to the left.", "it moves to the right.")
    options = [f"{kind} {label}: {text}" for label, text in zip(labels, texts, strict=True)]
    question = "\n".join(["Which one fits?", *options])
    row = {"format": "caption_matching", "question": question, "answer": options[1]}
    right = [labels[1], f"{kind} {labels[1]}", options[1], texts[1], f"({labels[1]})", f"\\boxed{{{labels[1]}}}"]
    wrong = [
        labels[0],
        f"{kind} {labels[0]}",
        options[0],
        texts[0],
        "neither",
        f"{kind} {labels[0]} or {kind} {labels[1]}",
    ]
    assert [score(tempcompass, row, response) for response in right] == [([1.0], 0)] * 6
    assert [score(tempcompass, row, response) for response in wrong] == [([0.0], 0)] * 6


def item(value: float, cluster: str, group: str = "") -> dict[str, Any]:
    return {"scores": [value], "correct": [value == 1], "unknown": 0, "group": group, "cluster": cluster}


def test_one_question_a_video_has_the_ordinary_error() -> None:
    values = [1.0, 0.0, 0.0, 1.0, 1.0]
    items = [item(value, str(number)) for number, value in enumerate(values)]
    assert clustered_error(items) == pytest.approx(100 * stdev(values) / math.sqrt(5))
    assert clustered_error(items) == pytest.approx(standard_error(items))


def test_questions_that_agree_are_worth_one() -> None:
    """Three videos, each with four equal answers: the error is that of three questions, of mean 1/3."""
    values = {"a": 1.0, "b": 0.0, "c": 0.0}
    items = [item(value, name) for name, value in values.items() for _ in range(4)]
    assert clustered_error(items) == pytest.approx(100 * stdev(values.values()) / math.sqrt(3))


def test_groups_count_alike_and_share_videos() -> None:
    """Groups x = {1, 0} and y = {1, 1, 0, 0}, videos p and q: residuals weighted by 1/4 and 1/8 sum to +-(1/8 + 2/16)
    in p and q, if p has the right ones; 2/1 * 2 * (1/4)^2 = 1/4."""
    right = [item(1, "p", "x"), item(1, "p", "y"), item(1, "p", "y")]
    wrong = [item(0, "q", "x"), item(0, "q", "y"), item(0, "q", "y")]
    assert clustered_error(right + wrong) == pytest.approx(100 * math.sqrt(1 / 4))
    assert math.isnan(clustered_error(right))


def test_rows_in_turn_and_labels() -> None:
    parts: list[list[dict[str, Any]]] = [[{"n": 1}, {"n": 2}, {"n": 3}], [{"n": 4}], []]
    assert [row["n"] for row in in_turn(parts)] == [1, 4, 2, 3]
    assert [label_at(index) for index in (0, 4, -1, 26, None, "B")] == ["A", "E", None, None, None, None]


def test_a_file_of_questions_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIOPD_MM_DATA_ROOT", str(tmp_path))
    folder = tmp_path / mvbench.REPO / "json"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match=r"json/action_sequence\.json: not in"):
        mvbench.all_kinds(None)
    (folder / "action_sequence.json").write_text("[{}]")
    archives._paths.cache_clear()
    archives._open_files.cache_clear()
    with pytest.raises(UserError, match="cannot be read"):
        mvbench._questions("action_sequence")
