"""Dividing samples: declared splits win, the others stay where their hash puts them, and no split is silently empty."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.tasks.reading.rows import Reading
from uniopd_mm.tasks.reading.splits import assign_splits, check_fraction, corpus_of, read_split
from uniopd_mm.types import BadSample, Sample, Skip, UserError

IDS = [f"sample-{number}" for number in range(2000)]


def reading(sample_ids: list[str], declared: dict[str, str] | None = None) -> Reading:
    samples = tuple(Sample(sample_id=name, domain="d", messages=(), answer="x", source=name) for name in sample_ids)
    skipped = (Skip(where="rows.jsonl:9", reason="no answer"),)
    return Reading(path="rows.jsonl", samples=samples, declared_splits=declared or {}, skipped=skipped)


def test_the_share_is_about_the_fraction() -> None:
    splits = assign_splits(IDS, {}, 0.1)
    assert 160 < sum(split == "validation" for split in splits.values()) < 240  # 200 ± 3 standard deviations


def test_the_split_is_the_hash_of_the_id() -> None:
    splits = assign_splits(IDS, {}, 0.25)
    for name in IDS[:100]:
        first_bits = int(hashlib.sha256(name.encode()).hexdigest()[:2], 16) >> 6
        assert splits[name] == ("validation" if first_bits == 0 else "train")


def test_a_sample_stays_when_others_come_go_or_move() -> None:
    all_of_them = assign_splits(IDS, {}, 0.1)
    some = assign_splits(IDS[:1000:-3], {}, 0.1)
    assert some == {name: all_of_them[name] for name in some}


def test_declared_splits_win() -> None:
    declared = {name: ["train", "validation", "test"][number % 3] for number, name in enumerate(IDS[:300])}
    splits = assign_splits(IDS, declared, 0.1)
    assert {name: splits[name] for name in declared} == declared


@given(st.lists(st.text(st.characters()), min_size=2, unique=True), st.floats(0.001, 0.999))
def test_two_samples_fill_both_splits(sample_ids: list[str], fraction: float) -> None:
    splits = assign_splits(sample_ids, {}, fraction)
    assert set(splits.values()) == {"train", "validation"}
    assert list(splits) == sample_ids


@given(st.text(), st.floats(0, 0.999))
def test_a_single_sample_is_for_training(sample_id: str, fraction: float) -> None:
    assert assign_splits([sample_id], {}, fraction) == {sample_id: "train"}


def test_no_fraction_holds_nothing_out() -> None:
    assert set(assign_splits(IDS, {}, 0).values()) == {"train"}


def test_declared_samples_never_move_to_fill_a_split() -> None:
    assert set(assign_splits(IDS, dict.fromkeys(IDS, "train"), 0.1).values()) == {"train"}
    declared = dict.fromkeys(IDS[1:], "validation")
    assert assign_splits(IDS, declared, 0.1)[IDS[0]] == "train"


def test_corpora_keep_file_order_and_name_what_was_skipped() -> None:
    train, validation = (corpus_of(reading(IDS), split, 0.1) for split in ("train", "validation"))
    ids = [sample.sample_id for sample in train], [sample.sample_id for sample in validation]
    assert all(names == sorted(names, key=IDS.index) for names in ids)
    assert sorted(ids[0] + ids[1]) == sorted(IDS)
    assert train.skipped == validation.skipped == (Skip(where="rows.jsonl:9", reason="no answer"),)


@pytest.mark.parametrize(
    ("sample_ids", "declared", "split", "fraction", "message"),
    [
        (["a"], {}, "validation", 0.1, "its 1 usable row is in split validation; add rows"),
        (["a", "b"], {}, "validation", 0.0, "raise validation_fraction=0.0"),
        (["a", "b"], {"a": "train", "b": "train"}, "validation", 0.1, "mark some with \"split\": \"validation\""),
        (["a", "b"], {"a": "validation", "b": "validation"}, "train", 0.1, "in split train"),
        (["a", "b"], {}, "test", 0.1, "in split test"),
        (["a", "b"], {}, "tset", 0.1, "split=tset: no such split; choose from train, validation, test"),
    ],
)  # fmt: skip
def test_an_empty_split_is_an_error(
    sample_ids: list[str], declared: dict[str, str], split: str, fraction: float, message: str
) -> None:
    with pytest.raises(UserError) as error:
        corpus_of(reading(sample_ids, declared), split, fraction)
    assert message in str(error.value).replace("none of its 1 usable row is", "its 1 usable row is")


@pytest.mark.parametrize("fraction", [-0.1, 1, 2.0, float("nan")])
def test_an_impossible_fraction_is_an_error(fraction: float) -> None:
    with pytest.raises(UserError, match="validation_fraction"):
        check_fraction(fraction)


@pytest.mark.parametrize(
    ("value", "split"),
    [(None, None), ("train", "train"), ("Training", "train"), (" val ", "validation"), ("valid", "validation"),
     ("dev", "validation"), ("validation", "validation"), ("TEST", "test")],
)  # fmt: skip
def test_split_names(value: str | None, split: str | None) -> None:
    assert read_split(value) == split


@pytest.mark.parametrize("value", ["trian", "eval", 3, ["train"]])
def test_a_misspelt_split_is_a_bad_sample(value: object) -> None:
    with pytest.raises(BadSample, match="is unknown; choose from train, validation, test"):
        read_split(value)
