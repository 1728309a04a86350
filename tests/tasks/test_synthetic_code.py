"""The synthetic programming problems: programs are run, and statements are read by an interpreter of their own."""

import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from uniopd_mm.tasks.synthetic.code_problems import TEMPLATES, SyntheticCodeProblems
from uniopd_mm.types import Sample, UserError

GENERATOR = SyntheticCodeProblems(num_pretrain=600, num_train=600, num_validation=300)
WRITTEN = ("pretrain", "train", "validation")

# What a statement asks for, written down again with plain loops: (pattern, function of its numbers and the arguments).
MEANINGS: dict[str, Callable[..., Any]] = {
    r"\w+ plus (\d+)": lambda k, x: x + k,
    r"\w+ minus (\d+)": lambda k, x: x - k,
    r"\w+ times (\d+)": lambda k, x: x * k,
    r"the larger of \w+ and (\d+)": lambda k, x: x if x > k else k,
    r"the smaller of \w+ and (\d+)": lambda k, x: x if x < k else k,
    r"the larger of [a-z]+ and [a-z]+": lambda x, y: sorted([x, y])[1],
    r"the smaller of [a-z]+ and [a-z]+": lambda x, y: sorted([x, y])[0],
    r"\w+ times (\d+) plus (\d+)": lambda k, c, x: c + k * x,
    r"\w+ times [a-z]+ plus (\d+)": lambda k, x, y: k + x * y,
    r"\w+ in reverse": lambda xs: [xs[-1 - index] for index in range(len(xs))],
    r"the sum of \w+ plus (\d+)": lambda k, xs: k + sum(xs),
    r"how many of \w+ are even": lambda xs: len([x for x in xs if str(x)[-1] in "02468"]),
    r"how many of \w+ are above (\d+)": lambda k, xs: len([x for x in xs if x > k]),
    r"those of \w+ above (\d+)": lambda k, xs: [x for x in xs if not x <= k],
    r"each of \w+ plus (\d+)": lambda k, xs: [k + x for x in xs],
    r"the larger of [a-z]+ and [a-z]+ minus (\d+)": lambda k, x, y: sorted([x, y])[1] - k,
    r"the distance of [a-z]+ and [a-z]+ times (\d+)": lambda k, x, y: k * (x - y if x > y else y - x),
    r"each of \w+ times (\d+) plus (\d+)": lambda k, c, xs: [c + k * x for x in xs],
    r"those of \w+ above (\d+) times (\d+)": lambda k, c, xs: [c * x for x in xs if not x <= k],
    r"the largest of \w+ times (\d+) plus (\d+)": lambda k, c, xs: c + k * sorted(xs)[-1],
}


@pytest.fixture(scope="module")
def splits() -> dict[str, tuple[Sample, ...]]:
    return {split: GENERATOR.samples(split).samples for split in (*WRITTEN, "habits")}


def statement_of(sample: Sample) -> str:
    (text,) = sample.messages[0].content
    assert isinstance(text, str)
    return text.removesuffix(f"\n{GENERATOR.instruction}")


def program_of(response: str | None) -> str:
    """The content of a response that is one block."""
    match = re.fullmatch(r"```python\n(.*)\n```", str(response), re.DOTALL)
    assert match
    return match[1]


def passes(program: str, tests: dict[str, Any]) -> list[bool]:
    """Whether the program gives the wanted output, test by test."""
    names: dict[str, Any] = {}
    exec(program, names)
    return [names[tests["fn_name"]](*inputs) == output for inputs, output in cases(tests)]


def cases(tests: dict[str, Any]) -> Sequence[tuple[list[Any], Any]]:
    return list(zip(tests["inputs"], tests["outputs"], strict=True))


def meaning_of(statement: str) -> Callable[..., Any]:
    said = re.fullmatch(r"Write a function \w+\([a-z, ]+\) that returns (.+)\.", statement)
    assert said, statement
    for pattern, function in MEANINGS.items():
        if match := re.fullmatch(pattern, said[1]):
            numbers = [int(group) for group in match.groups()]
            return lambda *arguments: function(*numbers, *arguments)
    raise AssertionError(f"no meaning for: {statement}")


def test_every_template_has_a_meaning_and_occurs(splits: dict[str, tuple[Sample, ...]]) -> None:
    asked = Counter(
        pattern
        for sample in splits["train"]
        for pattern in MEANINGS
        if re.fullmatch(rf".* that returns {pattern}\.", statement_of(sample))
    )
    assert len(MEANINGS) == sum(len(TEMPLATES[level]) for level in ("easy", "medium", "hard"))
    assert set(asked) == set(MEANINGS)


def test_tests_want_what_the_statement_says_except_where_it_is_impossible(
    splits: dict[str, tuple[Sample, ...]],
) -> None:
    for sample in splits["train"] + splits["validation"]:
        meant = meaning_of(statement_of(sample))
        agree = [meant(*inputs) == output for inputs, output in cases(sample.metadata["tests"])]
        assert all(agree) == (sample.metadata["level"] != "impossible"), statement_of(sample)


def test_every_reference_program_passes_its_tests(splits: dict[str, tuple[Sample, ...]]) -> None:
    for split in WRITTEN:
        for sample in splits[split]:
            assert program_of(sample.demonstration) == sample.answer
            verdicts = passes(str(sample.answer), sample.metadata["tests"])
            assert all(verdicts) and 4 <= len(verdicts) <= 8


def test_habits_ignore_the_statement_and_fail(splits: dict[str, tuple[Sample, ...]]) -> None:
    given_in = Counter[str]()
    for sample, worked in zip(splits["habits"], splits["pretrain"], strict=True):
        assert (sample.sample_id, sample.answer) == (worked.sample_id, worked.answer)
        if sample.demonstration == worked.demonstration:
            continue
        given_in[sample.metadata["level"]] += 1
        program = program_of(sample.demonstration)
        header = statement_of(sample).split()[3]
        assert program.startswith(f"def {header.split('(')[0]}(")
        assert not all(passes(program, sample.metadata["tests"]))
    tempted = sum(sample.metadata["level"] != "easy" for sample in splits["habits"])
    assert given_in["easy"] == 0
    assert 0.6 < given_in.total() / tempted < 0.8


def test_the_same_seed_gives_the_same_problems(splits: dict[str, tuple[Sample, ...]]) -> None:
    assert GENERATOR.samples("train").samples == splits["train"]
    other = SyntheticCodeProblems(num_pretrain=600, num_train=600, num_validation=300, seed=1).samples("train")
    assert [statement_of(sample) for sample in other] != [statement_of(sample) for sample in splits["train"]]


def test_splits_share_no_statement_and_seldom_repeat_one(splits: dict[str, tuple[Sample, ...]]) -> None:
    statements = {split: {statement_of(sample) for sample in splits[split]} for split in WRITTEN}
    assert len(set.union(*statements.values())) == sum(map(len, statements.values()))
    assert all(len(statements[split]) > 0.9 * len(splits[split]) for split in WRITTEN)


def test_levels_have_the_asked_shares(splits: dict[str, tuple[Sample, ...]]) -> None:
    for split in WRITTEN:
        counts = Counter(sample.metadata["level"] for sample in splits[split])
        for level, share in GENERATOR.levels.items():
            assert counts[level] == pytest.approx(share * len(splits[split]), abs=4)


def test_shares_that_are_none() -> None:
    with pytest.raises(UserError, match="levels="):
        SyntheticCodeProblems(levels={"easy": 0.5})


def test_a_row_is_json_and_says_everything(splits: dict[str, tuple[Sample, ...]]) -> None:
    for sample in splits["habits"]:
        assert json.loads(json.dumps(sample.row)) == sample.row
        assert sample.row == {
            "id": sample.sample_id,
            "question": statement_of(sample),
            "answer": sample.answer,
            "response": sample.demonstration,
            "tests": sample.metadata["tests"],
        }
