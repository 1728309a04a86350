"""Chats of several turns: all of them reach the prompt with their media, or the row is skipped with the reason."""

import base64
import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from uniopd_mm.tasks.grading.answers import grade_open
from uniopd_mm.tasks.math_qa import MathTask
from uniopd_mm.tasks.question_answering import QuestionAnswering
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.types import Corpus, Media, Message, Sample


def uri(color: str) -> str:
    encoded = BytesIO()
    Image.new("RGB", (4, 4), color).save(encoded, "PNG")
    return f"data:image/png;base64,{base64.b64encode(encoded.getvalue()).decode()}"


RED, BLUE = uri("red"), uri("blue")


def system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": content}


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def corpus(folder: Path, *rows: dict[str, Any], **columns: str) -> Corpus:
    path = folder / "rows.jsonl"
    path.write_text("".join(f"{json.dumps({'answer': '1', **row})}\n" for row in rows), encoding="utf-8")
    source = RowSource(path=str(path), columns=columns, validation_fraction=0)
    return MathTask(rows=source, instruction="Think.").samples("train")


def read(folder: Path, question: Any, **fields: Any) -> Sample:
    (sample,) = corpus(folder, {"question": question, **fields})
    return sample


def shown(sample: Sample) -> list[tuple[str, ...]]:
    """Each turn as its role and its contents; a medium by its kind and colour."""
    colors = {RED: "red", BLUE: "blue"}
    return [
        (turn.role, *(f"{p.kind} {colors[p.source]}" if isinstance(p, Media) else p for p in turn.content))
        for turn in sample.messages
    ]


OPENAI = [system("Be short."), user("1 + 1?"), assistant("2"), user("And 2 + 2?")]
SHAREGPT = [
    {"from": "system", "value": "Be short."},
    {"from": "human", "value": "1 + 1?"},
    {"from": "gpt", "value": "2"},
    {"from": "human", "value": "And 2 + 2?"},
]


@pytest.mark.parametrize("question", [OPENAI, SHAREGPT])
def test_every_turn_is_kept_and_the_last_one_gets_the_instruction(tmp_path: Path, question: Any) -> None:
    sample = read(tmp_path, question)
    assert shown(sample) == [
        ("system", "Be short."),
        ("user", "1 + 1?"),
        ("assistant", "2"),
        ("user", "And 2 + 2?\nThink."),
    ]
    assert sample.demonstration is None


def test_choices_and_instruction_go_to_the_last_turn_and_are_not_said_twice(tmp_path: Path) -> None:
    question = [system("Think."), user("Which?"), assistant("What?"), user("This.")]
    sample = read(tmp_path, question, choices=["x", "y"], answer="B")
    assert shown(sample)[-1] == ("user", "This.\nA. x\nB. y")


def test_an_answer_at_the_end_is_the_demonstration_and_may_be_the_reference(tmp_path: Path) -> None:
    chat = [user("1 + 1?"), assistant("2"), user("2 + 2?"), assistant("It is 4. #### 4")]
    (sample,) = corpus(tmp_path, {"chat": chat}, question="chat", answer="chat.-1.content")
    assert [turn[0] for turn in shown(sample)] == ["user", "assistant", "user"]
    assert (sample.demonstration, sample.answer) == ("It is 4. #### 4", "4")
    assert read(tmp_path, chat, response="Four.").demonstration == "Four."


@pytest.mark.parametrize(
    ("question", "images"),
    [
        ([user("<image>\nThis?"), assistant("Red."), user("And <image>?")], [RED, BLUE]),
        (
            [
                user([{"type": "image"}, {"type": "text", "text": "This?"}]),
                assistant([{"type": "text", "text": "Red."}]),
                user([{"type": "text", "text": "And "}, {"type": "image"}, {"type": "text", "text": "?"}]),
            ],
            [RED, BLUE],
        ),
        (
            [
                user([{"type": "image_url", "image_url": {"url": RED}}, {"type": "text", "text": "This?"}]),
                assistant("Red."),
                user(["And ", {"type": "image", "image": BLUE, "text": None}, "?"]),
            ],
            None,
        ),
    ],
)
def test_media_stay_in_their_turns(tmp_path: Path, question: Any, images: Any) -> None:
    assert shown(read(tmp_path, question, images=images)) == [
        ("user", "image red", "This?"),
        ("assistant", "Red."),
        ("user", "And ", "image blue", "?\nThink."),
    ]


def test_a_picture_in_the_chat_is_one_that_the_row_has(tmp_path: Path) -> None:
    row = {"question": [user([{"type": "image", "image": RED}, "How many?"])], "answer": "1"}
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row), encoding="utf-8")
    source = RowSource(path=str(path), validation_fraction=0)
    asked = QuestionAnswering(source, None, instruction="", domain="d", needs=("images",))
    assert shown(asked.samples("train")[0]) == [("user", "image red", "How many?")]


def test_media_without_a_place_open_the_first_user_turn(tmp_path: Path) -> None:
    sample = read(tmp_path, [system("s"), user("This?"), assistant("Red."), user("And this?")], images=[RED])
    assert shown(sample)[:2] == [("system", "s"), ("user", "image red", "This?")]


SKIPPED = [
    ([user("q"), {"role": "tool", "content": "7"}], "turn 2 has role 'tool'; only system, user and assistant turns"),
    ([{"from": "observation", "value": "7"}, user("q")], "turn 1 has role 'observation'"),
    ([user("q"), assistant("", tool_calls=[{"id": "1"}]), user("r")], "turn 2 has tool_calls"),
    ([user("q"), assistant(" "), user("r")], "turn 2 must consist of text and media"),
    ([{"content": "q"}], "turn 1 has no role"),
    ([user("q"), assistant("a"), system("s")], "the chat must end with a user turn"),
    ([user("q"), assistant("a"), assistant("b")], "the chat must end with a user turn"),
    ([system("s"), assistant("a")], "the chat has no user turn"),
    ([user([{"type": "input_audio", "input_audio": {"data": "x"}}])], "turn 1 must consist of text and media"),
    ([user([{"type": "video", "video": "a.mp4", "fps": 2}])], "video 'a.mp4': there is no such file"),
    ([user([{"type": "video", "fps": 2}])], "got fps in"),
    ([user("<image>"), assistant("a"), user("<image>?")], "needs 2 media for <image>, but the row has 1"),
    ([user([{"type": "image", "image": RED}, "q"])], "the chat brings its own media, and so does images"),
    ([user("q"), assistant("see <image>")], "the last assistant turn contains a medium"),
]


@pytest.mark.parametrize(("question", "reason"), SKIPPED)
def test_what_cannot_be_kept_is_skipped_and_named(tmp_path: Path, question: Any, reason: str) -> None:
    read_rows = corpus(tmp_path, {"question": "good"}, {"question": question, "images": [RED]})
    assert len(read_rows) == 1
    (skip,) = read_rows.skipped
    assert skip.where == f"{tmp_path}/rows.jsonl:2" and reason in skip.reason


@pytest.mark.parametrize(
    "row",
    [
        {"question": OPENAI},
        {"question": SHAREGPT, "response": "Four."},
        {"question": [user("a"), assistant("b"), user("c"), assistant("d")]},
        {"question": [user("<image> a"), assistant("b"), user("<image> c")], "images": [RED, BLUE]},
        {"question": [user([{"type": "image", "image": "own.png"}, "a"]), assistant("b"), user("c")]},
        {"question": [user("a"), assistant("b"), user("c")], "images": [RED], "caption": "red"},
    ],
)
def test_a_sample_is_read_again_from_its_row(tmp_path: Path, row: dict[str, Any]) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "own.png")
    (sample,) = corpus(tmp_path, row)
    (tmp_path / "elsewhere").mkdir()
    (again,) = corpus(tmp_path / "elsewhere", dict(sample.row))
    assert replace(again, source="") == replace(sample, source="")


def test_a_judge_sees_who_said_what(tmp_path: Path) -> None:
    class Recorder:
        question = ""

        def judge(self, question: str, reference: str, response: str, outcome: Any) -> Any:
            self.question = question
            return outcome

    recorder = Recorder()
    sample = read(tmp_path, OPENAI)
    source = RowSource(path=str(tmp_path / "rows.jsonl"))
    asked = QuestionAnswering(source, None, instruction="", domain="d", judge=recorder)
    asked.grade(sample, "5", grade_open)
    assert recorder.question == "system: Be short.\nuser: 1 + 1?\nassistant: 2\nuser: And 2 + 2?\nThink."
    plain = replace(sample, messages=(Message(role="user", content=("q",)),))
    asked.grade(plain, "5", grade_open)
    assert recorder.question == "q"
