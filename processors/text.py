"""Text-only prompts through a checkpoint's tokenizer and chat template. Samples with media are refused."""

from pathlib import Path
from typing import final

import torch
from torch import Tensor
from transformers import AutoTokenizer

from uniopd_mm.processors.chat import (
    chat_messages,
    end_of_turn,
    load_error,
    media_of,
    rendered,
    response_ids,
    token_bytes,
    token_texts,
    vocabulary_of,
)
from uniopd_mm.processors.settings import prompt_settings
from uniopd_mm.types import BadSample, Prompt, Sample, Settings, UserError, Vocabulary


@final
class TextProcessor:
    """The processor of a text-only backbone.

    Args:
        path: a folder (or hub name) that `AutoTokenizer.from_pretrained` loads.
        enable_thinking: passed to the chat template; templates that do not use it ignore it.
        system_prompt: added to samples that have no system message.

    Raises:
        UserError: nothing can be loaded from `path`, or the tokenizer has no chat template.
    """

    def __init__(self, path: str, *, enable_thinking: bool = False, system_prompt: str | None = None) -> None:
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=False)
        except (OSError, ValueError, KeyError) as error:
            raise load_error(path, error) from error
        if self._tokenizer.chat_template is None:
            raise UserError(f"tokenizer of {path!r} has no chat template; add chat_template.jinja to that folder")
        self._vocabulary = vocabulary_of(self._tokenizer, path)
        self._end = end_of_turn(self._tokenizer, self._tokenizer.chat_template, self._vocabulary.stop_ids)
        self._enable_thinking = enable_thinking
        self._system_prompt = system_prompt

    @property
    def vocabulary(self) -> Vocabulary:
        return self._vocabulary

    @property
    def settings(self) -> Settings:
        """`binding` is empty, because no media can be read."""
        tokenizer = self._tokenizer
        chat = prompt_settings(
            tokenizer,
            tokenizer.chat_template,
            enable_thinking=self._enable_thinking,
            system_prompt=self._system_prompt,
        )
        return Settings(binding={}, informative=chat)

    def encode(self, sample: Sample) -> Prompt:
        """Raises BadSample if the sample has media, or a text that contains a media token."""
        if media := media_of(sample):
            raise BadSample(f"it contains media of kind {media[0].kind!r}, but this backbone reads text only")
        messages = chat_messages(sample, self._system_prompt)
        for message in messages:
            # Chat templates of text-only models take plain strings.
            message["content"] = "".join(part["text"] for part in message["content"])
        text = rendered(self._tokenizer, messages, enable_thinking=self._enable_thinking)
        # The template has already written all special tokens.
        ids = torch.tensor(self._tokenizer(text, add_special_tokens=False)["input_ids"], dtype=torch.long)
        return Prompt(sample=sample, token_ids=ids, engine_token_ids=ids)

    def check_media(self, prompt: Prompt) -> None:
        if prompt.media:
            raise BadSample(f"media {', '.join(prompt.media)}: this backbone reads text only")

    def decode(self, ids: Tensor) -> str:
        return self._tokenizer.decode(ids.tolist(), skip_special_tokens=True)

    def encode_response(self, text: str) -> Tensor:
        return response_ids(self._tokenizer, text, self._end)

    def pieces(self, ids: Tensor) -> list[str]:
        return token_texts(self._tokenizer, ids)

    def token_bytes(self, ids: Tensor) -> list[bytes]:
        return token_bytes(self._tokenizer, ids)

    def save(self, folder: Path) -> None:
        self._tokenizer.save_pretrained(folder)
