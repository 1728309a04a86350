"""vLLM in this process, as a guest that leaves the trainer's random numbers and threads alone.

Leaves out what is asked of it: rollout/vllm.py has it sample, teachers/vllm.py has it score.
"""

import os
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, final

import torch
from torch import Tensor
from transformers import AutoConfig

from uniopd_mm.config.checks import check_vllm
from uniopd_mm.config.parts import VLLMOptions
from uniopd_mm.inference.available import require_vllm
from uniopd_mm.inference.weights import keeps_weights, load_directly, reload, reload_everywhere, unpacked_weights
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.runtime.rng import untouched_rng
from uniopd_mm.types import UserError

CPU_KV_CACHE_MB = 256
CPU_BATCH_TOKENS = 8192
# The first engine that is dropped takes the process groups of all others, and the trainer's, with it.
_LIVING: list[Any] = []


@dataclass(frozen=True, kw_only=True, slots=True)
class Declined:
    """A request that vLLM does not take, and why."""

    reason: str


@final
class VLLMEngine:
    """One checkpoint in vLLM, until the process ends.

    Args:
        path: checkpoint folder or hub name, tokenizer and processor included.
        options: `dtype` must be given.
        key: the configuration key to name in errors.
        max_logprobs: likeliest tokens that a request may ask for.
        sleeps: give the GPU's memory back between calls of `run`; void on a CPU.

    Raises:
        UserError: an option that cannot work; vLLM is not installed, or cannot load the checkpoint with these options.
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
            options = replace(options, max_model_len=options.max_model_len or _cpu_length(path, key))
        arguments = llm_arguments(options, max_logprobs, sleeps=self._sleeps)
        with untouched_rng(), untouched_threads():
            self._llm = _load(path, arguments, key)
            self._take = self._way_to_take_weights()
        _LIVING.append(self._llm)
        self._ids = count()
        self._asleep = False
        self.sleep()  # the next to be loaded finds the memory free

    @property
    def vocab_size(self) -> int:
        """Rows of the output embedding, which may be more than the tokenizer has."""
        return self._llm.llm_engine.model_config.get_vocab_size()

    @property
    def max_model_len(self) -> int:
        """Tokens that a prompt and its response can have together."""
        return self._llm.llm_engine.model_config.max_model_len

    def run(self, requests: Sequence[tuple[Any, Any]]) -> Generator[tuple[int, Any], None, None]:
        """Answers as they are finished: (index, vllm.RequestOutput or Declined). To be closed by who may not want all.

        Args:
            requests: what `engine_prompt` makes, with its vllm.SamplingParams of kind FINAL_ONLY.
        """
        engine = self._llm.llm_engine
        waiting: dict[str, int] = {}
        self.wake()
        try:
            with untouched_rng():
                declined = self._added(requests, waiting)
            yield from declined
            while engine.has_unfinished_requests():
                with untouched_rng():
                    outputs = engine.step()
                for output in outputs:
                    if output.finished:
                        yield waiting.pop(output.request_id), output
        finally:
            if engine.has_unfinished_requests():  # whoever asked does not want the rest
                engine.abort_request(list(waiting))
            self.sleep()

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Take new weights in place, tied ones included, and forget all that was computed with the old ones: images'
        embeddings and prompts' keys and values.

        Raises:
            RuntimeError: the engine could not be emptied.
        """
        self.wake(["weights"])
        with untouched_rng(), torch.no_grad():
            self._take(self._llm, named_tensors)
        self._llm.llm_engine.reset_encoder_cache()
        if not self._llm.reset_prefix_cache():
            raise RuntimeError("vLLM did not drop its prefix cache: requests are still running")

    def _way_to_take_weights(self) -> Callable[[Any, Iterable[tuple[str, Tensor]]], None]:
        if self.options.tensor_parallel_size > 1:
            return reload_everywhere
        (plain,) = self._llm.apply_model(keeps_weights)
        return load_directly if plain else reload

    def wake(self, parts: Sequence[str] | None = None) -> None:
        """Have the weights, and unless `parts` names less the cache as well, on the GPU again."""
        if self._asleep:
            self._llm.wake_up(list(parts) if parts else None)
            self._asleep = parts is not None

    def sleep(self) -> None:
        """Give the GPU's memory to the trainer; weights wait in the host's."""
        if self._sleeps and not self._asleep:
            self._llm.sleep(level=1)
            self._asleep = True

    def _added(self, requests: Sequence[tuple[Any, Any]], waiting: dict[str, int]) -> list[tuple[int, Declined]]:
        """Puts the index of each request that vLLM took into `waiting`, by its name; returns those it did not take."""
        from vllm.exceptions import VLLMError

        declined: list[tuple[int, Declined]] = []
        for index, (prompt, parameters) in enumerate(requests):
            name = f"{next(self._ids)}"
            try:
                self._llm.llm_engine.add_request(name, prompt, parameters)
                waiting[name] = index
            except (VLLMError, ValueError, RuntimeError) as error:  # too long, too many media, media it cannot place
                declined.append((index, Declined(reason=_reason(error))))
        return declined


def llm_arguments(options: VLLMOptions, max_logprobs: int, *, sleeps: bool) -> dict[str, Any]:
    """Arguments of vllm.LLM; the options' own `args` win."""
    arguments: dict[str, Any] = {
        "dtype": options.dtype,
        "max_model_len": -1 if options.max_model_len is None else options.max_model_len,  # -1: what fits
        "max_num_seqs": options.max_num_seqs,
        "enforce_eager": options.enforce_eager,
        "tensor_parallel_size": options.tensor_parallel_size,
        "max_logprobs": max_logprobs,
        "logprobs_mode": "processed_logprobs",  # at the temperature of sampling, without banned ids
        "generation_config": "vllm",  # the checkpoint's own penalties would change the sampling policy
        "mm_device_do_normalize": False,  # it would use the images' mean and std for videos
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        **_among_processes(options),
    }
    return {**arguments, **(_on_gpu(options, sleeps) if torch.cuda.is_available() else _on_cpu(options))} | options.args


def _among_processes(options: VLLMOptions) -> dict[str, Any]:
    """Of several processes each has an engine of its own, on its own GPU.

    Raises:
        UserError: they would have to share one.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return {}
    if options.tensor_parallel_size > 1:
        raise UserError(
            f"tensor_parallel_size={options.tensor_parallel_size}: each launched process has an engine of its own; "
            "set it to 1, or train in one process"
        )
    return {"distributed_executor_backend": "external_launcher"}  # the one that reads LOCAL_RANK


def _on_gpu(options: VLLMOptions, sleeps: bool) -> dict[str, Any]:
    cache = {} if options.kv_cache_mb is None else {"kv_cache_memory_bytes": options.kv_cache_mb << 20}
    return {"gpu_memory_utilization": options.gpu_memory_utilization, "enable_sleep_mode": sleeps, **cache}


def _on_cpu(options: VLLMOptions) -> dict[str, Any]:
    """On a CPU a request with a seed must not be prefilled in chunks: vLLM 0.32 would turn back its generator, which
    only CUDA's can."""
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
    except Exception as error:  # of vLLM, torch, transformers, pydantic or safetensors, which share no narrower class
        raise UserError(f"{key}: vLLM cannot load {path}: {_reason(error)}") from error


def _cpu_length(path: str, key: str) -> int:
    """Tokens of a sequence where nothing is configured: all of a prompt is computed at once."""
    try:
        known = AutoConfig.from_pretrained(path).get_text_config().max_position_embeddings
    except (OSError, ValueError) as error:
        raise UserError(f"{key}: vLLM cannot load {path}: {_reason(error)}") from error
    except AttributeError as error:
        raise UserError(f"{key}.max_model_len=null: {path} does not say how long its sequences are; give it") from error
    return min(known, CPU_BATCH_TOKENS)


def _reason(error: Exception) -> str:
    return in_short(error) or type(error).__name__


@contextmanager
def untouched_threads() -> Iterator[None]:
    """vLLM on a CPU sets torch's number of threads, and then puts a function that does nothing in the place of
    `torch.set_num_threads`."""
    function, number = torch.set_num_threads, torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads = function
        torch.set_num_threads(number)
