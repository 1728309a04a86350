"""What all synthetic sets share: which split a problem belongs to, and which demonstrations are thoughtless.

The hash of a problem's content decides its split, so no two splits share a problem even if two seeds draw the same
one. `draw_own` draws until it finds a problem of the wanted split. The split `habits` has the problems of `pretrain`,
but a share of its demonstrations is thoughtless: they follow a habit and ignore the question. It trains a student that
has something to unlearn.
"""

import hashlib
import random
from collections.abc import Callable
from typing import Protocol, TypeVar

from uniopd_mm.types import UserError

WRITTEN = ("pretrain", "train", "validation")
SPLITS = (*WRITTEN, "habits")

Drawn = TypeVar("Drawn")


class Sized(Protocol):
    """The fields of a synthetic set that say how many samples each split has."""

    @property
    def num_pretrain(self) -> int: ...

    @property
    def num_train(self) -> int: ...

    @property
    def num_validation(self) -> int: ...


def written_split(split: str) -> str:
    """The split whose problems `split` has: `pretrain` for `habits`, else `split`.

    Raises:
        UserError: there is no such split.
    """
    if split not in SPLITS:
        raise UserError(f"split={split}: the synthetic set has no such split; choose from {', '.join(SPLITS)}")
    return "pretrain" if split == "habits" else split


def num_problems(source: Sized, split: str) -> int:
    """How many problems a split of this set has. Raises UserError if there is no such split."""
    counts = {"pretrain": source.num_pretrain, "train": source.num_train, "validation": source.num_validation}
    return counts[written_split(split)]


def draw_own(
    draw: Callable[[random.Random], Drawn], content: Callable[[Drawn], bytes], *, split: str, number: int, seed: int
) -> Drawn:
    """Problem `number` of a written split: drawn again and again until the hash of its `content` selects that split."""
    rng = random.Random(f"{seed}/{split}/{number}")
    while True:
        drawn = draw(rng)
        digest = hashlib.sha256(content(drawn)).digest()
        if WRITTEN[int.from_bytes(digest[:8], "big") % len(WRITTEN)] == split:
            return drawn


def is_thoughtless(sample_id: str, *, split: str, share: float, seed: int) -> bool:
    """Whether this sample's demonstration is thoughtless. True for about `share` of the split `habits`, else False."""
    return split == "habits" and random.Random(f"{seed}/habit/{sample_id}").random() < share
