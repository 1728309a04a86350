"""Teachers with processors of their own, made on the spot: another Qwen3-VL, and a text-only Qwen3 whose tokens have
other numbers and whose turns end otherwise. And log-probs by a plain forward pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from uniopd_mm.interfaces import Processor
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.processors.text import TextProcessor
from uniopd_mm.processors.tiny import TinyQwen3VL
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import FinishReason, Media, Message, Prompt, Rollout, Sample

WORDS = [
    "The circle moves right, then down and left again.",
    "Answer in a \\boxed{right} or \\boxed{left}: it moves up.",
]
SPECIAL = ["<pad>", "</s>", "<user>"]
TEMPLATE = """\
{%- for message in messages -%}<user>{{ message.role }}: {{ message.content }}
{% endfor -%}
{%- if add_generation_prompt %}<user>assistant: {% endif -%}"""


@dataclass(frozen=True)
class Expert:
    """A teacher in this process, its processor, and the bare model and tokenizer that it is compared with."""

    teacher: LocalTeacher
    processor: Processor
    model: torch.nn.Module
    tokenizer: PreTrainedTokenizerBase

    @property
    def backbone(self) -> Backbone:
        return self.teacher.backbone


def expert(folder: Path, processor: Processor, name: str) -> Expert:
    model = load_model(str(folder), "teacher.path")
    teacher = LocalTeacher(name, Backbone(model), processor.vocabulary)
    return Expert(teacher, processor, model, AutoTokenizer.from_pretrained(folder))


def vl_expert(folder: Path) -> Expert:
    TinyQwen3VL(hidden_size=64, num_layers=1, vocab_size=420).write(folder, WORDS * 9, seed=5)
    return expert(folder, QwenVLProcessor(str(folder), video_num_frames=4), "vl")


def text_expert(folder: Path, vocab_size: int = 330, texts: Sequence[str] = WORDS) -> Expert:
    tokenizer = shifted_bpe(texts, vocab_size)
    torch.manual_seed(6)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        initializer_range=0.2,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return expert(folder, TextProcessor(str(folder)), "text")


def shifted_bpe(texts: Sequence[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE without Qwen's special tokens: even a letter has another id."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([*texts] * 9, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="</s>",
        pad_token="<pad>",
        chat_template=TEMPLATE,
        extra_special_tokens=SPECIAL,
    )


def described_sample(clip: Media | None, text: str = "Which way does it move?") -> Sample:
    content = (text,) if clip is None else ("Look: ", clip, text)
    return Sample(
        sample_id="clip" if clip else "text",
        domain="video_qa",
        messages=(Message(role="user", content=content),),
        answer="up",
        source="rows.jsonl:1",
    )


def answered(prompt: Prompt, ids: Tensor, reason: FinishReason = FinishReason.STOP) -> Rollout:
    generator = torch.Generator().manual_seed(len(ids))
    return Rollout(
        prompt=prompt,
        group_id=0,
        response_ids=ids,
        logprobs=-3 * torch.rand(len(ids), generator=generator),
        finish_reason=reason,
        policy_step=1,
    )


@torch.no_grad()
def plain_logprobs(
    model: torch.nn.Module, prompt_ids: Tensor, response_ids: Tensor, media: Mapping[str, Tensor] | None = None
) -> Tensor:
    """f64[R] by the model's own forward pass over one sequence. A video's places have type 2."""
    ids = torch.cat([prompt_ids, response_ids])[None]
    types = {"mm_token_type_ids": 2 * (ids == model.config.video_token_id).long()} if media else {}  # type: ignore[union-attr]
    logits = model(input_ids=ids, **(media or {}), **types).logits[0].double()
    before = slice(len(prompt_ids) - 1, len(prompt_ids) + len(response_ids) - 1)
    return logits[before].log_softmax(-1).gather(-1, response_ids[:, None]).squeeze(-1)
