"""Teachers behind servers of python -m uniopd_mm.serve, compared with the student as those in this process are."""

import json
import shutil
from pathlib import Path
from queue import Queue
from threading import Thread
from typing import Any

import pytest
from roster_parts import VL, roster, student_model

from uniopd_mm.config.parts import TeacherConfig
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.serve import load
from uniopd_mm.serving.server import ServerOptions, run_server
from uniopd_mm.teachers.probe import StudentModel
from uniopd_mm.teachers.self_test import Assignment, assignments
from uniopd_mm.types import Sample, UserError
from uniopd_mm.wire.codec import Malformed
from uniopd_mm.wire.info import read_info


@pytest.fixture
def student(processor: QwenVLProcessor, backbone: Backbone) -> StudentModel:
    return student_model(processor, backbone)


def served(path: str) -> str:
    """The address of a teacher, which is served as long as this process lives."""
    announced: Queue[str] = Queue()
    plan = TeacherConfig(name="t", path=path, processor=VL)
    Thread(
        target=run_server,
        args=(ServerOptions(), lambda: load(plan, "teacher", top_k=0), announced.put),
        daemon=True,
    ).start()
    return announced.get(timeout=300).rpartition(" at ")[2]


def altered(checkpoint: str, folder: Path, **changes: dict[str, Any]) -> str:
    """A copy of the checkpoint with other processor settings."""
    shutil.copytree(checkpoint, folder)
    file = folder / "processor_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, **{part: {**config[part], **values} for part, values in changes.items()}}))
    return str(folder)


def met(url: str | list[str], student: StudentModel, samples: tuple[Sample, ...], **entry: Any) -> Assignment:
    urls = [url] if isinstance(url, str) else url
    of = roster(student.processor, {"t": {"engine": "remote", "urls": urls, **entry}})  # type: ignore[arg-type]
    (taught,) = assignments(of, samples, student)
    return taught


def test_a_server_of_the_same_checkpoint_says_and_scores_the_same(
    checkpoint: str, processor: QwenVLProcessor, student: StudentModel, samples: tuple[Sample, ...]
) -> None:
    there = met(served(checkpoint), student, samples)
    (here,) = assignments(roster(processor, {"t": {"path": checkpoint}}), samples, student)
    assert there.differences == here.differences == () and there.settings == here.settings
    assert there.probes[0].logprob == pytest.approx(here.probes[0].logprob, abs=1e-6)
    assert there.self_test is not None and here.self_test is not None
    assert there.self_test.answer == here.self_test.answer


def test_a_server_with_another_mean_is_refused(
    checkpoint: str, student: StudentModel, samples: tuple[Sample, ...], tmp_path: Path
) -> None:
    url = served(altered(checkpoint, tmp_path / "other", video_processor={"image_mean": [0.4, 0.4, 0.4]}))
    with pytest.raises(UserError, match=r"^teacher=t: video.mean is 0.4 0.4 0.4, but 0.5 0.5 0.5 for the student; "):
        met(url, student, samples)
    expected = r"^teacher=t: video.mean is 0.4 0.4 0.4, but 0.5 0.5 0.5 for its processor here; set its path to the"
    with pytest.raises(UserError, match=expected):
        met(url, student, samples, reads="TOKENS", path=checkpoint)
    told = met(url, student, samples, reads="TOKENS", path=checkpoint, media="NOTHING")
    assert [one.name for one in told.differences] == ["video.mean"], "it is shown no video"


def test_servers_of_one_teacher_have_one_processor(
    checkpoint: str, student: StudentModel, samples: tuple[Sample, ...], tmp_path: Path
) -> None:
    urls = [served(checkpoint), served(altered(checkpoint, tmp_path / "other", image_processor={"merge_size": 4}))]
    with pytest.raises(UserError, match=r"are not the same teacher: image.merge_size 2 and 4"):
        met(urls, student, samples)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"protocol": 0}, "uses protocol 0"),
        ({"settings": None}, "is not that of a uniopd_mm.serve server"),
        ({"settings": {"binding": {}}}, "is not that of a uniopd_mm.serve server"),
        ({"settings": {"binding": "image", "informative": {}}}, "is not that of a uniopd_mm.serve server"),
        ({"needs": "pictures"}, "is not that of a uniopd_mm.serve server"),
    ],
)
def test_what_no_server_says_is_no_description(checkpoint: str, change: dict[str, Any], said: str) -> None:
    plan = TeacherConfig(name="t", path=checkpoint, processor=VL)
    info = load(plan, "teacher", top_k=0).info
    assert read_info(info.json()) == info and info.settings.binding["image.patch_size"] == "16"
    with pytest.raises(Malformed, match=said):
        read_info(json.dumps({**json.loads(info.json()), **change}).encode())


def test_a_server_may_know_more_tokens(
    checkpoint: str, student: StudentModel, samples: tuple[Sample, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "more"
    shutil.copytree(checkpoint, folder)
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    added = {"id": len(student.processor.vocabulary.tokens), "content": "<more>", **plain}
    tokenizer["added_tokens"].append(added)
    file.write_text(json.dumps(tokenizer))
    taught = met(served(str(folder)), student, samples)
    assert [(one.name, one.refusal) for one in taught.differences] == [("vocabulary", None)]
    assert len(taught.probes) == 1
