"""Divides the samples of one file into train, validation and test.

A row's own `split` counts. Without one, a hash of the id decides, so that a row keeps its split when others are added,
removed or reordered. Left out: stratifying, and keeping all rows of one video in one split.
"""

import hashlib
from collections.abc import Mapping, Sequence

from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.tasks.reading.rows import Reading
from uniopd_mm.types import BadSample, Corpus, UserError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS = (TRAIN, VALIDATION, TEST)
OTHER_NAMES = {"training": TRAIN, "val": VALIDATION, "valid": VALIDATION, "dev": VALIDATION}


def read_split(value: object) -> str | None:
    """The split that a row declares, None if it declares none. Raises BadSample for an unknown name."""
    if value is None:
        return None
    name = str(value).strip().lower()
    split = OTHER_NAMES.get(name, name)
    if split not in SPLITS:
        raise BadSample(f"split {quote(value)} is unknown; choose from {', '.join(SPLITS)}")
    return split


def check_fraction(validation_fraction: float) -> None:
    """Raises UserError unless 0 <= validation_fraction < 1."""
    if not 0 <= validation_fraction < 1:
        raise UserError(f"validation_fraction={validation_fraction}: must be at least 0 and below 1, e.g. 0.1")


def assign_splits(sample_ids: Sequence[str], declared: Mapping[str, str], validation_fraction: float) -> dict[str, str]:
    """The split of every sample.

    A sample that declares none is in validation if its hash, uniform in [0, 1), is below `validation_fraction`.
    If that leaves train empty, the sample with the highest hash moves there. If it leaves validation empty although the
    fraction is above 0, the sample with the lowest hash moves there. Samples that declare a split never move.
    """
    free = sorted((sample_id for sample_id in sample_ids if sample_id not in declared), key=_position)
    splits = {sample_id: declared.get(sample_id, TRAIN) for sample_id in sample_ids}
    splits |= {sample_id: VALIDATION for sample_id in free if _position(sample_id) < validation_fraction}
    if free and TRAIN not in splits.values():
        splits[free[-1]] = TRAIN
    if free and validation_fraction > 0 and VALIDATION not in splits.values() and _num(splits, TRAIN) > 1:
        splits[free[0]] = VALIDATION
    return splits


def corpus_of(reading: Reading, split: str, validation_fraction: float) -> Corpus:
    """One split of a file, in file order. The split of a skipped row is unknown, so every split lists all of them.

    Raises:
        UserError: there is no such split, or it is empty.
    """
    if split not in SPLITS:
        raise UserError(f"split={split}: no such split; choose from {', '.join(SPLITS)}")
    sample_ids = [sample.sample_id for sample in reading.samples]
    splits = assign_splits(sample_ids, reading.declared_splits, validation_fraction)
    samples = tuple(sample for sample in reading.samples if splits[sample.sample_id] == split)
    if not samples:
        raise UserError(_empty_split(reading, split, validation_fraction))
    recognised = (f"{reading.path}: {reading.recognised}",) if reading.recognised else ()
    return Corpus(samples=samples, skipped=reading.skipped, left_out=reading.left_out, recognised=recognised)


def _empty_split(reading: Reading, split: str, validation_fraction: float) -> str:
    fraction = f", or raise validation_fraction={validation_fraction}" if split == VALIDATION else ""
    num_samples = len(reading.samples)
    rows = "its 1 usable row" if num_samples == 1 else f"its {num_samples} usable rows"
    remedy = f'add rows or mark some with "split": "{split}"{fraction}'
    return f"data.path={reading.path}: none of {rows} is in split {split}; {remedy}"


def _num(splits: Mapping[str, str], split: str) -> int:
    return sum(1 for name in splits.values() if name == split)


def _position(sample_id: str) -> float:
    """A number in [0, 1) that depends on the id alone, the same on every machine."""
    digest = hashlib.sha256(sample_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
