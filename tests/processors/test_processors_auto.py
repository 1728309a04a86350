"""The processor that a checkpoint's own configuration asks for."""

import inspect
from pathlib import Path

import pytest
import yaml
from processor_parts import Checkpoint, byte_level_bpe
from transformers import Qwen3Config, Qwen3VLConfig

from uniopd_mm.processors.auto import auto_processor
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.types import UserError

YAML = Path(__file__).parents[2] / "configs" / "processor" / "auto.yaml"


@pytest.fixture
def text(tmp_path: Path) -> str:
    tokenizer = byte_level_bpe()
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}{{ enable_thinking }}"
    tokenizer.save_pretrained(tmp_path)
    Qwen3Config().save_pretrained(tmp_path)
    return str(tmp_path)


@pytest.fixture
def vision(qwen3: Checkpoint) -> str:
    Qwen3VLConfig().save_pretrained(qwen3.folder)
    return str(qwen3.folder)


def test_with_eyes(vision: str) -> None:
    found = auto_processor(vision, max_pixels=8192, video_num_frames=6, video_fps=None, enable_thinking=True)
    expected = QwenVLProcessor(vision, max_pixels=8192, video_num_frames=6, video_fps=None, enable_thinking=True)
    assert isinstance(found, QwenVLProcessor) and found.settings == expected.settings
    assert auto_processor(vision).settings == QwenVLProcessor(vision).settings


def test_without_eyes_there_is_nothing_to_bound(text: str) -> None:
    found = auto_processor(text, max_pixels=8192, video_num_frames=6, enable_thinking=True, system_prompt="Short.")
    assert isinstance(found, TextProcessor)
    assert found.settings == TextProcessor(text, enable_thinking=True, system_prompt="Short.").settings


def test_every_parameter_of_either_can_be_given_and_stands_in_the_yaml() -> None:
    given = inspect.signature(auto_processor).parameters
    for kind in (QwenVLProcessor, TextProcessor):
        for name, parameter in inspect.signature(kind).parameters.items():
            assert given[name].default == parameter.default
    node = yaml.safe_load(YAML.read_text())
    assert node.pop("_target_") == "uniopd_mm.processors.auto.auto_processor"
    assert node == {name: parameter.default for name, parameter in given.items() if name != "path"}


def test_a_folder_without_a_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded"):
        auto_processor(str(tmp_path))
