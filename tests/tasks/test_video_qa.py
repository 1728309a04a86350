"""The task on real files: rows beside real MP4 files, every fault they may have, and grading of the samples."""

import json
import os
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from uniopd_mm.interfaces import Task
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import Corpus, Media, Message, Sample, UserError

ROW: dict[str, Any] = {"id": "1", "question": "Which way?", "answer": "left", "video": "clips/a.mp4"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with clips/a.mp4 and clips/b.mp4 (H.264), an unreadable clips/broken.mp4, and a.png."""
    root = tmp_path_factory.mktemp("data")
    (root / "clips").mkdir()
    for name in ("a", "b"):
        with av.open(str(root / "clips" / f"{name}.mp4"), "w") as container:
            stream = container.add_stream("h264", rate=4)
            stream.width = stream.height = 32
            stream.pix_fmt = "yuv420p"
            for level in (0, 255):
                frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    (root / "clips" / "broken.mp4").write_bytes(b"")
    (root / "a.png").write_bytes(b"png")
    return root


def write(folder: Path, *rows: Any, name: str = "rows.jsonl") -> str:
    path = folder / name
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return str(path)


def task(
    path: str | None, instruction: str = "Answer in \\boxed{}.", domain: str = "video_qa", **rows: Any
) -> VideoQaTask:
    return VideoQaTask(rows=RowSource(path=path, **rows), instruction=instruction, domain=domain)


def everything(task: VideoQaTask, splits: tuple[str, ...] = ("train", "validation")) -> list[Sample]:
    return [sample for split in splits for sample in task.samples(split)]


def test_an_open_question(folder: Path) -> None:
    extra = {"pass_rate": 0.25, "response": r"It turns. \boxed{left}", "topic": "motion", "level": 3, "note": None}
    (sample,) = task(write(folder, ROW | extra)).samples("train")
    video = Media(kind="video", source=str(folder / "clips/a.mp4"))
    assert sample == Sample(
        sample_id="1",
        domain="video_qa",
        messages=(Message(role="user", content=(video, "Which way?\nAnswer in \\boxed{}.")),),
        answer="left",
        source=f"{folder}/rows.jsonl:1",
        pass_rate=0.25,
        demonstration=r"It turns. \boxed{left}",
        metadata={"topic": "motion", "level": 3},
        row={
            **{"id": "1", "question": "Which way?", "answer": "left", "video": [str(folder / "clips/a.mp4")]},
            **{"pass_rate": 0.25, "response": r"It turns. \boxed{left}", "topic": "motion", "level": 3},
        },
    )


def test_a_multiple_choice_question(folder: Path) -> None:
    path = write(folder, ROW | {"choices": ["right", "left"]})
    qa = task(path, instruction="Give the letter.", domain="clips")
    (sample,) = qa.samples("train")
    assert sample.messages[0].content[-1] == "Which way?\nA. right\nB. left\nGive the letter."
    assert (sample.answer, sample.domain) == ("B", "clips")
    assert [qa.grade(sample, response).correct for response in ("B", "left", "(B)", "A", "China", "A or B")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_several_media_come_before_the_text_videos_first(folder: Path) -> None:
    row = ROW | {"video": ["clips/b.mp4", str(folder / "clips/a.mp4")], "images": "a.png"}
    (sample,) = task(write(folder, row)).samples("train")
    *media, text = sample.messages[0].content
    assert [(medium.kind, medium.source) for medium in media if isinstance(medium, Media)] == [
        ("video", str(folder / "clips/b.mp4")),
        ("video", str(folder / "clips/a.mp4")),
        ("image", str(folder / "a.png")),
    ]
    assert isinstance(text, str)


def test_media_paths_start_at_media_root_or_beside_the_rows(folder: Path, tmp_path: Path, monkeypatch: Any) -> None:
    path = write(tmp_path, ROW | {"video": "a.mp4"})
    (sample,) = task(path, media_root=str(folder / "clips")).samples("train")
    assert sample.messages[0].content[0] == Media(kind="video", source=str(folder / "clips/a.mp4"))
    write(folder, ROW)
    monkeypatch.chdir(folder)
    (sample,) = task("rows.jsonl").samples("train")
    assert sample.messages[0].content[0] == Media(kind="video", source=str(folder / "clips/a.mp4"))
    with pytest.raises(UserError, match="media_root=/nowhere: there is no such folder"):
        task(path, media_root="/nowhere").samples("train")


FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"video": "clips/missing.mp4"}, "video 'clips/missing.mp4': there is no such file"),
    ({"video": ["clips/a.mp4", "clips/missing.mp4"]}, "video 'clips/missing.mp4'"),
    ({"video": "clips"}, "there is no such file"),
    ({"video": "https://example.com/a.mp4"}, "is on the network; allow fetching with data.fetch=true"),
    ({"video": "a\x00b.mp4"}, "there is no such file"),
    ({"video": "x" * 10_000}, "there is no such file"),
    ({"video": None}, "no video"),
    ({"video": []}, "no video"),
    ({"video": ""}, "no video"),
    ({"video": [""]}, "video must be a path"),
    ({"video": 7}, "video must be a path or paths, got int"),
    ({"video": {"file": "clips/a.mp4"}}, "video must be a path or paths, got dict"),
    ({"video": {"path": "clips/missing.mp4", "bytes": None}}, "video 'clips/missing.mp4'"),
    ({"images": ["no.png"]}, "images 'no.png'"),
    ({"question": None}, "no question"),
    ({"question": ["Which?"]}, "question must be text, got list"),
    ({"answer": None}, "no answer"),
    ({"answer": ["left", "right"]}, "answer must be text, got list"),
    ({"choices": "left, right"}, "choices must be a list"),
    ({"choices": ["left"]}, "choices must be 2 to 26"),
    ({"choices": ["up", "down"]}, "answer 'left' is none of the choices A, B"),
    ({"choices": ["up", "down"], "answer": 2}, "answer '2' is none of the choices"),
    ({"split": "trian"}, "split 'trian' is unknown"),
    ({"pass_rate": -0.1}, "pass_rate must be a number"),
    ({"response": 3 * [1]}, "response must be text"),
    ({"id": "good-0"}, "duplicate id 'good-0'"),
]


@pytest.mark.parametrize(("change", "reason"), FAULTS)
def test_a_faulty_row_is_skipped_and_named(folder: Path, change: dict[str, Any], reason: str) -> None:
    good = [ROW | {"id": f"good-{number}"} for number in range(3)]
    path = write(folder, *good, ROW | {"id": "bad"} | change)
    corpus = task(path).samples("train")
    (skip,) = corpus.skipped
    assert skip.where == f"{path}:4"
    assert reason in skip.reason
    assert "\n" not in skip.reason
    assert len(everything(task(path))) == 3


def test_a_number_that_is_index_and_text_at_once_is_ambiguous(folder: Path) -> None:
    path = write(folder, ROW, ROW | {"id": "2", "choices": ["1", "2"], "answer": 1})
    assert "answer '1' could mean A, B" in task(path).samples("train").skipped[0].reason


def test_an_unreadable_video_is_left_to_the_processor(folder: Path) -> None:
    corpus = task(write(folder, ROW | {"video": "clips/broken.mp4"})).samples("train")
    assert (len(corpus), corpus.skipped) == (1, ())


def test_a_file_without_a_usable_row_names_the_first_fault(folder: Path) -> None:
    path = write(folder, *(ROW | {"id": str(number), "video": f"{number}.mp4"} for number in range(5)))
    with pytest.raises(UserError, match=r"none of its 5 rows can be used; mend them, first .*:1: video '0.mp4'"):
        task(path).samples("train")


def test_splits_cover_the_file_and_repeat(folder: Path) -> None:
    rows = [ROW | {"id": str(number)} for number in range(50)] + [ROW | {"id": "t", "split": "test"}]
    path = write(folder, *rows)
    qa, again = task(path, validation_fraction=0.3), task(path, validation_fraction=0.3)
    assert everything(qa) == everything(again)
    samples = everything(qa, ("train", "validation", "test"))
    assert Counter(sample.sample_id for sample in samples) == Counter(str(row["id"]) for row in rows)
    assert [sample.sample_id for sample in qa.samples("test")] == ["t"]
    with pytest.raises(UserError, match="split=tset"):
        qa.samples("tset")


def test_an_empty_split_is_an_error(folder: Path) -> None:
    with pytest.raises(UserError, match="none of its 1 usable row is in split validation"):
        task(write(folder, ROW)).samples("validation")


def test_parquet_and_jsonl_give_the_same_samples(folder: Path) -> None:
    rows = [
        {"question": f"q{n}", "answer": "b", "choices": {"A": "x", "B": "y"}, "video": ["clips/a.mp4"], "level": n}
        for n in range(20)
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "rows.parquet")
    lines = everything(task(write(folder, *rows)))
    columns = everything(task(str(folder / "rows.parquet")))
    assert [(s.sample_id, s.messages, s.answer, s.metadata) for s in lines] == [
        (s.sample_id, s.messages, s.answer, s.metadata) for s in columns
    ]
    assert columns[0].source.startswith(f"{folder}/rows.parquet:row ")


def test_the_users_own_columns(folder: Path) -> None:
    row = {"q": "Which way?", "label": 1, "options": ["up", "down"], "file": "clips/a.mp4"}
    columns = {"question": "q", "answer": "label", "choices": "options", "video": "file"}
    path = write(folder, row, row | {"file": "no.mp4"})
    corpus = task(path, columns=columns).samples("train")
    assert (corpus[0].answer, corpus[0].metadata) == ("B", {"choices": {"A": "up", "B": "down"}})
    assert corpus.skipped[0].reason.startswith("video (column 'file') 'no.mp4'")


@pytest.mark.parametrize(
    ("answer", "written"), [(2, "2"), (2.5, "2.5"), (True, "yes"), (False, "no"), (" left ", "left")]
)
def test_open_answers_of_other_types(folder: Path, answer: Any, written: str) -> None:
    assert task(write(folder, ROW | {"answer": answer})).samples("train")[0].answer == written


def test_one_column_may_serve_two_fields(folder: Path) -> None:
    row = {"question": "Which way?", "answer": "left", "video": "clips/a.mp4"}
    (sample,) = task(write(folder, row), columns={"id": "video"}).samples("train")
    assert sample.sample_id == "clips/a.mp4"


class Recorded:
    """A source of fixed samples."""

    def __init__(self, *answers: str) -> None:
        self._answers = answers

    def samples(self, split: str) -> Corpus:
        return Corpus(
            samples=tuple(
                Sample(sample_id=f"{split}-{answer}", domain="video_qa", messages=(), answer=answer, source="made")
                for answer in self._answers
            )
        )


def test_without_a_path_the_synthetic_source_is_handed_on() -> None:
    qa: Task = VideoQaTask(rows=RowSource(), synthetic=Recorded("left", "red", "2"))
    samples = qa.samples("validation")
    assert [sample.sample_id for sample in samples] == ["validation-left", "validation-red", "validation-2"]
    for sample, right, wrong in zip(samples, ("Left", "the red", "two"), ("right", "blue", "3"), strict=True):
        assert qa.grade(sample, rf"\boxed{{{right}}}").correct is True
        assert qa.grade(sample, rf"\boxed{{{wrong}}}").correct is False
        assert qa.grade(sample, "").reason == "empty response"


def test_a_path_wins_over_the_synthetic_source(folder: Path) -> None:
    qa = VideoQaTask(rows=RowSource(path=write(folder, ROW)), synthetic=Recorded("left"))
    assert [sample.sample_id for sample in qa.samples("train")] == ["1"]


def test_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UserError, match=r"data.path=null"):
        task(None)
    with pytest.raises(UserError, match=r"validation_fraction=1.5"):
        task("rows.jsonl", validation_fraction=1.5)
    with pytest.raises(UserError, match=r"columns.qestion=q: no such field"):
        task(__file__, columns={"qestion": "q"}).samples("train")


def test_samples_are_graded_alike_in_another_process(folder: Path) -> None:
    """The choices travel with the sample: a task that read no file grades it."""
    (sample,) = task(write(folder, ROW | {"choices": ["right", "left"]})).samples("train")
    fresh = VideoQaTask(rows=RowSource(), synthetic=Recorded())
    assert fresh.grade(pickle.loads(pickle.dumps(sample)), "B").correct is True


def test_the_folder_is_no_top_level_package() -> None:
    root = Path(__file__).resolve().parents[2]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", "import tasks"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment, timeout=60)
    assert run.returncode == 1
    assert "ImportError" in run.stderr and "import uniopd_mm.tasks" in run.stderr
