"""Loads the student and its processor, makes checkpoints, and identifies the weights at a path."""

from pathlib import Path
from typing import Any

from transformers import AutoConfig

from uniopd_mm.config.components import build
from uniopd_mm.config.parts import TeacherConfig
from uniopd_mm.config.train import DataConfig, ModelConfig
from uniopd_mm.data.cache import CachedProcessor
from uniopd_mm.interfaces import Processor
from uniopd_mm.models.backbone import Backbone, load_backbone
from uniopd_mm.types import UserError


def load_student(node: ModelConfig, data: DataConfig, folder: str | None = None) -> tuple[Backbone, Processor]:
    """Load the student and its processor, which caches prompts. `folder` is a checkpoint of the run; None for that of
    the model.

    Raises:
        UserError: there is no such checkpoint, or its processor cannot be built.
    """
    path = folder or checkpoint(node, "model")
    processor = CachedProcessor(load_processor(node, "model", path), data.prompt_cache_mb << 20)
    backbone = load_backbone(path, "model.path", dtype=node.dtype, banned_ids=processor.vocabulary.banned_ids)
    if node.gradient_checkpointing:
        backbone.model.gradient_checkpointing_enable({"use_reentrant": False})
    _check_ids(backbone, processor, path)
    return backbone, processor


def _check_ids(backbone: Backbone, processor: Processor, path: str) -> None:
    """Raises UserError if a stop id or banned id is beyond the model's ids."""
    highest = max((*processor.vocabulary.stop_ids, *processor.vocabulary.banned_ids))
    if highest >= backbone.vocab_size:
        raise UserError(
            f"model.path={path}: its tokenizer's id {highest} is beyond the {backbone.vocab_size} ids of its model; "
            "give a checkpoint with its own tokenizer"
        )


def load_processor(node: ModelConfig | TeacherConfig, key: str, path: str) -> Processor:
    """Raises UserError if the checkpoint folder lacks a file of the processor."""
    try:
        return build(node.processor, f"{key}.processor", path=path)
    except UserError as error:
        raise UserError(f"{key}.path={path}: {error}") from error


def checkpoint(node: ModelConfig | TeacherConfig, key: str) -> str:
    """The path of the checkpoint. If it has a builder, the builder makes it first."""
    if node.builder is None:
        return str(node.path)
    return build(node.builder, f"{key}.builder")


def revision(path: str, offline: bool = False) -> Any:
    """Identifies the weights at a path: a folder's files with sizes and times, or the commit of a hub name, which is
    looked up in the local cache only if `offline`. None if there are none; loading them reports the error."""
    folder = Path(path)
    if folder.is_dir():
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        stats = [(str(file.relative_to(folder)), file.stat()) for file in files]
        return str(folder.resolve()), [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    try:
        return AutoConfig.from_pretrained(path, local_files_only=offline, trust_remote_code=False)._commit_hash
    except (OSError, ValueError):
        return None
