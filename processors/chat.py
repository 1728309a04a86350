"""What all processors share around the tokenizer: messages for chat templates, and the vocabulary.

Not here: media. Only their placeholders appear in this file.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from jinja2 import TemplateError
from torch import Tensor
from transformers import GenerationConfig, PreTrainedTokenizerBase

from uniopd_mm.types import BadSample, Media, Message, Sample, UserError, Vocabulary

# A Qwen-VL model expects an image or video at each of these tokens; in text or a response there would be none.
MEDIA_TOKENS = ("<|image_pad|>", "<|video_pad|>", "<|vision_pad|>", "<|vision_start|>", "<|vision_end|>")
STOP_TOKENS = ("<|im_end|>", "<|endoftext|>")
ANSWER = "answer"  # found again in what a chat template makes of it
# Templates are programs.
TEMPLATE_ERRORS = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def check_text(text: str, media_tokens: Sequence[str] = MEDIA_TOKENS) -> None:
    """Raises BadSample if the text contains a media token."""
    for token in media_tokens:
        if token in text:
            raise BadSample(f"its text contains {token!r}, which the model reads as a media placeholder")


def chat_messages(
    sample: Sample, system_prompt: str | None, media_tokens: Sequence[str] = MEDIA_TOKENS
) -> list[dict[str, Any]]:
    """The conversation for a chat template. Each content is a list of {"type": "text" | media kind, ...}.

    `system_prompt` is put first, unless the sample begins with a system message.

    Raises:
        BadSample: no messages, or a text that contains a media token.
    """
    if not sample.messages:
        raise BadSample("it has no messages")
    messages = list(sample.messages)
    if system_prompt is not None and messages[0].role != "system":
        messages.insert(0, Message(role="system", content=(system_prompt,)))
    return [{"role": message.role, "content": _parts(message, media_tokens)} for message in messages]


def rendered(tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], **options: Any) -> str:
    """The text of a conversation by a chat template, up to where the assistant answers.

    Raises:
        BadSample: the template refuses the conversation, as some do where turns of two roles do not alternate.
    """
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **options)
    except TEMPLATE_ERRORS as error:
        raise BadSample(f"the chat template refuses its turns: {error}") from error


def media_of(sample: Sample) -> list[Media]:
    """All media of a sample in reading order."""
    return [item for message in sample.messages for item in message.content if isinstance(item, Media)]


def vocabulary_of(
    tokenizer: PreTrainedTokenizerBase, path: str, media_tokens: Sequence[str] = MEDIA_TOKENS
) -> Vocabulary:
    """Tokens, stop tokens (the tokenizer's, the generation config's and Qwen's), banned tokens and the pad token.

    Raises:
        UserError: the tokenizer has no token that ends a response.
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
        banned_ids=tuple(sorted(tokens[token] for token in media_tokens if token in tokens)),
        pad_id=min(stops) if pad is None else pad,
    )


def load_error(path: str, error: Exception) -> UserError:
    """A one-line error for a checkpoint whose processor cannot be loaded."""
    reason = str(error).strip().split("\n")[0]
    return UserError(f"processor path {path!r} cannot be loaded ({reason}); give a folder with a saved processor")


def _parts(message: Message, media_tokens: Sequence[str]) -> list[dict[str, Any]]:
    for is_text, items in groupby(message.content, key=lambda item: isinstance(item, str)):
        if is_text:
            # Check the joined text, as the template joins it: a token may be split over two texts.
            check_text("".join(map(str, items)), media_tokens)
    return [
        {"type": item.kind} if isinstance(item, Media) else {"type": "text", "text": item} for item in message.content
    ]


def _generation_stops(path: str) -> Iterable[int]:
    if Path(path).is_dir() and not (Path(path) / "generation_config.json").is_file():
        return ()
    try:
        eos = GenerationConfig.from_pretrained(path).eos_token_id
    except OSError:  # a hub repository without that file
        return ()
    return () if eos is None else (eos,) if isinstance(eos, int) else eos


def response_ids(tokenizer: PreTrainedTokenizerBase, text: str, end: int | None = None) -> Tensor:
    """Ids i64[R] of a response, with the end-of-turn token at the end; None is the tokenizer's end of text."""
    last = tokenizer.eos_token_id if end is None else end
    return torch.tensor([*tokenizer(text, add_special_tokens=False)["input_ids"], last])


def end_of_turn(tokenizer: PreTrainedTokenizerBase, template: str, stop_ids: tuple[int, ...]) -> int:
    """The stop token that the chat template writes behind an answer. Of several stop tokens it is the one that the
    model was trained to write, and often not the tokenizer's end of text. Falls back on that, or on the first."""
    chat = [{"role": "user", "content": "a"}, {"role": "assistant", "content": ANSWER}]
    try:
        text = tokenizer.apply_chat_template(chat, chat_template=template, tokenize=False)
    except TEMPLATE_ERRORS:  # some accept lists of parts only
        text = ""
    _, found, behind = text.rpartition(ANSWER)
    ids = tokenizer(behind, add_special_tokens=False)["input_ids"] if found else []
    fallback = min(stop_ids) if tokenizer.eos_token_id is None else tokenizer.eos_token_id
    return next((index for index in ids if index in stop_ids), fallback)


def token_texts(tokenizer: PreTrainedTokenizerBase, ids: Tensor) -> list[str]:
    """The text of each id of i64[R] on its own."""
    return [tokenizer.decode([index]) for index in ids.tolist()]


# GPT-2's representation of bytes as printable characters: printable Latin-1 characters stand for themselves, the rest
# is mapped to U+0100 and above.
_PRINTABLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_BYTES = {chr(byte): byte for byte in _PRINTABLE}
_BYTES |= {chr(0x100 + place): byte for place, byte in enumerate(b for b in range(256) if chr(b) not in _BYTES)}
_HEX_BYTE = re.compile(r"<0x([0-9A-F]{2})>")  # sentencepiece's fallback for single bytes
_SPACE = "\u2581"  # sentencepiece's character for a space


def token_bytes(tokenizer: PreTrainedTokenizerBase, ids: Tensor) -> list[bytes]:
    """The bytes that each id of i64[R] stands for in a response; b"" for special tokens and unknown ids.

    Supports byte-level BPE and sentencepiece. The space that sentencepiece puts before a text is not part of it.
    """
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    special |= set(tokenizer.all_special_ids)
    tokens = tokenizer.convert_ids_to_tokens(ids.tolist())
    is_byte_level = not any(_SPACE in token for token in tokenizer.tokenize("a b"))
    read = _byte_level if is_byte_level else _sentencepiece
    pieces = [
        b"" if index in special or token is None else read(token)
        for index, token in zip(ids.tolist(), tokens, strict=True)
    ]
    if is_byte_level:
        return pieces
    return _without_leading_space(pieces, tokenizer.decode(ids.tolist(), skip_special_tokens=True))


def _without_leading_space(pieces: list[bytes], text: str) -> list[bytes]:
    """Remove the first space if the tokenizer leaves it out of the text."""
    joined = b"".join(pieces)
    if len(joined) - len(joined.lstrip(b" ")) == len(text) - len(text.lstrip(" ")):
        return pieces
    first = next(place for place, piece in enumerate(pieces) if piece)
    return [*pieces[:first], pieces[first].removeprefix(b" "), *pieces[first + 1 :]]


def _byte_level(token: str) -> bytes:
    known = all(letter in _BYTES for letter in token)
    return bytes(_BYTES[letter] for letter in token) if known else token.encode()  # an added token is plain text


def _sentencepiece(token: str) -> bytes:
    if fallback := _HEX_BYTE.fullmatch(token):
        return bytes.fromhex(fallback[1])
    return token.replace(_SPACE, " ").encode()
