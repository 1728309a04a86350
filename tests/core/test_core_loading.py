"""A student whose parts do not belong together is refused when it is loaded."""

from pathlib import Path

import pytest

from uniopd_mm.config.train import DataConfig, ModelConfig
from uniopd_mm.models.loading import load_student
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.types import UserError


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
