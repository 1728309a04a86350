"""Token ids as strings a person can read, one string per token.

Left out: joining them. Single tokens of a byte-level vocabulary may hold part of a character, so the text of a
response is the processor's `decode`, never a join of these.
"""

from collections.abc import Callable

from torch import Tensor

from uniopd_mm.types import Vocabulary


def token_strings(vocabulary: Vocabulary) -> Callable[[Tensor], list[str]]:
    r"""A function from ids i64[R] to R strings; an id outside the vocabulary becomes `<id 123>`.

    In a byte-level vocabulary "Ġblue" becomes " blue", and the lone first byte of a longer character becomes "\xe2".
    """
    bytes_of = _byte_alphabet()
    byte_level = all(symbol in vocabulary.tokens for symbol in bytes_of)
    strings = {
        token_id: _readable(token, bytes_of) if byte_level else token.replace("▁", " ")
        for token, token_id in vocabulary.tokens.items()
    }
    return lambda ids: [strings.get(token_id, f"<id {token_id}>") for token_id in ids.tolist()]


def _readable(token: str, bytes_of: dict[str, int]) -> str:
    if not all(symbol in bytes_of for symbol in token):
        return token  # an added token, which stands for itself
    return bytes(bytes_of[symbol] for symbol in token).decode("utf-8", errors="backslashreplace")


def _byte_alphabet() -> dict[str, int]:
    """GPT-2's printable symbol for each byte: printable Latin-1 stands for itself, the others follow from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + index): byte for index, byte in enumerate(others)}
