"""Loads a checkpoint as a model that lmms-eval can evaluate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from omegaconf import OmegaConf

from uniopd_mm.config.components import build
from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.evaluation.adapters import plain_checkpoint
from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.inference.engine import VLLMEngine
from uniopd_mm.inference.options import with_dtype
from uniopd_mm.interfaces import Processor, RolloutEngine
from uniopd_mm.models.backbone import load_backbone
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.rollout.vllm import VLLMRollout
from uniopd_mm.types import UserError

ENGINES = ("hf", "vllm")
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
PROCESSOR = Path(__file__).parents[1] / "configs" / "processor" / "auto.yaml"
# Large enough for a whole text benchmark, so that vLLM need not wait for the longest responses of each chunk.
VLLM_CHUNK = 1024


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedEngine:
    """An engine with its processor and suitable settings for `EngineModel`."""

    engine: RolloutEngine
    processor: Processor
    max_prompt_tokens: int | None
    prompts_per_chunk: int


def load_engine_model(
    engine: str,
    path: str,
    *,
    dtype: str | None = None,
    options: VLLMOptions | None = None,
    processor: Mapping[str, Any] | None = None,
    seed: int = 0,
    key: str = "checkpoints",
    prompts_per_chunk: int | None = None,
    max_batch_size: int = 64,
    on_progress: Callable[[int], None] | None = None,
) -> EngineModel:
    """A model with its own engine.

    Args:
        prompts_per_chunk: number of prompts passed to the engine at a time; None for the engine's default.

    The other arguments are those of `load_engine` and `EngineModel`.
    """
    loaded = load_engine(
        engine, path, dtype=dtype, options=options, processor=processor, key=key, max_batch_size=max_batch_size
    )
    return EngineModel(
        loaded.engine,
        loaded.processor,
        seed=seed,
        max_prompt_tokens=loaded.max_prompt_tokens,
        prompts_per_chunk=prompts_per_chunk or loaded.prompts_per_chunk,
        on_progress=on_progress,
    )


def load_engine(
    engine: str,
    path: str,
    *,
    dtype: str | None = None,
    options: VLLMOptions | None = None,
    processor: Mapping[str, Any] | None = None,
    key: str = "checkpoints",
    max_batch_size: int = 64,
) -> LoadedEngine:
    """Load a checkpoint into an engine.

    Args:
        engine: hf or vllm.
        path: a checkpoint folder, the folder of a LoRA adapter, or a hub name.
        dtype: dtype of weights and computation, bfloat16 or float32; None for bfloat16 on a GPU and float32 on a CPU.
        options: options of vLLM; a dtype set there takes precedence.
        processor: the component that makes the processor from `path`; None for configs/processor/auto.yaml.
        key: the configuration key to name in errors.
        max_batch_size: number of sequences that the engine hf computes at a time.

    Raises:
        UserError: an unknown engine or dtype, or the checkpoint cannot be loaded.
    """
    if engine not in ENGINES:
        raise UserError(f"engine={engine}: no such engine; choose {' or '.join(ENGINES)}")
    dtype = known_dtype(dtype)
    plain = plain_checkpoint(path, key)
    built = _processor(processor or processor_node(), plain, key)
    if engine == "hf":
        banned = built.vocabulary.banned_ids
        backbone = load_backbone(plain, key, dtype=dtype, banned_ids=banned, stored=DTYPES[dtype])
        hf = HFRollout(backbone, built, max_batch_size=max_batch_size)
        return LoadedEngine(engine=hf, processor=built, max_prompt_tokens=None, prompts_per_chunk=max_batch_size)
    vllm = VLLMEngine(plain, with_dtype(options or VLLMOptions(), dtype), key=key)
    return LoadedEngine(
        engine=VLLMRollout(vllm, built.vocabulary),
        processor=built,
        max_prompt_tokens=vllm.max_model_len - 1,  # vLLM writes at least one token
        prompts_per_chunk=VLLM_CHUNK,
    )


def processor_node(**changes: Any) -> dict[str, Any]:
    """The component of configs/processor/auto.yaml, with some parameters changed.

    Raises:
        UserError: an unknown parameter.
    """
    node: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(PROCESSOR))  # type: ignore[assignment]
    known = sorted(name for name in node if not name.startswith("_"))
    for name, value in changes.items():
        if name not in known:
            raise UserError(f"{name}={value}: no such parameter; choose from {', '.join(known)}")
    return node | changes


def known_dtype(dtype: str | None) -> str:
    """The name of the dtype; for None or "auto", the default of the hardware.

    Raises:
        UserError: the engines do not support it.
    """
    if dtype is None or dtype == "auto":
        return "bfloat16" if torch.cuda.is_available() else "float32"
    if dtype not in DTYPES:
        raise UserError(f"dtype={dtype}: no such dtype; choose {' or '.join(DTYPES)}")
    return dtype


def _processor(node: Mapping[str, Any], path: str, key: str) -> Processor:
    try:
        return build(node, "processor", path=path)
    except UserError as error:
        raise UserError(f"{key}={path}: {error}") from error
