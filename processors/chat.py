"""What all processors share around a tokenizer: messages as chat templates take them, and the vocabulary.

Leaves out media, of which only the places are named here.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerBase

from uniopd_mm.types import BadSample, Media, Message, Sample, UserError, Vocabulary

# Where one of these stands, a Qwen-VL model expects a medium; in a text or a response it would find none.
MEDIA_TOKENS = ("<|image_pad|>", "<|video_pad|>", "<|vision_pad|>", "<|vision_start|>", "<|vision_end|>")
STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")


def check_text(text: str) -> None:
    """Raises BadSample where the text spells a token that stands for a medium."""
    for token in MEDIA_TOKENS:
        if token in text:
            raise BadSample(f"its text contains {token!r}, which the model reads as the place of a medium")


def chat_messages(sample: Sample, system_prompt: str | None) -> list[dict[str, Any]]:
    """The conversation for a chat template: each content a list of {"type": "text" | medium kind, ...}.

    `system_prompt` comes first, unless the sample begins with a system message of its own.

    Raises:
        BadSample: no messages, or a text that spells a media token.
    """
    if not sample.messages:
        raise BadSample("it has no messages")
    messages = list(sample.messages)
    if system_prompt is not None and messages[0].role != "system":
        messages.insert(0, Message(role="system", content=(system_prompt,)))
    return [{"role": message.role, "content": _parts(message)} for message in messages]


def media_of(sample: Sample) -> list[Media]:
    """All media of a sample in reading order."""
    return [item for message in sample.messages for item in message.content if isinstance(item, Media)]


def vocabulary_of(tokenizer: PreTrainedTokenizerBase, path: str) -> Vocabulary:
    """Tokens, stop tokens (the tokenizer's, the generation config's and Qwen's), banned and pad tokens.

    Raises:
        UserError: the tokenizer has no token to end a response with.
    """
    tokens = tokenizer.get_vocab()
    stops = {tokens[token] for token in STOP_TOKENS if token in tokens} | set(_generation_stops(path))
    if tokenizer.eos_token_id is not None:
        stops.add(tokenizer.eos_token_id)
    if not stops:
        raise UserError(f"tokenizer of {path!r} has no end-of-turn token; set eos_token in its tokenizer_config.json")
    pad = tokenizer.pad_token_id
    return Vocabulary(
        tokens=tokens,
        stop_ids=tuple(sorted(stops)),
        banned_ids=tuple(sorted(tokens[token] for token in MEDIA_TOKENS if token in tokens)),
        pad_id=min(stops) if pad is None else pad,
    )


def mendable(path: str, error: Exception) -> UserError:
    """One line for a checkpoint whose processor cannot be loaded."""
    reason = str(error).strip().split("\n")[0]
    return UserError(f"processor path {path!r} cannot be loaded ({reason}); give a folder with a saved processor")


def _parts(message: Message) -> list[dict[str, Any]]:
    for is_text, items in groupby(message.content, key=lambda item: isinstance(item, str)):
        if is_text:
            # Joined, as the template joins them: a token may be spelt across two texts.
            check_text("".join(map(str, items)))
    return [
        {"type": item.kind} if isinstance(item, Media) else {"type": "text", "text": item} for item in message.content
    ]


def _generation_stops(path: str) -> Iterable[int]:
    if Path(path).is_dir() and not (Path(path) / "generation_config.json").is_file():
        return ()
    try:
        eos = GenerationConfig.from_pretrained(path).eos_token_id
    except OSError:  # a hub repository without one
        return ()
    return () if eos is None else (eos,) if isinstance(eos, int) else eos


def response_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> Tensor:
    """Ids i64[R] of a response, ended by the end-of-turn token."""
    return torch.tensor([*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id])


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Tensor) -> list[str]:
    """The text of each id of i64[R] by itself."""
    return [tokenizer.decode([index]) for index in ids.tolist()]


# GPT-2's writing of bytes as printable letters: printable Latin-1 stands for itself, the rest follows from U+0100 on.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_BYTES = {chr(byte): byte for byte in _PRINTABLE}
_BYTES |= {chr(0x100 + place): byte for place, byte in enumerate(b for b in range(256) if chr(b) not in _BYTES)}
_HEX_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # how sentencepiece falls back on bytes
_BLANK = "\u2581"  # how sentencepiece writes a blank


def token_bytes(tokenizer: PreTrainedTokenizerBase, ids: Tensor) -> list[bytes]:
    """The bytes that each id of i64[R] stands for in a response; b"" for special tokens and for ids without a token.

    Byte-level BPE and sentencepiece are known; the blank that sentencepiece puts before
    a text is no part of it.
    """
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= set(tokenizer.all_special_ids)
    tokens = tokenizer.convert_ids_to_tokens(ids.tolist())
    is_byte_level = not any(_BLANK in token for token in tokenizer.tokenize("a b"))
    read = _byte_level if is_byte_level else _sentencepiece
    spelt = [
        b"" if index in special or token is None else read(token)
        for index, token in zip(ids.tolist(), tokens, strict=True)
    ]
    return spelt if is_byte_level else _without_blank(spelt, tokenizer.decode(ids.tolist(), skip_special_tokens=True))


def _without_blank(spelt: list[bytes], text: str) -> list[bytes]:
    """Without the first blank, if the tokenizer leaves it out of the text."""
    joined = b"".join(spelt)
    if len(joined) - len(joined.lstrip(b" ")) == len(text) - len(text.lstrip(" ")):
        return spelt
    first = next(place for place, piece in enumerate(spelt) if piece)
    return [*spelt[:first], spelt[first].removeprefix(b" "), *spelt[first + 1 :]]


def _byte_level(token: str) -> bytes:
    known = all(letter in _BYTES for letter in token)
    return bytes(_BYTES[letter] for letter in token) if known else token.encode()  # an added one stands for itself


def _sentencepiece(token: str) -> bytes:
    if fallback := _HEX_BYTE.fullmatch(token):
        return bytes.fromhex(fallback[1])
    return token.replace(_BLANK, " ").encode()
