"""vLLM in this process, without effect on the trainer's random numbers and threads.

Leaves out sampling (rollout/vllm.py) and scoring (teachers/vllm.py).
"""

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from typing import Any, final

import torch
from torch import Tensor
from transformers import AutoConfig

from uniopd_mm.config.checks import check_vllm
from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.inference.available import require_vllm
from uniopd_mm.inference.logits import divide_logits
from uniopd_mm.inference.weights import keeps_weights, load_directly, reload, reload_everywhere, unpacked_weights
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.runtime.rng import untouched_rng
from uniopd_mm.types import UserError

CPU_KV_CACHE_MB = 256
CPU_BATCH_TOKENS = 8192
# Engines are never freed: freeing one would destroy the process groups of all others and of the trainer.
_ENGINES: list[Any] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class Declined:
    """A request that vLLM does not accept, and why."""

    reason: str


@final
class VLLMEngine:
    """One checkpoint in vLLM. It stays loaded until the process ends.

    Args:
        path: checkpoint folder or hub name, with tokenizer and processor.
        options: `dtype` must be set.
        key: the configuration key to name in errors.
        max_logprobs: number of likeliest tokens that a request may ask for.
        sleeps: release the GPU's memory between calls of `run`; no effect on a CPU.

    Raises:
        UserError: an option is invalid, or vLLM is not installed or cannot load the checkpoint with these options.
    """

    def __init__(
        self, path: str, options: VLLMOptions, *, key: str, max_logprobs: int = 20, sleeps: bool = False
    ) -> None:
        check_vllm(options, key)
        require_vllm(key)
        self.path = path
        self.key = key
        self.options = options
        self._sleeps = sleeps and torch.cuda.is_available()
        if not torch.cuda.is_available():
            options = replace(
                options,
                max_model_len=options.max_model_len or _cpu_length(path, key),
                args={**_of_hybrids(path, key), **options.args},
            )
        arguments = llm_arguments(options, max_logprobs, sleeps=self._sleeps)
        with untouched_rng(), untouched_threads():
            self._llm = _load(path, arguments, key)
            self._weight_loader = self._choose_weight_loader()
        _ENGINES.append(self._llm)
        self._ids = count()
        self._temperature = 1.0
        self._asleep = False
        self.sleep()  # frees the memory for the next model to be loaded

    @property
    def vocab_size(self) -> int:
        """Rows of the output embedding, which may be more than the tokenizer's tokens."""
        return self._llm.llm_engine.model_config.get_vocab_size()

    @property
    def max_model_len(self) -> int:
        """Maximum number of tokens of a prompt and its response together."""
        return self._llm.llm_engine.model_config.max_model_len

    def run(
        self, requests: Sequence[tuple[Any, Any]], temperature: float = 1.0
    ) -> Generator[tuple[int, Any], None, None]:
        """Yield outputs as they finish: (index, vllm.RequestOutput or Declined). Close the generator to abort the rest.

        Args:
            requests: pairs of `engine_prompt(...)` and vllm.SamplingParams with output kind FINAL_ONLY.
            temperature: divides all logits before anything else sees them. It is for the log-probs of prompts, which
                vLLM always computes from the model's own logits, whatever the sampling temperature.

        Raises:
            UserError: the model cannot be given this temperature.
        """
        engine = self._llm.llm_engine
        waiting: dict[str, int] = {}
        self.wake()
        try:
            self._divide_logits(temperature)
            with untouched_rng():
                declined = self._add(requests, waiting)
            yield from declined
            while engine.has_unfinished_requests():
                with untouched_rng():
                    outputs = engine.step()
                for output in outputs:
                    if output.finished:
                        yield waiting.pop(output.request_id), output
        finally:
            if engine.has_unfinished_requests():  # the generator was closed early
                engine.abort_request(list(waiting))
            self._divide_logits(1.0)
            self.sleep()

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Replace the weights in place, tied ones included, and drop the caches computed with the old ones: the
        embeddings of images, and the keys and values of prompts.

        Raises:
            RuntimeError: requests are still running.
        """
        self.wake(["weights"])
        with untouched_rng(), torch.no_grad():
            self._weight_loader(self._llm, named_tensors)
        self._llm.llm_engine.reset_encoder_cache()
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM did not drop its prefix cache: requests are still running")

    def _choose_weight_loader(self) -> Callable[[Any, Iterable[tuple[str, Tensor]]], None]:
        if self.options.tensor_parallel_size > 1:
            return reload_everywhere
        (plain,) = self._llm.apply_model(keeps_weights)
        return load_directly if plain else reload

    def wake(self, parts: Sequence[str] | None = None) -> None:
        """Move the weights and the cache, or only these `parts`, back to the GPU."""
        if self._asleep:
            self._llm.wake_up(list(parts) if parts else None)
            self._asleep = parts is not None

    def sleep(self) -> None:
        """Release the GPU's memory to the trainer; the weights move to host memory."""
        if self._sleeps and not self._asleep:
            self._llm.sleep(level=1)
            self._asleep = True

    def _divide_logits(self, temperature: float) -> None:
        if temperature == self._temperature:
            return
        changed = self._llm.apply_model(partial(divide_logits, by=temperature / self._temperature))
        if not all(changed):
            raise UserError(
                f"{self.key}: the model of {self.path} in vLLM computes its logits in a way of its own, and can only "
                "score at temperature 1; set rollout.temperature=1 or engine=hf, or recipe.teacher_temperature=1 to "
                "compare two temperatures"
            )
        self._temperature = temperature

    def _add(self, requests: Sequence[tuple[Any, Any]], waiting: dict[str, int]) -> list[tuple[int, Declined]]:
        """Add the requests to vLLM. Puts the index of each accepted one into `waiting`; returns the declined ones."""
        from vllm.exceptions import VLLMError

        declined: list[tuple[int, Declined]] = []
        for index, (prompt, parameters) in enumerate(requests):
            request_id = str(next(self._ids))
            try:
                self._llm.llm_engine.add_request(request_id, prompt, parameters)
                waiting[request_id] = index
            except (VLLMError, ValueError, RuntimeError) as error:  # too long, too many media, or without placeholder
                declined.append((index, Declined(reason=_reason(error))))
        return declined


def llm_arguments(options: VLLMOptions, max_logprobs: int, *, sleeps: bool) -> dict[str, Any]:
    """Arguments of vllm.LLM; the options' `args` override the others."""
    arguments: dict[str, Any] = {
        "dtype": options.dtype,
        "max_model_len": -1 if options.max_model_len is None else options.max_model_len,  # -1: as long as fits
        "max_num_seqs": options.max_num_seqs,
        "enforce_eager": options.enforce_eager,
        "tensor_parallel_size": options.tensor_parallel_size,
        "max_logprobs": max_logprobs,
        "logprobs_mode": "processed_logprobs",  # at the sampling temperature, without banned ids
        "generation_config": "vllm",  # the checkpoint's own penalties would change the sampling policy
        "mm_device_do_normalize": False,  # True would apply the image mean and std to videos
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        **_executor(options),
    }
    return {**arguments, **(_on_gpu(options, sleeps) if torch.cuda.is_available() else _on_cpu(options))} | options.args


def _executor(options: VLLMOptions) -> dict[str, Any]:
    """If several processes were launched, each has its own engine on its own GPU.

    Raises:
        UserError: an engine would need several GPUs.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return {}
    if options.tensor_parallel_size > 1:
        raise UserError(
            f"tensor_parallel_size={options.tensor_parallel_size}: each launched process has its own engine; "
            "set it to 1, or train in one process"
        )
    return {"distributed_executor_backend": "external_launcher"}  # the executor that reads LOCAL_RANK


def _on_gpu(options: VLLMOptions, sleeps: bool) -> dict[str, Any]:
    cache = {} if options.kv_cache_mb is None else {"kv_cache_memory_bytes": options.kv_cache_mb << 20}
    return {"gpu_memory_utilization": options.gpu_memory_utilization, "enable_sleep_mode": sleeps, **cache}


def _on_cpu(options: VLLMOptions) -> dict[str, Any]:
    """No chunked prefill: for a request with a seed, vLLM 0.32 would rewind its random generator, which a CPU generator
    does not support."""
    return {
        "kv_cache_memory_bytes": (CPU_KV_CACHE_MB if options.kv_cache_mb is None else options.kv_cache_mb) << 20,
        "enable_chunked_prefill": False,
        "max_num_batched_tokens": max(options.max_model_len or 0, CPU_BATCH_TOKENS),
    }


def _load(path: str, arguments: dict[str, Any], key: str) -> Any:
    try:
        with warnings.catch_warnings(action="ignore"):
            from vllm import LLM  # optional

            with unpacked_weights():
                return LLM(model=path, **arguments)
    except Exception as error:  # errors of vLLM, torch, transformers, pydantic and safetensors share no narrower class
        raise UserError(f"{key}: vLLM cannot load {path}: {_reason(error)}") from error


def _of_hybrids(path: str, key: str) -> dict[str, Any]:
    """Without chunked prefill, vLLM 0.32 has no prefix cache for models with layers other than attention."""
    layers = _text_config(path, key).to_dict().get("layer_types")
    hybrid = any("full_attention" not in kind and "sliding" not in kind for kind in layers or ())
    return {"enable_prefix_caching": False} if hybrid else {}


def _cpu_length(path: str, key: str) -> int:
    """The default `max_model_len` on a CPU, where a prompt is computed in one step."""
    try:
        return min(_text_config(path, key).max_position_embeddings, CPU_BATCH_TOKENS)
    except AttributeError as error:
        raise UserError(f"{key}.max_model_len=null: the config of {path} has no maximum length; set one") from error


def _text_config(path: str, key: str) -> Any:
    try:
        return AutoConfig.from_pretrained(path, trust_remote_code=False).get_text_config()
    except (OSError, ValueError) as error:
        raise UserError(f"{key}: vLLM cannot load {path}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return in_short(error) or type(error).__name__


@contextmanager
def untouched_threads() -> Iterator[None]:
    """Restores torch's threads after vLLM, which on a CPU sets their number and then replaces `torch.set_num_threads`
    by a function that does nothing."""
    function, number = torch.set_num_threads, torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads = function
        torch.set_num_threads(number)
