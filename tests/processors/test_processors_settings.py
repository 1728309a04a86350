"""What processors say of themselves: as in the checkpoint's files, or as the user has it; alike for alike ones."""

import json
from pathlib import Path
from typing import Any

import pytest
from processor_parts import Checkpoint

from uniopd_mm.data.cache import CachedProcessor
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.settings import tensor_settings
from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.types import Settings

CLIP_MEAN = "0.48145466 0.4578275 0.40821073"


def settings_of(checkpoint: Checkpoint, **options: Any) -> Settings:
    return QwenVLProcessor(str(checkpoint.folder), **options).settings


def test_settings_are_those_of_the_checkpoint(checkpoint: Checkpoint) -> None:
    patch = "16" if checkpoint.family == "qwen3_vl" else "14"
    found = settings_of(checkpoint)
    for kind in ("image", "video"):
        geometry = [found.binding[f"{kind}.{name}"] for name in ("patch_size", "merge_size", "temporal_patch_size")]
        assert geometry == [patch, "2", "2"]
        assert found.informative[f"{kind}.min_pixels"] == str((2 * int(patch)) ** 2)
    assert found.binding["image.mean"] == CLIP_MEAN and found.binding["image.rescale_factor"] == "0.0039215686"
    assert found.informative["image.max_pixels"] == str(12 * (2 * int(patch)) ** 2)
    assert found.informative["special.eos_token"] == "<|im_end|>"
    assert found.informative["video.fps"] == "2" and found.informative["video.num_frames"] == "none"


def test_every_binding_setting_names_its_kind(qwen3: Checkpoint) -> None:
    assert {name.partition(".")[0] for name in settings_of(qwen3).binding} == {"image", "video"}


def test_families_tell_the_time_of_frames_each_in_its_own_way(checkpoint: Checkpoint) -> None:
    assert settings_of(checkpoint).binding["video.family"] == type(checkpoint.stock).__name__


def test_what_the_user_sets_is_what_is_told(qwen3: Checkpoint) -> None:
    plain = settings_of(qwen3)
    options = {
        "max_pixels": 8192,
        "video_num_frames": 6,
        "video_fps": None,
        "system_prompt": "Be short.",
        "enable_thinking": True,
    }
    told = settings_of(qwen3, **options)
    changed = {name: value for name, value in told.informative.items() if plain.informative[name] != value}
    assert changed == {
        "image.max_pixels": "8192",
        "video.num_frames": "6",
        "video.fps": "none",
        "system_prompt": "Be short.",
        "enable_thinking": "yes",
    }
    assert told.binding == plain.binding


def test_a_saved_processor_says_the_same_again(qwen3: Checkpoint, tmp_path: Path) -> None:
    processor = QwenVLProcessor(str(qwen3.folder), max_pixels=8192)
    processor.save(tmp_path)
    assert QwenVLProcessor(str(tmp_path)).settings == processor.settings


def test_another_template_is_seen(qwen3: Checkpoint, tmp_path: Path) -> None:
    processor = QwenVLProcessor(str(qwen3.folder))
    processor.save(tmp_path)
    template = tmp_path / "chat_template.jinja"
    template.write_text(template.read_text().replace("assistant", "helper"))
    other = QwenVLProcessor(str(tmp_path)).settings
    before = processor.settings.informative
    assert {name for name in before if before[name] != other.informative[name]} == {"chat_template"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"image_mean": [0.25, 0.5, 1]}, {"image.mean": "0.25 0.5 1"}),
        ({"do_normalize": False}, {"image.mean": "none", "image.std": "none"}),
        ({"do_rescale": False}, {"image.rescale_factor": "none"}),
        ({"patch_size": 7, "merge_size": 4}, {"image.patch_size": "7", "image.merge_size": "4"}),
    ],
)
def test_each_setting_of_the_pixels_is_told(
    qwen3: Checkpoint, tmp_path: Path, change: dict[str, Any], expected: dict[str, str]
) -> None:
    qwen3.stock.save_pretrained(tmp_path)
    file = tmp_path / "processor_config.json"
    config = json.loads(file.read_text())
    config["image_processor"] |= change
    file.write_text(json.dumps(config))
    before, after = settings_of(qwen3).binding, QwenVLProcessor(str(tmp_path)).settings.binding
    assert {name: value for name, value in after.items() if before[name] != value} == expected


def test_one_number_is_written_in_one_way(qwen3: Checkpoint) -> None:
    stock = qwen3.stock.image_processor
    told = []
    for mean in ((0.5, 0.5, 1.0), [0.5, 0.5, 1]):
        stock.image_mean, before = mean, stock.image_mean
        told.append(tensor_settings("image", stock))
        stock.image_mean = before
    assert told[0] == told[1] and told[0]["image.mean"] == "0.5 0.5 1"


def test_a_text_processor_reads_no_medium_and_has_its_own_template(qwen3: Checkpoint) -> None:
    text, vl = TextProcessor(str(qwen3.folder)).settings, settings_of(qwen3)
    assert text.binding == {}
    assert text.informative.items() <= vl.informative.items(), "the same tokenizer and template"


def test_a_processor_that_remembers_says_what_it_remembers_for(qwen3: Checkpoint) -> None:
    processor = QwenVLProcessor(str(qwen3.folder), video_fps=3.5)
    assert CachedProcessor(processor, 0).settings == processor.settings
    assert processor.settings.informative["video.fps"] == "3.5"
