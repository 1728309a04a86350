"""`lmms-eval --model uniopd_hf` and `--model uniopd_vllm`: what their `--model_args` make.

lmms-eval reads `pretrained=PATH,dtype=bfloat16,seed=1,max_pixels=401408` into numbers, booleans and texts. Beside what
is named here, every parameter of configs/processor/auto.yaml may be given.
"""

import os
from collections.abc import Sequence
from typing import Any, final

from lmms_eval.api.instance import GenerationResult, Instance

from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.evaluation.opening import open_engine, processor_node
from uniopd_mm.models.backbone import best_device
from uniopd_mm.tracking.console import warning
from uniopd_mm.types import UserError

KEY = "pretrained"
ABSENT = ("none", "null")  # how lmms-eval's command line can say None


class CommandLineModel(EngineModel):
    """What both share: everything of the command line that is not about this one model in this one process."""

    def __init__(
        self, engine: str, pretrained: str, seed: int, device: str | None, given: dict[str, Any], **known: Any
    ) -> None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise UserError(
                "WORLD_SIZE: these models run in one process; start one without a launcher, or use python -m "
                "uniopd_mm.evaluate, which shares tasks out over GPUs"
            )
        if device is not None and not str(device).startswith(_here()):
            warning(f"--device {device}: the model runs on {_here()}; CUDA_VISIBLE_DEVICES chooses among GPUs")
        node = processor_node(**{name: _value(value) for name, value in given.items()})
        opened = open_engine(engine, str(pretrained), processor=node, key=KEY, **known)
        super().__init__(
            opened.engine,
            opened.processor,
            seed=seed,
            max_prompt_tokens=opened.max_prompt_tokens,
            prompts_per_chunk=opened.prompts_per_chunk,
        )

    def generate_until(self, requests: Sequence[Instance]) -> list[GenerationResult]:
        """See `EngineModel.generate_until`.

        Raises:
            UserError: not one question can be asked: a score of empty responses would be printed like any other.
        """
        results = super().generate_until(requests)
        if self.answered.unreadable and not self.answered.num_responses:
            first = self.answered.unreadable[0]
            raise UserError(f"no question can be asked; the first: {first.where}: {first.reason}")
        return results


@final
class UniopdHF(CommandLineModel):
    """transformers' own generation.

    Args:
        pretrained: a checkpoint folder, that of a LoRA adapter, or a hub name.
        dtype: bfloat16 or float32; None for bfloat16 on a GPU and float32 on a CPU.
        max_batch_size: sequences computed at a time (`--max_batch_size`).
        batch_size: of no effect, so that lmms-eval's default of 1 does not make it slow.
        device: where there is a GPU, it is used.
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
    """vLLM, which batches by itself: `batch_size` and `max_batch_size` are of no effect.

    Args:
        max_model_len: tokens of prompt and response together; None for what fits.
        gpu_memory_utilization: share of the GPU's memory; there is no trainer to leave room for.
        processor: parameters of configs/processor/auto.yaml.

    The rest is as in `UniopdHF` and `VLLMOptions`.
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


def _here() -> str:
    return best_device().type


def _value(given: Any) -> Any:
    return None if isinstance(given, str) and given.lower() in ABSENT else given
