"""What the synthetic sets share: problems drawn so that no two splits have one in common, and demonstrations, some of
which give in to a habit.

A problem belongs to the split that the hash of its content names, because two seeds often draw the same one; drawing
goes on until it is one of the wanted split's own. `habits` are the problems of `pretrain` with a share of thoughtless
demonstrations: what somebody says who does not look, for a student that has something to unlearn.
"""

import hashlib
import random
from collections.abc import Callable
from typing import TypeVar

from uniopd_mm.types import UserError

WRITTEN = ("pretrain", "train", "validation")
SPLITS = (*WRITTEN, "habits")

Drawn = TypeVar("Drawn")


def written_split(split: str) -> str:
    """The split whose problems `split` has. Raises UserError where there is no such split."""
    if split not in SPLITS:
        raise UserError(f"split={split}: the synthetic set has {', '.join(SPLITS)}")
    return "pretrain" if split == "habits" else split


def draw_own(
    draw: Callable[[random.Random], Drawn], content: Callable[[Drawn], bytes], *, split: str, number: int, seed: int
) -> Drawn:
    """Problem `number` of a written split: drawn anew until the hash of its `content` is one of the split's own."""
    rng = random.Random(f"{seed}/{split}/{number}")
    while True:
        drawn = draw(rng)
        digest = hashlib.sha256(content(drawn)).digest()
        if WRITTEN[int.from_bytes(digest[:8], "big") % len(WRITTEN)] == split:
            return drawn


def is_thoughtless(sample_id: str, *, split: str, share: float, seed: int) -> bool:
    """Whether the demonstration of this sample gives in to the habit: so it is for `share` of the split habits."""
    return split == "habits" and random.Random(f"{seed}/habit/{sample_id}").random() < share
