"""A transformers checkpoint as a function from token batches to per-token log-probs, whatever its modalities.

Student and local teachers are scored by `Backbone.forward` only, so that wrappers (data parallel, sharded) see every
call. Leaves out: generation (rollout/) and optimisation (learner/).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from uniopd_mm.distill.logprobs import predicted_logprobs, shifted
from uniopd_mm.models.experts import compute_under_autocast
from uniopd_mm.models.head import head_of
from uniopd_mm.models.integrity import check_index, check_weights
from uniopd_mm.types import TokenBatch, UserError

# (states [M, H], head, targets i64[M], *, chunk_size, temperature, banned_ids) -> tensors with M entries each
Reader = Callable[..., tuple[Tensor, ...]]

LOGITS_BUDGET = 2**24  # float32 logits in one chunk: 64 MiB


class Backbone(nn.Module):
    """A causal language model, multimodal or text-only.

    Args:
        model: a transformers model with a base model and an output embedding. It is put in evaluation mode (no
            dropout), and `head_of` compares its forward pass with ours. Its weights are in float32, or in `dtype` if
            they are not trained.
        banned_ids: ids that the sampling policy never draws; they get probability 0. Empty for a teacher.
        dtype: float32, or bfloat16 to compute under autocast.
        logits_budget: float32 logits in one chunk.

    Raises:
        UserError: the model makes its logits in a way that is not supported.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        banned_ids: tuple[int, ...] = (),
        *,
        dtype: str = "float32",
        logits_budget: int = LOGITS_BUDGET,
    ) -> None:
        super().__init__()
        self.model = model
        self.dtype = dtype
        self.banned_ids = banned_ids
        self.logits_budget = logits_budget
        self.eval()
        if dtype != "float32":
            compute_under_autocast(model)
        self.head = head_of(model)

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def vocab_size(self) -> int:
        """Rows of the output embedding, which may be more than the tokenizer has."""
        return len(self.head.weight)

    def autocast(self) -> AbstractContextManager[None]:
        """The context of every forward pass."""
        if self.dtype == "float32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=getattr(torch, self.dtype))

    def forward(self, tokens: TokenBatch, temperature: float, read: Reader = predicted_logprobs) -> tuple[Tensor, ...]:
        """Apply `read` to the hidden states that predict the M tokens of the loss mask, row by row. The default reader
        returns log-probs and entropies f32[M] and likeliest tokens i64[M]."""
        with self.autocast():
            hidden = self.model.base_model(
                input_ids=tokens.input_ids,
                attention_mask=tokens.attention_mask.long(),
                use_cache=False,
                **tokens.media,
                **tokens.token_features,
            ).last_hidden_state
            states, targets = shifted(hidden, tokens.input_ids, tokens.loss_mask)
            return read(
                states,
                self.head,
                targets,
                chunk_size=max(1, self.logits_budget // self.vocab_size),
                temperature=temperature,
                banned_ids=self.banned_ids,
            )


def load_backbone(
    path: str,
    key: str,
    *,
    dtype: str = "float32",
    banned_ids: tuple[int, ...] = (),
    stored: torch.dtype = torch.float32,
) -> Backbone:
    """The backbone of a checkpoint folder or hub name, with weights in `stored`; see `Backbone` and `load_model`.

    Raises:
        UserError: it cannot be loaded, its weights are not whole, or `Backbone` does not support it. The error names
            the configuration key `key`.
    """
    model = load_model(path, key, stored)
    try:
        check_weights(model)
        return Backbone(model, banned_ids, dtype=dtype)
    except UserError as error:
        raise UserError(f"{key}={path}: {error}") from error


def load_model(path: str, key: str, dtype: torch.dtype = torch.float32) -> PreTrainedModel:
    """Load a checkpoint folder or hub name on the best available device, in evaluation mode (no dropout).

    Trained weights stay in float32, because a bfloat16 weight would lose an update of 1e-6; `Backbone` may compute in
    bfloat16.

    Raises:
        UserError: there is no such checkpoint, its architecture is neither image-text-to-text nor causal, or a file is
            damaged or runs code when it is unpickled. The error names the configuration key `key`.
    """
    try:
        check_index(Path(path))
        config = AutoConfig.from_pretrained(path, trust_remote_code=False)
        vision = config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
        loader: Any = AutoModelForImageTextToText if vision else AutoModelForCausalLM
        model = loader.from_pretrained(path, dtype=dtype, trust_remote_code=False)
    except Exception as error:  # unpickling, safetensors, an index and a configuration fail in ways that share no class
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise UserError(f"{key}={path}: {reason}; give a complete checkpoint folder or a hub name") from error
    return model.to(best_device()).eval()


def best_device() -> torch.device:
    """The current CUDA device if there is one, otherwise the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
