"""The identity of a model, for comparison with another: its vocabulary, its processor's settings, its size.

It comes from a processor in this process, or from a server's info. Leaves out the comparison (compatibility.py).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from uniopd_mm.interfaces import Processor
from uniopd_mm.types import Settings, Vocabulary

DIGEST_BYTES = 16
VOCABULARY, STOP_IDS, BANNED_IDS, ROWS = "vocabulary", "stop ids", "banned ids", "rows of the embedding"
MEDIA = "media"


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """`vocabulary` is a digest of the `num_tokens` tokens and their ids; `tokens` has them in full, None if only the
    digest is known. `vocab_size` counts the rows of the model's output embedding. `preprocesses` means that its engine
    gets decoded media and makes the model's tensors itself."""

    vocabulary: str
    num_tokens: int
    stop_ids: tuple[int, ...]
    banned_ids: tuple[int, ...]
    vocab_size: int
    settings: Settings
    preprocesses: bool = False
    tokens: Mapping[str, int] | None = None

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of media that the model can read."""
        return frozenset(map(kind_of, self.settings.binding))

    @property
    def described(self) -> dict[str, str]:
        """All settings as text, by name."""
        return {
            VOCABULARY: f"{self.num_tokens} tokens, {self.vocabulary[:8]}",
            STOP_IDS: " ".join(map(str, self.stop_ids)),
            BANNED_IDS: " ".join(map(str, self.banned_ids)),
            ROWS: str(self.vocab_size),
            MEDIA: " ".join(sorted(self.kinds)) or "none",
            **self.settings.binding,
            **self.settings.informative,
        }


def identity_of(processor: Processor, vocab_size: int, *, preprocesses: bool = False) -> Identity:
    """The identity of a model in this process; its output embedding has `vocab_size` rows."""
    vocabulary = processor.vocabulary
    return Identity(
        vocabulary=vocabulary_digest(vocabulary),
        num_tokens=len(vocabulary.tokens),
        stop_ids=vocabulary.stop_ids,
        banned_ids=vocabulary.banned_ids,
        vocab_size=vocab_size,
        settings=processor.settings,
        preprocesses=preprocesses,
        tokens=vocabulary.tokens,
    )


def kind_of(setting: str) -> str:
    """The kind of media of a binding setting."""
    return setting.partition(".")[0]


def vocabulary_digest(vocabulary: Vocabulary) -> str:
    """A digest of all tokens and their ids, in the order of the ids."""
    ordered = sorted((index, token) for token, index in vocabulary.tokens.items())
    return hashlib.blake2b(json.dumps(ordered).encode(), digest_size=DIGEST_BYTES).hexdigest()
