"""LoRA checkpoints, merged into plain ones."""

import json
import shutil
from pathlib import Path

import peft
import pytest
import torch

from uniopd_mm.evaluation.adapters import plain_checkpoint
from uniopd_mm.models.backbone import load_model
from uniopd_mm.processors.auto import auto_processor
from uniopd_mm.types import UserError


@pytest.fixture(scope="module")
def adapter(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of the attention's projections that changes much, saved by peft."""
    torch.manual_seed(1)
    config = peft.LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    folder = tmp_path_factory.mktemp("adapter")
    model = peft.get_peft_model(load_model(checkpoint, "model.path"), config)
    model.peft_config["default"].base_model_name_or_path = checkpoint
    model.save_pretrained(folder)
    return folder


def states(path: str, token_ids: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return load_model(path, "model.path")(input_ids=token_ids).logits


def test_a_plain_checkpoint_stays_what_it_is(checkpoint: str) -> None:
    assert plain_checkpoint(checkpoint) == checkpoint
    assert plain_checkpoint("Qwen/Qwen3-VL-2B-Instruct") == "Qwen/Qwen3-VL-2B-Instruct"


def test_the_merged_model_computes_what_base_and_adapter_do(adapter: Path, checkpoint: str) -> None:
    ids = torch.arange(8).unsqueeze(0) + 20
    with torch.no_grad():
        unmerged = peft.PeftModel.from_pretrained(load_model(checkpoint, "model.path"), str(adapter))
        expected = unmerged(input_ids=ids).logits
    found = states(plain_checkpoint(str(adapter)), ids)
    assert (found - expected).abs().max() < 1e-4
    assert (found - states(checkpoint, ids)).abs().max() > 0.01


def test_it_is_merged_once_and_anew_when_the_adapter_changes(adapter: Path, tmp_path: Path) -> None:
    merged = Path(plain_checkpoint(str(adapter)))
    written = merged.stat().st_mtime_ns
    assert Path(plain_checkpoint(str(adapter))) == merged and merged.stat().st_mtime_ns == written
    other = tmp_path / adapter.name
    shutil.copytree(adapter, other)
    assert Path(plain_checkpoint(str(other))) == merged
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 16}))
    assert Path(plain_checkpoint(str(other))) != merged


def test_the_processor_is_the_adapters_where_it_has_one(adapter: Path, tmp_path: Path, checkpoint: str) -> None:
    plain = auto_processor(plain_checkpoint(str(adapter)))
    assert plain.settings == auto_processor(checkpoint).settings
    assert plain.vocabulary == auto_processor(checkpoint).vocabulary
    other = tmp_path / "with_template"
    shutil.copytree(adapter, other)
    template = (Path(checkpoint) / "chat_template.jinja").read_text()
    (other / "chat_template.jinja").write_text(template + "{# its own #}")
    own = auto_processor(plain_checkpoint(str(other)))
    assert own.settings.binding == plain.settings.binding
    assert own.settings.informative["chat_template"] != plain.settings.informative["chat_template"]


def test_adapters_that_cannot_be_merged_are_refused(adapter: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(UserError, match=r"checkpoints=.*: adapter_config\.json names no base_model_name_or_path"):
        plain_checkpoint(str(tmp_path))
    config = json.loads((adapter / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"no adapter_model\.safetensors or adapter_model\.bin there"):
        plain_checkpoint(str(tmp_path))
    gone = {**config, "base_model_name_or_path": str(tmp_path / "gone")}
    (tmp_path / "adapter_config.json").write_text(json.dumps(gone))
    with pytest.raises(UserError, match=r"base_model_name_or_path=.*gone"):
        plain_checkpoint(str(tmp_path))
