"""The models behind `lmms-eval --model uniopd_hf` and `--model uniopd_vllm`, with their `--model_args`.

lmms-eval parses `pretrained=PATH,dtype=bfloat16,seed=1,max_pixels=401408` into numbers, booleans and strings. Besides
the parameters listed here, every parameter of configs/processor/auto.yaml is accepted.
"""

import os
from collections.abc import Sequence
from typing import Any, final

from lmms_eval.api.instance import GenerationResult, Instance

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.evaluation.model_loading import load_engine, processor_node
from uniopd_mm.models.backbone import best_device
from uniopd_mm.tracking.console import warning
from uniopd_mm.types import UserError

KEY = "pretrained"
ABSENT = ("none", "null")  # spellings of None on lmms-eval's command line


class CommandLineModel(EngineModel):
    """Base of both classes: handles lmms-eval's command line."""

    def __init__(
        self, engine: str, pretrained: str, seed: int, device: str | None, given: dict[str, Any], **known: Any
    ) -> None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UserError(
                "WORLD_SIZE: these models run in one process; start it without a launcher, or use python -m "
                "uniopd_mm.evaluate, which distributes tasks over GPUs"
            )
        if device is not None and not str(device).startswith(_device_type()):
            warning(f"--device {device}: the model runs on {_device_type()}; use CUDA_VISIBLE_DEVICES to choose a GPU")
        node = processor_node(**{name: _value(value) for name, value in given.items()})
        loaded = load_engine(engine, str(pretrained), processor=node, key=KEY, **known)
        super().__init__(
            loaded.engine,
            loaded.processor,
            seed=seed,
            max_prompt_tokens=loaded.max_prompt_tokens,
            prompts_per_chunk=loaded.prompts_per_chunk,
        )

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """See `EngineModel.generate_until`.

        Raises:
            UserError: no question can be read. Without an error, lmms-eval would print the score of empty responses.
        """
        results = super().generate_until(requests)
        if self.stats.unreadable and not self.stats.num_responses:
            first = self.stats.unreadable[0]
            raise UserError(f"no question can be read; the first: {first.where}: {first.reason}")
        return results


@final
class UniopdHF(CommandLineModel):
    """Generates with transformers.

    Args:
        pretrained: a checkpoint folder, the folder of a LoRA adapter, or a hub name.
        dtype: bfloat16 or float32; None for bfloat16 on a GPU and float32 on a CPU.
        max_batch_size: number of sequences computed at a time (`--max_batch_size`).
        batch_size: ignored, because lmms-eval's default of 1 would make it slow.
        device: a GPU is used if there is one.
        processor: parameters of configs/processor/auto.yaml.
    """

    def __init__(
        self,
        pretrained: str,
        *,
        dtype: str | None = None,
        seed: int = 0,
        max_batch_size: int = 64,
        batch_size: int | str | None = None,
        device: str | None = None,
        **processor: Any,
    ) -> None:
        known = {"dtype": _value(dtype), "max_batch_size": max_batch_size}
        super().__init__("hf", pretrained, seed, device, processor, **known)


@final
class UniopdVLLM(CommandLineModel):
    """Generates with vLLM, which batches by itself: `batch_size` and `max_batch_size` are ignored.

    Args:
        max_model_len: maximum of prompt and response tokens together; None for what fits.
        gpu_memory_utilization: share of the GPU's memory. The default is high because no trainer needs memory.
        processor: parameters of configs/processor/auto.yaml.

    The other parameters are those of `UniopdHF` and `VLLMOptions`.
    """

    def __init__(
        self,
        pretrained: str,
        *,
        dtype: str | None = None,
        seed: int = 0,
        max_model_len: int | None = None,
        gpu_memory_utilization: float = 0.9,
        kv_cache_mb: int | None = None,
        tensor_parallel_size: int = 1,
        max_num_seqs: int = 256,
        enforce_eager: bool = False,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        device: str | None = None,
        **processor: Any,
    ) -> None:
        options = VLLMOptions(
            max_model_len=_value(max_model_len),
            gpu_memory_utilization=gpu_memory_utilization,
            kv_cache_mb=_value(kv_cache_mb),
            tensor_parallel_size=tensor_parallel_size,
            max_num_seqs=max_num_seqs,
            enforce_eager=enforce_eager,
        )
        super().__init__("vllm", pretrained, seed, device, processor, dtype=_value(dtype), options=options)


def _device_type() -> str:
    return best_device().type


def _value(given: Any) -> Any:
    return None if isinstance(given, str) and given.lower() in ABSENT else given
