"""Near misses are not misread: what could be two things is refused by name, and no media are left out in silence."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shape_parts import RED, URI, Shape, write
from test_rows_shapes import corpus_of, media, texts

from uniopd_mm.types import Corpus, UserError

ASKED = {"question": "q?", "answer": "4"}


def read(folder: Path, *rows: dict[str, Any], task: str = "math", file: str = "rows.jsonl", **options: Any) -> Corpus:
    path = write(Shape(name="", task=task, rows=rows, question="", answer="", file=file), folder)
    return corpus_of(task, path, **options)


@pytest.mark.parametrize(
    ("row", "one", "other"),
    [
        ({"question": "q?", "answer": "4", "ground_truth": "5"}, "answer", "ground_truth"),
        ({"problem": "q?", "final_answer": "4", "expected_answer": "5"}, "final_answer", "expected_answer"),
        ({"query": "q?", "label": "4", "target": "5"}, "target", "label"),
        ({"question": "q?", "answer": "x", "correct_option": 1, "options": ["x", "y"]}, "answer", "correct_option"),
        (
            {"prompt": [{"role": "user", "content": "q"}], "reward_model": {"ground_truth": "1"}, "answer": "2"},
            "answer",
            "reward_model.ground_truth",
        ),
    ],
)
def test_two_answers_are_refused_by_name(tmp_path: Path, row: dict[str, Any], one: str, other: str) -> None:
    with pytest.raises(UserError, match="the answer could be column") as error:
        read(tmp_path, row)
    assert f"data.columns.answer={one} or data.columns.answer={other}" in str(error.value)
    chosen = read(tmp_path, row, columns={"answer": other})[0]
    (tmp_path / "again.jsonl").write_text(json.dumps(chosen.row), encoding="utf-8")
    assert corpus_of("math", tmp_path / "again.jsonl")[0].answer == chosen.answer


@pytest.mark.parametrize(
    "more",
    [
        {"ground_truth": "4"},
        {"ground_truth": 4.0},
        {"gold": r"So it is \boxed{4}."},
        {"expected_answer": "<answer>4</answer>"},
        {"solution": "a long way to 5"},
        {"label": "easy"},
        {"ground_truth": None},
        {"final_answer": ["4", "four"]},
    ],
)
def test_answers_that_agree_or_do_not_claim_to_be_one_are_read(tmp_path: Path, more: dict[str, Any]) -> None:
    assert read(tmp_path, ASKED | more)[0].answer == "4"


UNREAD = [
    ({"thumbnail": URI}, "thumbnail", "images=thumbnail"),
    ({"image": "a.png", "image2": "b.png"}, "image2", "images=[image,image2]"),
    ({"left_picture": "a.png", "right_picture": "b.png"}, "left_picture", "images=[left_picture,right_picture]"),
    ({"extra_info": {"image": {"bytes": None, "path": "a.png"}}}, "extra_info.image", "images=extra_info.image"),
    ({"parts": [{"x": URI}]}, "parts", "images=parts.0.x"),
    ({"second_clip": "clip.mp4"}, "second_clip", "video=second_clip"),
    ({"screenshot": "https://x.example/a.png"}, "screenshot", "images=screenshot"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "image": URI}]}]}, "messages", "question=messages"),
]


@pytest.mark.parametrize(("more", "column", "remedy"), UNREAD)
@pytest.mark.parametrize("recognise", [True, False])
def test_media_that_nothing_reads_are_refused(
    tmp_path: Path, more: dict[str, Any], column: str, remedy: str, recognise: bool
) -> None:
    if not recognise and "image" in more:
        return  # then both columns are unread
    with pytest.raises(UserError, match=rf"rows.jsonl:2: column {column}.* holds \w+ that nothing reads") as error:
        read(tmp_path, {"question": "text only", "answer": "1"}, ASKED | more, recognise=recognise)
    assert f"data.columns.{remedy}, or leave out" in str(error.value) and "\n" not in str(error.value)
    ignored = read(tmp_path, ASKED | more, ignore=[name for name in more if name != "image"], recognise=recognise)
    assert len(media(ignored[0])) == (1 if "image" in more else 0)


def test_encoded_media_in_parquet_are_refused_too(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="column before holds images that nothing reads"):
        read(tmp_path, ASKED | {"before": {"bytes": RED, "path": None}}, file="rows.parquet")
    assert len(read(tmp_path, ASKED | {"blob": b"no medium"}, file="rows.parquet")) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"images": ["a.png"], "image_url": "https://x.example/1.jpg"},
        {"images": [URI], "image_path": "somewhere/else.png"},
        {"image": "a.png", "file_name": "far/away/a.png"},
        {"images": ["a.png"], "source": "coco"},
    ],
)
def test_names_of_what_is_read_are_no_media_of_their_own(tmp_path: Path, more: dict[str, Any]) -> None:
    assert len(media(read(tmp_path, ASKED | more)[0])) == 1


def test_pictures_that_only_later_rows_have_are_read_or_refused(tmp_path: Path) -> None:
    rows = [{"id": str(n), "question": f"{n}?", "answer": "1", "image": None} for n in range(100)]
    corpus = read(tmp_path, *rows, {**rows[0], "id": "last", "image": "a.png"}, file="rows.csv")
    assert [len(media(sample)) for sample in corpus][-1] == 1
    numbered = {"question": "<image 1> and <image 2>", "answer": "1", "image_1": "a.png", "image_2": "b.png"}
    later = {**ASKED, "question": "<image 3>?", **{f"image_{n}": "a.png" for n in (1, 2, 3)}}
    assert [len(media(sample)) for sample in read(tmp_path, numbered, later)] == [2, 3]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": "hello", "label": 1}, "no question"),
        ({"foo": "a", "bar": "b"}, "data.columns.question=COLUMN data.columns.answer=COLUMN"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "no answer"),
        ({"conversations": [{"from": "human", "value": "a"}]}, "no answer"),
        ({"query": "a", "answer": "1", "choices": "no list"}, "choices must be a list or an object"),
        ({"instruction": "a", "output": "b", "history": [["x", "y"]]}, "history holds what a prompt cannot keep"),
        (
            {"question": "<image 2>?", "answer": "1", "images": ["a.png"]},
            "needs 2 media for <image N>, but the row has 1",
        ),
        ({"question": "<image> <image 1>?", "answer": "1", "images": ["a.png"]}, "has both <image> and <image 1>"),
        ({"question": "q", "answer": "1", "video": "a.png"}, "is a picture, not a video"),
        ({"question": "q", "answer": "1", "video": "clip.mp4", "video_end": "x"}, "must be a number of seconds"),
        ({"question": "q", "answer": "1", "video_end": 3}, "video_end needs one video, but the row has 0"),
        ({"question": "q", "answer": "1", "image": "https://x.example/a.png"}, "allow fetching with data.fetch=true"),
    ],
)
def test_rows_of_no_use_name_what_is_there(tmp_path: Path, row: dict[str, Any], reason: str) -> None:
    with pytest.raises(UserError) as error:
        read(tmp_path, row)
    assert reason in str(error.value)
    if reason.startswith("no "):
        assert all(column in str(error.value) for column in row)


def test_splits_of_a_benchmark_divide_nothing_unless_one_is_to_train_on(tmp_path: Path) -> None:
    row = {"question": "q", "A": "x", "B": "y", "answer": "A", "category": "c"}
    rows = [{**row, "index": str(n), "question": f"{n}?", "split": "dev" if n < 90 else "test"} for n in range(100)]
    corpus = read(tmp_path, *rows, file="rows.tsv")
    assert len(corpus) == 100 and "split is not read, because no row is in train" in corpus.recognised[0]
    assert len(read(tmp_path, *rows, {**rows[0], "index": "t", "question": "t?", "split": "train"}, file="b.tsv")) == 1
    with pytest.raises(UserError, match="in split train"):
        read(tmp_path, {**ASKED, "split": "dev"})


def test_times_are_parts_of_a_video_in_mvbench_alone(tmp_path: Path) -> None:
    row = {"question": "When?", "answer": "1", "video": "clip.mp4", "start": 1.5, "end": 3}
    assert media(read(tmp_path, row, task="video_qa")[0])[0].options == {}
    chosen = read(tmp_path, {**row, "candidates": ["1", "2"]}, task="video_qa")[0]
    assert media(chosen)[0].options == {"video_start": 1.5, "video_end": 3}


def test_a_turn_of_the_user_is_no_answer(tmp_path: Path) -> None:
    """Neither in the first rows, which are looked at, nor in later ones."""
    asked, told = {"from": "human", "value": "q?"}, {"from": "gpt", "value": "a"}
    rows = [{"id": str(n), "conversations": [asked, told]} for n in range(100)]
    unanswered = [{"id": "first", "conversations": [asked]}, {"id": "last", "conversations": [asked, told, asked]}]
    corpus = read(tmp_path, unanswered[0], *rows, unanswered[1])
    assert {sample.answer for sample in corpus} == {"a"} and len(corpus) == 100
    assert ["the chat ends with the user's turn" in skip.reason for skip in corpus.skipped] == [True, True]


def test_a_map_comes_before_what_is_recognised(tmp_path: Path) -> None:
    row = {"problem": "recognised", "asked": "mapped", "solution": "1", "image": "a.png"}
    sample = read(tmp_path, row, columns={"question": "asked"})[0]
    assert (texts(sample), sample.answer, len(media(sample))) == ("mapped", "1", 1)
    with pytest.raises(UserError, match="no answer"):
        read(tmp_path, row, recognise=False)


def test_the_user_is_told_once_what_was_read(tmp_path: Path) -> None:
    (line,) = read(tmp_path, {"Problem": "q", "solution": "1"}, {"Problem": "r", "solution": "2"}).recognised
    assert "read as: question from Problem, answer from solution; data.columns.NAME=COLUMN overrides" in line
    assert read(tmp_path, ASKED).recognised == ()


def test_options_of_the_decoder_and_lists_of_frames(tmp_path: Path) -> None:
    rows = [
        {"video": {"video": "clip.mp4", "fps": 2, "nframes": 8}},
        {"video": ["f1.jpg", "f2.jpg"]},
        {"video": [["f1.jpg"], ["f2.jpg"]]},
        {"video": {"video": ["f1.jpg", "f2.jpg"], "fps": 4}},
        {"video": "clip.mp4", "video_start": 1.5, "video_end": 3},
    ]
    corpus = read(tmp_path, *({"id": str(n), **ASKED, **row} for n, row in enumerate(rows)), task="video_qa")
    (tmp_path / "again.jsonl").write_text("".join(f"{json.dumps(s.row)}\n" for s in corpus), encoding="utf-8")
    for samples in (corpus, corpus_of("video_qa", tmp_path / "again.jsonl")):
        found = [
            [(len(m.source) if isinstance(m.source, tuple) else 0, dict(m.options)) for m in media(s)] for s in samples
        ]
        assert found == [
            [(0, {"fps": 2, "num_frames": 8})],
            [(2, {})],
            [(1, {}), (1, {})],
            [(2, {"sample_fps": 4})],
            [(0, {"video_start": 1.5, "video_end": 3})],
        ]


NAMES = st.sampled_from(
    [
        "question",
        "problem",
        "prompt",
        "messages",
        "conversations",
        "answer",
        "solution",
        "label",
        "choices",
        "options",
        "image",
        "images",
        "video",
        "decoded_image",
        "A",
        "B",
        "image_1",
        "hint",
        "split",
        "system",
        "path",
        "reward_model",
    ]
)
KEYS = st.sampled_from(["role", "content", "from", "value", "image", "type", "text"])
CELLS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["", "x", "A", "<image>", "a.png", URI, "[1, 2]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("task", ["math", "vqa"])
@settings(max_examples=80, deadline=None)
@given(rows=st.lists(st.dictionaries(NAMES, CELLS, max_size=6), min_size=1, max_size=4))
def test_whatever_columns_hold_a_row_is_read_or_named(
    tmp_path_factory: pytest.TempPathFactory, task: str, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        corpus = read(folder, *rows, task=task)
    except UserError as error:
        assert "data." in str(error) and "\n" not in str(error)
    else:
        assert len(corpus) + len(corpus.skipped) <= len(rows)
        assert all(sample.answer for sample in corpus)
