"""A student whose parts do not belong together is refused when it is loaded."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from uniopd_mm.config.train import DataConfig, ModelConfig
from uniopd_mm.models.backbone import load_model
from uniopd_mm.models.loading import load_student
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.types import BadSample, Message, Sample, UserError


def node(path: str | Path) -> ModelConfig:
    target = f"{QwenVLProcessor.__module__}.{QwenVLProcessor.__name__}"
    return ModelConfig(name="student", path=str(path), processor={"_target_": target})


def test_a_tokenizer_of_a_larger_model_is_refused(tmp_path: Path, checkpoint: str) -> None:
    backbone, processor = load_student(node(checkpoint), DataConfig())
    assert max(processor.vocabulary.stop_ids) < backbone.vocab_size
    model = backbone.model
    model.resize_token_embeddings(4)
    TinyQwen3VL(hidden_size=64, num_layers=1).write(tmp_path, ["some text"], seed=0)
    model.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"its tokenizer's id \d+ is beyond the 4 ids of its model"):
        load_student(node(tmp_path), DataConfig())


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.trace}",)


WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    torch.save({"a": Payload(folder / "trace")}, folder / "pytorch_model.bin", pickle_module=pickle)


def cut_off(folder: Path) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: len(content) // 2])


def emptied(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def outside(folder: Path) -> None:
    shutil.move(folder / WEIGHTS, folder.parent / "elsewhere.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": "../elsewhere.safetensors"}}))


def missing(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": {"lm_head.weight": "model-1.safetensors"}}))


def no_map(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text("[1, 2]")


def no_json(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text("{")


def other_shapes(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["hidden_size"] = "many"
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize("damage", [pickled, cut_off, emptied, outside, missing, no_map, no_json, other_shapes])
def test_weights_that_are_hostile_or_damaged_are_one_line(
    tmp_path: Path, checkpoint: str, damage: Callable[[Path], None]
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    damage(folder)
    with pytest.raises(
        UserError, match=r"^model\.path=.*; give a complete checkpoint folder or a hub name$"
    ) as refusal:
        load_model(str(folder), "model.path")
    assert "\n" not in str(refusal.value) and not (folder / "trace").exists()


@pytest.mark.parametrize(
    "template",
    [
        "{% macro deeper(n) %}{{ deeper(n + 1) }}{% endmacro %}{{ deeper(0) }}",
        "{{ messages.__class__.__mro__[1].__subclasses__() }}",
        "{{ 'a' * (10 ** 400) }}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content.nothing.at_all }}",
    ],
)
def test_a_hostile_chat_template_is_one_line(tmp_path: Path, checkpoint: str, template: str) -> None:
    folder = tmp_path / "model"
    shutil.copytree(checkpoint, folder)
    (folder / "chat_template.jinja").write_text(template)
    with pytest.raises((UserError, BadSample)) as refusal:
        QwenVLProcessor(str(folder)).encode(
            Sample(sample_id="a", domain="d", messages=(HELLO,), answer=None, source="s")
        )
    assert "\n" not in str(refusal.value)


HELLO = Message(role="user", content=("Hello",))
