"""The synthetic mathematics, against solvers that read the question alone: Python's fractions and a search by trial."""

import json
import re
from collections import Counter
from fractions import Fraction

import pytest

from uniopd_mm.tasks.grading.answers import grade_open, last_boxed
from uniopd_mm.tasks.synthetic.levels import LEVELS, level_of
from uniopd_mm.tasks.synthetic.math_problems import KINDS, SyntheticMathProblems
from uniopd_mm.types import Sample, UserError

GENERATOR = SyntheticMathProblems(num_pretrain=600, num_train=600, num_validation=300)
WRITTEN = ("pretrain", "train", "validation")


@pytest.fixture(scope="module")
def splits() -> dict[str, tuple[Sample, ...]]:
    return {split: GENERATOR.samples(split).samples for split in (*WRITTEN, "habits")}


def question_of(sample: Sample) -> str:
    (text,) = sample.messages[0].content
    assert isinstance(text, str)
    return text.removesuffix(f"\n{GENERATOR.instruction}")


def expression(text: str) -> Fraction:
    """The value of a sum or product of whole numbers."""
    assert re.fullmatch(r"[0-9+*() -]+", text)
    return Fraction(eval(re.sub(r"([0-9]+)", r"Fraction(\1)", text), {"Fraction": Fraction}))


def root(equation: str, letter: str) -> Fraction:
    """The solution of an equation that is linear in the letter, from its values at 0 and 1."""
    left, right = re.sub(rf"([0-9]*){letter}", lambda match: f"{match[1] or 1}*L", equation).split("=")
    at = [expression(left.replace("L", n)) - expression(right.replace("L", n)) for n in ("0", "1")]
    return at[0] / (at[0] - at[1])


def solve(question: str) -> Fraction:
    """The answer, worked out from the question's text."""
    numbers = [int(number) for number in re.findall(r"[0-9]+", question)]
    if match := re.fullmatch(r"Solve (.+) for (\w)\.", question):
        return root(match[1], match[2])
    if match := re.fullmatch(r"(?:Find \w =|Compute) (.+)\.", question):
        return expression(match[1])
    if "What comes next" in question:
        assert numbers[1] - numbers[0] == numbers[2] - numbers[1]
        return Fraction(2 * numbers[2] - numbers[1])
    if "equal rows" in question:
        return Fraction(numbers[0] % numbers[1])
    word = re.search(r"gets|loses|boxes", question)
    assert word, f"no solver for: {question}"
    a, b = numbers
    return Fraction({"gets": a + b, "loses": a - b, "boxes": a * b}[word[0]])


def test_every_answer_is_what_the_question_asks_for(splits: dict[str, tuple[Sample, ...]]) -> None:
    for sample in splits["train"] + splits["validation"]:
        assert sample.answer is not None
        assert solve(question_of(sample)) == int(sample.answer), question_of(sample)
        assert int(sample.answer) >= 0


def test_every_kind_occurs(splits: dict[str, tuple[Sample, ...]]) -> None:
    forms = {re.sub(r"[0-9]+|\b[a-z]\b|[A-Z][a-z]{2}\b|\w+(?=s\b)", "", question_of(s)) for s in splits["train"]}
    assert len(forms) >= sum(map(len, KINDS.values()))


def test_every_step_of_the_work_holds(splits: dict[str, tuple[Sample, ...]]) -> None:
    for sample in splits["train"]:
        work = str(sample.demonstration).split(". \\boxed")[0]
        for step in work.split(", "):
            sides = [side.strip() for side in step.split("=") if not re.search(r"[a-z]", side)]
            values = [Fraction(side.replace(" ", "")) if "/" in side else expression(side) for side in sides]
            assert len(values) >= 2 and len(set(values)) == 1, sample.demonstration


def test_a_demonstration_ends_in_the_boxed_answer(splits: dict[str, tuple[Sample, ...]]) -> None:
    for split in WRITTEN:
        for sample in splits[split]:
            assert str(sample.demonstration).endswith(f" \\boxed{{{sample.answer}}}")
            assert grade_open(str(sample.demonstration), sample.answer).correct is True


def test_the_same_seed_gives_the_same_problems(splits: dict[str, tuple[Sample, ...]]) -> None:
    assert GENERATOR.samples("train").samples == splits["train"]
    other = SyntheticMathProblems(num_pretrain=600, num_train=600, num_validation=300, seed=1).samples("train")
    assert [question_of(sample) for sample in other] != [question_of(sample) for sample in splits["train"]]


def test_splits_share_no_question_and_seldom_repeat_one(splits: dict[str, tuple[Sample, ...]]) -> None:
    questions = {split: {question_of(sample) for sample in splits[split]} for split in WRITTEN}
    assert len(set.union(*questions.values())) == sum(map(len, questions.values()))
    assert all(len(questions[split]) > 0.9 * len(splits[split]) for split in WRITTEN)
    assert {question_of(sample) for sample in splits["habits"]} == questions["pretrain"]


def test_habits_are_a_share_of_what_is_not_easy(splits: dict[str, tuple[Sample, ...]]) -> None:
    given_in = Counter[str]()
    for sample, worked in zip(splits["habits"], splits["pretrain"], strict=True):
        assert (sample.sample_id, sample.answer) == (worked.sample_id, worked.answer)
        if sample.demonstration != worked.demonstration:
            assert sample.demonstration == r"\boxed{2}"
            given_in[sample.metadata["level"]] += 1
    tempted = sum(sample.metadata["level"] != "easy" for sample in splits["habits"])
    assert given_in["easy"] == 0
    assert 0.6 < given_in.total() / tempted < 0.8
    wrong = [s for s in splits["habits"] if last_boxed(str(s.demonstration)) != s.answer]
    assert len(wrong) > 0.7 * given_in.total(), "what everybody says is right too often"


def test_levels_have_the_asked_shares(splits: dict[str, tuple[Sample, ...]]) -> None:
    for split in WRITTEN:
        counts = Counter(sample.metadata["level"] for sample in splits[split])
        for level, share in GENERATOR.levels.items():
            assert counts[level] == pytest.approx(share * len(splits[split]), abs=4)


@pytest.mark.parametrize("shares", [{"easy": 1.0}, {"hard": 0.5, "impossible": 0.5}, {"easy": 0.9, "medium": 0.1}])
def test_other_shares(shares: dict[str, float]) -> None:
    samples = SyntheticMathProblems(num_train=100, levels=shares).samples("train")
    counts = Counter(sample.metadata["level"] for sample in samples)
    assert set(counts) == set(shares)
    assert all(counts[level] == pytest.approx(100 * share, abs=3) for level, share in shares.items())


def test_every_stretch_of_numbers_has_the_shares() -> None:
    shares = dict(zip(LEVELS, (0.1, 0.2, 0.3, 0.4), strict=True))
    counts = Counter(level_of(number, shares) for number in range(5000, 5100))
    assert all(counts[level] == pytest.approx(100 * share, abs=4) for level, share in shares.items())


@pytest.mark.parametrize(
    ("levels", "named"),
    [
        ({"easy": 0.5}, "levels=.* sum to 1"),
        ({"easy": 2.0, "hard": -1.0}, "levels=.* at least 0"),
        ({"simple": 1.0}, "levels.simple: no such level"),
        ({}, "levels=.* sum to 1"),
    ],
)
def test_shares_that_are_none(levels: dict[str, float], named: str) -> None:
    with pytest.raises(UserError, match=named):
        SyntheticMathProblems(levels=levels)


def test_an_unknown_split() -> None:
    with pytest.raises(UserError, match="split=test"):
        GENERATOR.samples("test")


def test_a_row_is_json_and_says_everything(splits: dict[str, tuple[Sample, ...]]) -> None:
    for sample in splits["habits"]:
        row = json.loads(json.dumps(sample.row))
        assert row == sample.row
        assert row == {
            "id": sample.sample_id,
            "question": question_of(sample),
            "answer": sample.answer,
            "response": sample.demonstration,
        }


def test_instruction_and_domain_are_the_callers() -> None:
    (sample,) = SyntheticMathProblems(num_train=1, instruction="Box it.", domain="sums").samples("train")
    assert sample.domain == "sums"
    assert [str(part).endswith("\nBox it.") for part in sample.messages[0].content] == [True]
