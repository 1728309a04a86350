"""The fingerprints that a checkpoint keeps, and what differs between two of them. fingerprints.py takes them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprints:
    """Digests of the train and validation rows in order, i64[N, 2]: of a row's id, and of all it holds. `parts` has
    those of everything else by name."""

    train: Tensor
    validation: Tensor
    parts: Mapping[str, str]

    def changes_since(self, earlier: "Fingerprints") -> list[str]:
        """What differs from earlier fingerprints, in words; empty where nothing does."""
        rows = {"train rows": (earlier.train, self.train), "validation rows": (earlier.validation, self.validation)}
        named = [f"{name}: {said}" for name, pair in rows.items() if (said := _row_changes(*pair))]
        for name in dict.fromkeys([*earlier.parts, *self.parts]):
            old, new = earlier.parts.get(name, "none"), self.parts.get(name, "none")
            named += [f"{name}: {old} -> {new}"] if old != new else []
        return named


def _row_changes(old: Tensor, new: Tensor) -> str:
    if torch.equal(old, new):
        return ""
    before, after = (Counter(map(tuple, digests.tolist())) for digests in (old, new))
    gone, come = before - after, after - before
    ids = [Counter(index for index, _ in rows.elements()) for rows in (gone, come)]
    changed = (ids[0] & ids[1]).total()
    counts = {"changed": changed, "added": come.total() - changed, "removed": gone.total() - changed}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "in another order"
