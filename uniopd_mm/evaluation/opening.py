"""From a checkpoint to a model that lmms-eval can evaluate."""

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
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.rollout.vllm import VLLMRollout
from uniopd_mm.types import UserError

ENGINES = ("hf", "vllm")
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}
PROCESSOR = Path(__file__).parents[1] / "configs" / "processor" / "auto.yaml"
# A whole text benchmark at a time, so that vLLM need not wait for the longest responses of one part after the other.
VLLM_CHUNK = 1024


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Opened:
    """An engine with its processor, and what suits it: see `EngineModel`."""

    engine: RolloutEngine
    processor: Processor
    max_prompt_tokens: int | None
    prompts_per_chunk: int


def open_model(
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
    advanced: Callable[[int], None] | None = None,
) -> EngineModel:
    """A model on an engine of its own.

    Args:
        prompts_per_chunk: handed to the engine at a time; None for what suits it.

    The rest is as in `open_engine` and `EngineModel`.
    """
    opened = open_engine(
        engine, path, dtype=dtype, options=options, processor=processor, key=key, max_batch_size=max_batch_size
    )
    return EngineModel(
        opened.engine,
        opened.processor,
        seed=seed,
        max_prompt_tokens=opened.max_prompt_tokens,
        prompts_per_chunk=prompts_per_chunk or opened.prompts_per_chunk,
        advanced=advanced,
    )


def open_engine(
    engine: str,
    path: str,
    *,
    dtype: str | None = None,
    options: VLLMOptions | None = None,
    processor: Mapping[str, Any] | None = None,
    key: str = "checkpoints",
    max_batch_size: int = 64,
) -> Opened:
    """
    Args:
        engine: hf or vllm.
        path: a checkpoint folder, that of a LoRA adapter, or a hub name.
        dtype: of weights and computation, bfloat16 or float32; None for bfloat16 on a GPU and float32 on a CPU.
        options: of vLLM; their own dtype wins.
        processor: the component that makes it from `path`; None for that of configs/processor/auto.yaml.
        key: the configuration key to name in errors.
        max_batch_size: sequences that the engine hf computes at a time.

    Raises:
        UserError: an unknown engine or dtype, or the checkpoint cannot be loaded.
    """
    if engine not in ENGINES:
        raise UserError(f"engine={engine}: no such engine; choose {' or '.join(ENGINES)}")
    dtype = known_dtype(dtype)
    plain = plain_checkpoint(path, key)
    made = _processor(processor or processor_node(), plain, key)
    if engine == "hf":
        hf = HFRollout(_backbone(plain, key, dtype, made), made, max_batch_size=max_batch_size)
        return Opened(engine=hf, processor=made, max_prompt_tokens=None, prompts_per_chunk=max_batch_size)
    vllm = VLLMEngine(plain, with_dtype(options or VLLMOptions(), dtype), key=key)
    return Opened(
        engine=VLLMRollout(vllm, made.vocabulary),
        processor=made,
        max_prompt_tokens=vllm.max_model_len - 1,  # vLLM writes at least one token
        prompts_per_chunk=VLLM_CHUNK,
    )


def processor_node(**changes: Any) -> dict[str, Any]:
    """The component of configs/processor/auto.yaml, with other values for some of its parameters.

    Raises:
        UserError: it has no such parameter.
    """
    node: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(PROCESSOR))  # type: ignore[assignment]
    known = sorted(name for name in node if not name.startswith("_"))
    for name, value in changes.items():
        if name not in known:
            raise UserError(f"{name}={value}: no such parameter; the processor takes {', '.join(known)}")
    return node | changes


def known_dtype(dtype: str | None) -> str:
    """The dtype's name, chosen by what there is to compute with where it is None or "auto".

    Raises:
        UserError: the engines do not compute in it.
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


def _backbone(path: str, key: str, dtype: str, processor: Processor) -> Backbone:
    model = load_model(path, key, DTYPES[dtype])
    return Backbone(model, banned_ids=processor.vocabulary.banned_ids, dtype=dtype)
