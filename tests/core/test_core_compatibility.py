"""Student and teachers compared by what they say of themselves: what differs is named, what would corrupt scores is
refused, before anything is asked."""

import json
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from core_parts import sample
from roster_parts import TEXT, VL, roster, student_model
from transformers import AutoTokenizer, Qwen3Config, Qwen3ForCausalLM

from uniopd_mm.config.parts import Reads, TeacherConfig
from uniopd_mm.config.train import ModelConfig, RecipeConfig, RolloutConfig, TrainConfig
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.models.compatibility import compare, refuse, rows_of
from uniopd_mm.models.identity import Identity, identity_of, vocabulary_digest
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.run.plan import show_compatibility, show_teachers
from uniopd_mm.teachers.loading import load_base
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.probe import StudentModel
from uniopd_mm.teachers.self_test import Assignment, assignments
from uniopd_mm.types import Sample, Settings, UserError, Vocabulary

TOKENS = {"a": 0, "b": 1, "<end>": 2}
BINDING = {"image.patch_size": "16", "image.mean": "0.5", "video.patch_size": "16"}


def identity(tokens: dict[str, int] = TOKENS, **changed: Any) -> Identity:
    vocabulary = Vocabulary(tokens=tokens, stop_ids=(2,), banned_ids=(), pad_id=0)
    plain = Identity(
        vocabulary=vocabulary_digest(vocabulary),
        num_tokens=len(tokens),
        stop_ids=vocabulary.stop_ids,
        banned_ids=vocabulary.banned_ids,
        vocab_size=4,
        settings=Settings(binding=BINDING, informative={"chat_template": "f00", "image.max_pixels": "100"}),
        tokens=tokens,
    )
    return replace(plain, **changed)


def told(binding: dict[str, str] = BINDING, **informative: str) -> Settings:
    return Settings(binding=binding, informative={"chat_template": "f00", "image.max_pixels": "100", **informative})


STUDENT = identity()


def refused(
    teacher: Identity, reads: Reads = Reads.IDS, kinds: Collection[str] = ("image",), student: Identity = STUDENT
) -> list[str]:
    return [one.name for one in compare(student, teacher, reads, kinds) if one.refusal]


def named(teacher: Identity) -> dict[str, tuple[str | None, str | None]]:
    return {one.name: (one.student, one.teacher) for one in compare(STUDENT, teacher, Reads.IDS, ("image",))}


def test_alike_ones_do_not_differ() -> None:
    assert compare(STUDENT, identity(), Reads.IDS, ("image", "video")) == []


def test_what_differs_is_named_with_both_values() -> None:
    teacher = identity(settings=told({**BINDING, "image.mean": "0.4"}, chat_template="bad", more="x"), vocab_size=3)
    assert named(teacher) == {
        "rows of the embedding": ("4", "3"),
        "image.mean": ("0.5", "0.4"),
        "chat_template": ("f00", "bad"),
        "more": (None, "x"),
    }
    assert refused(teacher) == ["image.mean"], "templates and sizes corrupt nothing"


def test_what_would_corrupt_scores_is_refused() -> None:
    assert refused(identity({"a": 0, "b": 1, "<end>": 3})) == ["vocabulary"]
    assert refused(identity({"a": 0, "<end>": 2})) == ["vocabulary"]
    assert refused(identity(stop_ids=(1, 2))) == ["stop ids"]
    assert refused(identity(banned_ids=(1,))) == ["banned ids"]
    assert refused(identity(settings=told({**BINDING, "image.patch_size": "14"}))) == ["image.patch_size"]


def test_a_teacher_may_know_more_tokens_where_they_can_be_compared() -> None:
    more = {**TOKENS, "c": 3}
    assert named(identity(more)).keys() == {"vocabulary"} and refused(identity(more)) == []
    assert refused(replace(identity(more), tokens=None)) == ["vocabulary"]
    assert refused(replace(STUDENT, tokens=None)) == [], "the digest says it"


def test_only_media_that_are_taught_count() -> None:
    other = identity(settings=told({**BINDING, "video.patch_size": "14"}))
    assert refused(other, kinds=("image",)) == refused(other, kinds=()) == []
    assert refused(other, kinds=("image", "video")) == ["video.patch_size"]


def test_an_engine_that_reads_media_itself_may_read_them_otherwise() -> None:
    other = identity(settings=told({**BINDING, "image.mean": "0.4"}), preprocesses=True)
    assert refused(other) == [] and "image.mean" in named(other)


@pytest.mark.parametrize("preprocesses", [False, True])
def test_a_teacher_without_eyes_is_refused_where_there_is_something_to_see(preprocesses: bool) -> None:
    blind = identity(settings=told({}), preprocesses=preprocesses)
    assert refused(blind, kinds=()) == []
    differences = compare(STUDENT, blind, Reads.IDS, ("image",))
    expected = (
        r"^teacher=t: media is none, but image video for the student; its prompts contain media of kind image; set its "
        r"reads=TOKENS and media=CAPTION or NOTHING$"
    )
    with pytest.raises(UserError, match=expected):
        refuse("t", differences)
    half = identity(settings=told({"video.patch_size": "16"}))
    assert refused(half, kinds=("video",)) == [] and refused(half, kinds=("image", "video")) == ["media"]


@pytest.mark.parametrize("reads", [Reads.TOKENS, Reads.TEXT])
def test_a_teacher_with_prompts_of_its_own_may_be_anything(reads: Reads) -> None:
    other = identity({"x": 0}, stop_ids=(0,), banned_ids=(7,), settings=Settings(binding={}, informative={}))
    assert refused(other, reads) == []
    refuse("t", compare(STUDENT, other, reads, ("image",)))


def test_a_table_has_what_differs_and_counts_the_rest() -> None:
    template = "x" * 60
    rows = rows_of(STUDENT.described, {"a": identity(settings=told(chat_template=template)).described, "b": None})
    by_name = {row[""]: row for row in rows}
    assert by_name["chat_template"] == {"": "chat_template", "student": "f00", "a": "x" * 39 + "…", "b": "unknown"}
    assert by_name["stop ids"] == {"": "stop ids", "student": "2", "a": "the same", "b": "unknown"}
    assert [*by_name][-1] == "4 more" and "image.mean" not in by_name
    absent = rows_of({}, {"a": {"only": "1"}})
    assert absent[0] == {"": "only", "student": "-", "a": "1"}
    blind = {row[""]: row["a"] for row in rows_of(STUDENT.described, {"a": identity(settings=told({})).described})}
    assert blind["media"] == "none" and "image.mean" not in blind


def test_a_digest_is_of_tokens_and_ids_in_any_order(processor: QwenVLProcessor) -> None:
    def digest(tokens: dict[str, int]) -> str:
        return vocabulary_digest(replace(processor.vocabulary, tokens=tokens))

    assert digest({"a": 0, "b": 1}) == digest({"b": 1, "a": 0}) != digest({"a": 1, "b": 0})
    mine = identity_of(processor, 640)
    assert mine.vocabulary == vocabulary_digest(processor.vocabulary) and mine.settings == processor.settings


@pytest.fixture
def student(processor: QwenVLProcessor, backbone: Backbone) -> StudentModel:
    return student_model(processor, backbone)


def altered(checkpoint: str, folder: Path, file: str, **changes: Any) -> str:
    """A copy of the checkpoint with other settings in a file's part."""
    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
    config = json.loads((folder / file).read_text())
    for part, values in changes.items():
        config[part] = {**config[part], **values} if isinstance(values, dict) else values
    (folder / file).write_text(json.dumps(config))
    return str(folder)


def test_another_mean_of_videos_is_refused_unless_the_teacher_reads_them_itself(
    checkpoint: str, processor: QwenVLProcessor, student: StudentModel, samples: tuple[Sample, ...], tmp_path: Path
) -> None:
    path = altered(checkpoint, tmp_path, "processor_config.json", video_processor={"image_mean": [0.4, 0.4, 0.4]})
    with pytest.raises(
        UserError, match=r"^teacher=t: video.mean is 0.4 0.4 0.4, but 0.5 0.5 0.5 for the student; .*reads=TOKENS"
    ):
        assignments(roster(processor, {"t": {"path": path}}), samples, student)
    own = roster(processor, {"t": {"path": path, "reads": "TOKENS"}})
    (taught,) = assignments(own, samples, student)
    assert [(one.name, one.refusal) for one in taught.differences] == [("video.mean", None)]
    assert taught.self_test is not None and taught.probes == ()
    only_text = assignments(roster(processor, {"t": {"path": path}}), [sample()], student)
    assert [one.name for one in only_text[0].differences] == ["video.mean"] and len(only_text[0].probes) == 1


def test_a_base_model_is_compared_too(checkpoint: str, processor: QwenVLProcessor, tmp_path: Path) -> None:
    def base(path: str) -> LocalTeacher:
        config = TrainConfig(
            task={},
            model=ModelConfig(name="m", path=checkpoint, processor=VL),
            teacher=TeacherConfig(name="t", processor=VL),
            rollout=RolloutConfig(engine={}),
            recipe=RecipeConfig(name="r", objective={}, base_path=path),
        )
        return load_base(config, processor)

    assert base(checkpoint).name == "base"
    path = altered(checkpoint, tmp_path, "processor_config.json", image_processor={"image_std": [1, 1, 1]})
    with pytest.raises(
        UserError, match=r"^recipe.base_path=.*: image.std is 1 1 1, but 0.5 0.5 0.5 for the student; choose"
    ):
        base(path)


def test_other_ends_of_a_turn_are_refused(
    checkpoint: str, processor: QwenVLProcessor, student: StudentModel, samples: tuple[Sample, ...], tmp_path: Path
) -> None:
    path = altered(checkpoint, tmp_path, "generation_config.json", eos_token_id=[2, 30])
    with pytest.raises(UserError, match="teacher=t: stop ids is 0 2 30, but 0 2 for the student; set the same"):
        assignments(roster(processor, {"t": {"path": path}}), samples, student)


@pytest.fixture
def blind_path(checkpoint: str, tmp_path: Path) -> str:
    """A text-only model with the student's tokenizer, and some rows less in its embedding than the student has."""
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    torch.manual_seed(6)
    config = Qwen3Config(
        vocab_size=len(tokenizer) - 3,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        initializer_range=0.2,
        bos_token_id=0,
        eos_token_id=2,
    )
    Qwen3ForCausalLM(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    return str(tmp_path)


def test_a_text_only_teacher_of_the_students_ids(
    blind_path: str,
    processor: QwenVLProcessor,
    student: StudentModel,
    samples: tuple[Sample, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It may teach texts; of clips it would read but the places."""
    of = roster(processor, {"t": {"path": blind_path, "processor": TEXT}})
    with pytest.raises(
        UserError, match=r"its prompts contain media of kind video; set its reads=TOKENS and media=CAPTION"
    ):
        assignments(of, [sample(), samples[0]], student)
    (taught,) = assignments(of, [sample()], student)
    assert taught.self_test is not None and len(taught.probes) == 1
    rows = student.identity.vocab_size
    assert f"warning: teacher=t has {rows - 3} ids, the student {rows}" in " ".join(capsys.readouterr().out.split())


def test_the_table_and_the_file(
    checkpoint: str,
    processor: QwenVLProcessor,
    student: StudentModel,
    samples: tuple[Sample, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wide = {"_target_": "uniopd_mm.processors.qwen_vl.QwenVLProcessor", "video_fps": 7.5}
    (taught,) = assignments(roster(processor, {"t": {"path": checkpoint, "processor": wide}}), samples, student)
    show_teachers(tmp_path, [taught], is_main=True)
    (written,) = json.loads((tmp_path / "teachers.json").read_text())
    assert {"name": "video.fps", "student": "2", "teacher": "7.5", "refusal": None} in written["differences"]
    assert written["settings"]["video.mean"] == "0.5 0.5 0.5"
    assert written["probes"] == [
        {"sample_id": probe.sample_id, "answer": probe.answer, "logprob": probe.logprob} for probe in taught.probes
    ]
    capsys.readouterr()
    stranger = replace(taught, teacher="stranger", settings=None, self_test=None, probes=())
    show_compatibility(student.identity.described, [taught, stranger])
    lines = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert {"video.fps 2 7.5 unknown", "chat_template " + chat_template(taught) + " the same unknown"} <= lines
    assert f"the student's answers - {taught.probes[0].logprob:.3f} -" in lines


def chat_template(of: Assignment) -> str:
    assert of.settings is not None
    return of.settings["chat_template"]
