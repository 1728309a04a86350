"""The rows of a balanced corpus: every sample once, and some of the train split repeated under new ids."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from uniopd_mm.types import Sample


def balanced_rows(
    splits: Mapping[str, Sequence[Sample]], rates: Mapping[str, float], repeats: Mapping[str, int]
) -> Iterator[dict[str, Any]]:
    """Rows in the order of the samples, each with its `id`, its `split` and, if known, its `pass_rate`.

    Args:
        splits: samples by the split that their rows will name, so that no repeat can end up in another split.
        rates: measured pass rates by sample id. Other rows keep the pass rate they have.
        repeats: how often to write a sample of the train split; 1 for ids that are not listed.
    """
    taken = {sample.sample_id for samples in splits.values() for sample in samples}
    for split, samples in splits.items():
        for sample in samples:
            measured = {"pass_rate": rates[sample.sample_id]} if sample.sample_id in rates else {}
            row = {**sample.row, "id": sample.sample_id, "split": split, **measured}
            yield row
            for _ in range(1, repeats.get(sample.sample_id, 1) if split == "train" else 1):
                yield {**row, "id": _new_id(sample.sample_id, taken)}


def _new_id(sample_id: str, taken: set[str]) -> str:
    """`<id>#2`, or the next free number. Rollouts are seeded by the id, so the repeats of a sample get different
    rollouts."""
    name = next(name for number in count(2) if (name := f"{sample_id}#{number}") not in taken)
    taken.add(name)
    return name
