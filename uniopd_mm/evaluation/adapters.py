"""LoRA adapters as plain checkpoints, which both engines load: merged once and kept in the cache folder."""

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from transformers import AutoConfig

from uniopd_mm.config.components import build
from uniopd_mm.models.backbone import load_model
from uniopd_mm.runtime.cache import made_cache_folder
from uniopd_mm.types import UserError

ADAPTER, BASE = "adapter_config.json", "base_model_name_or_path"
WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
# Files of a processor. Those in the adapter's folder replace those of its base.
PROCESSOR_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.*",
    "processor_config.json",
    "*preprocessor_config.json",
)


def plain_checkpoint(path: str, key: str = "checkpoints") -> str:
    """`path` itself, or for an adapter's folder, the folder of its base with the adapter merged into it.

    Raises:
        UserError: peft is not installed, or the adapter or its base cannot be loaded. Errors name the configuration key
            `key`.
    """
    folder = Path(path)
    if not (folder / ADAPTER).is_file():
        return path
    base = _base(folder, key)
    merged = made_cache_folder("merged") / f"{folder.resolve().name}_{_digest(folder, base)}"
    with FileLock(merged.with_suffix(".lock")):
        if not merged.exists():
            with tempfile.TemporaryDirectory(prefix=f"{merged.name}.", dir=merged.parent) as scratch:
                checkpoint = Path(scratch) / "checkpoint"
                _merge(folder, base, checkpoint, key)
                checkpoint.replace(merged)
    return str(merged)


def _base(folder: Path, key: str) -> str:
    """The base's folder or hub name. A relative path may be relative to the adapter's folder."""
    try:
        base = json.loads((folder / ADAPTER).read_text())[BASE]
    except (ValueError, KeyError, OSError) as error:
        raise UserError(f"{key}={folder}: {ADAPTER} names no {BASE}; save the adapter with peft") from error
    beside = folder / str(base)
    return str(beside) if not Path(base).exists() and beside.is_dir() else str(base)


def _digest(folder: Path, base: str) -> str:
    """A hash of the adapter's files and of the base: its name, and the sizes and times of its files."""
    content = hashlib.sha256(str(Path(base).resolve() if Path(base).is_dir() else base).encode())
    for file in sorted(file for file in folder.iterdir() if file.is_file()):
        content.update(file.name.encode() + file.read_bytes())
    for file in sorted(Path(base).iterdir()) if Path(base).is_dir() else ():
        content.update(f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}".encode())
    return content.hexdigest()[:16]


def _merge(folder: Path, base: str, out: Path, key: str) -> None:
    """Merge in float32, and save in the dtype of the base's weights."""
    try:
        from peft import PeftModel  # optional
    except ImportError as error:
        raise UserError(f"{key}={folder}: a LoRA adapter needs peft; run pip install 'uniopd-mm[lora]'") from error
    model: Any = load_model(base, f"{key}={folder}: {BASE}")
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise UserError(f"{key}={folder}: no {' or '.join(WEIGHTS)} there; save the adapter with peft")
    try:
        merged = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    except (ValueError, RuntimeError, KeyError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"{key}={folder}: its weights do not fit {base}: {reason}") from error
    merged.to(_dtype(base)).save_pretrained(out)
    _add_processor(folder, base, out)


def _dtype(base: str) -> torch.dtype:
    """The dtype in which the base's weights are stored."""
    config = AutoConfig.from_pretrained(base, trust_remote_code=False)
    return config.dtype or config.get_text_config().dtype or torch.float32


def _add_processor(folder: Path, base: str, out: Path) -> None:
    build({"_target_": "uniopd_mm.processors.auto.auto_processor"}, "processor", path=base).save(out)
    for pattern in PROCESSOR_FILES:
        for file in folder.glob(pattern):
            shutil.copy(file, out / file.name)
