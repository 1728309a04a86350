"""Questions as lmms-eval puts them, over a data set in memory, and an engine that tells what it was asked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lmms_eval.api.instance import Instance
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

from uniopd_mm.evaluation.engine_model import EngineModel
from uniopd_mm.interfaces import Finished, RolloutEngine
from uniopd_mm.processors.tiny import CHAT_TEMPLATE, byte_level_bpe
from uniopd_mm.types import Prompt, Rollout, Sampling

TASK, SPLIT = "some_task", "test"
GREEDY: Mapping[str, Any] = {"max_new_tokens": 6, "do_sample": False, "until": []}
SAMPLED: Mapping[str, Any] = {"max_new_tokens": 6, "do_sample": True, "temperature": 1.0, "top_p": 1.0, "until": []}
Messages = list[dict[str, Any]]


def write_text_model(folder: Path) -> str:
    """An untrained Qwen3 of 0.1 M parameters, which reads text only."""
    tokenizer = byte_level_bpe(["How many are there, and where?", "Which way does the red square move?"] * 20, 384)
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=400,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
        max_position_embeddings=1024,
        initializer_range=0.125,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
        tie_word_embeddings=True,
    )
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def asking(text: str, *parts: Mapping[str, Any]) -> Messages:
    return [{"role": "user", "content": [*parts, {"type": "text", "text": text}]}]


def requests_of(options: Mapping[str, Any], documents: Sequence[int], repeats: int = 1) -> list[Instance]:
    """Of documents that are messages themselves, each repeated as lmms-eval repeats it: the same object."""
    metadata = {"task": TASK, "repeats": repeats, "split": SPLIT}
    instances = [
        Instance(
            request_type="generate_until",
            arguments=("", lambda document: document, dict(options), index, TASK, SPLIT),
            idx=0,
            metadata={**metadata, "doc_id": index},
        )
        for index in documents
    ]
    return [instance for instance in instances for _ in range(repeats)]


def serve(model: EngineModel, documents: Sequence[Messages]) -> EngineModel:
    model.task_dict[TASK] = {SPLIT: documents}
    return model


def texts(results: Sequence[Any]) -> list[str]:
    return [result.text for result in results]


@dataclass
class Recorder:
    """An engine in front of another one."""

    engine: RolloutEngine
    calls: list[tuple[list[Prompt], int, Sampling]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        self.before()
        self.calls.append((list(prompts), num_samples, sampling))
        return self.engine.generate(prompts, num_samples, sampling, finished)

    def load_weights(self, named_tensors: Any) -> None:
        self.engine.load_weights(named_tensors)
