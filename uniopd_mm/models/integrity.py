"""Whether a model's weights were loaded whole, and whether all processes hold the same."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from uniopd_mm.types import UserError

BITS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # integers by their bytes
PART = 2**24  # values whose products exist at a time: 128 MiB


def check_index(folder: Path) -> None:
    """Raises ValueError if an index of weights in a checkpoint folder names a file outside of it, or none."""
    for path in sorted(folder.glob("*.index.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        shards = content.get("weight_map") if isinstance(content, dict) else None
        if not isinstance(shards, dict):
            raise ValueError(f"{path.name} has no weight_map")
        for name in sorted(map(str, set(shards.values()))):
            if Path(name).name != name or not (folder / name).is_file():
                raise ValueError(f"{path.name} names {name}, which is no file of this folder")


def check_weights(model: PreTrainedModel) -> None:
    """Raises UserError if a weight has no values, or values that are not finite."""
    for name, weight in model.named_parameters():
        if weight.is_meta:
            raise UserError(
                f"its weight {name} was not loaded; give a complete checkpoint, and start every process so that it "
                "loads all weights"
            )
        if not weight.isfinite().all():
            raise UserError(f"its weight {name} contains NaN or infinite values; give a checkpoint that is whole")


@torch.no_grad()
def fingerprint(model: PreTrainedModel) -> str:
    """A digest of names, shapes and exact values of all weights, the same on every device."""
    weights = [(name, tuple(weight.shape), _checksums(weight)) for name, weight in model.named_parameters()]
    return hashlib.blake2b(repr(weights).encode(), digest_size=8).hexdigest()


def check_same(fingerprints: Sequence[Mapping[str, str]]) -> None:
    """Compare the fingerprints of each rank's models, by their names.

    Raises:
        UserError: a rank holds other weights than rank 0.
    """
    for rank, held in enumerate(fingerprints):
        for name, own in held.items():
            if own != fingerprints[0][name]:
                raise UserError(
                    f"{name}: rank {rank} has loaded other weights than rank 0; give a complete checkpoint that all "
                    "processes read alike"
                )


def _checksums(weight: Tensor) -> list[int]:
    """For each part of a weight, the sum of its bits as integers, each times an odd number of its place: exact, so that
    no order of summation can change it."""
    parts = weight.contiguous().view(BITS[weight.element_size()]).flatten().split(PART)
    return [int((part * (2 * torch.arange(len(part), device=part.device) + 1)).sum()) for part in parts]
