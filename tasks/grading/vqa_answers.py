"""Soft VQA accuracy: how many of the people who answered a question agree with a prediction.

VQA accuracy (Antol et al. 2015, "VQA: Visual Question Answering"; Goyal et al. 2017 for v2), of ten answers:

    mean over the 10 leave-one-out subsets of min(1, matches in the subset / 3)

so 0, 1, 2, 3, 4 matches score 0, 0.3, 0.6, 0.9, 1. With n answers, n subsets of n - 1 and min(3, n - 1) in place of 3:
of two answers a match with one scores 0.5, with both 1; one answer is an exact match. Texts match when the official
normalisation writes them alike; here it always applies (the official script skips it, even the case, where all
answers are equal) and every full stop counts (there, the first 32). Left out: accuracy by question or answer type.
"""

import re
from collections.abc import Sequence

from uniopd_mm.tasks.grading.answers import doubtful, final_answer, literal_readings, unanswered, unknown
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome

CORRECT_FROM = 0.5
FULL_AGREEMENT = 3


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """The soft accuracy of one prediction, 0.0 where there are no answers.

    >>> vqa_accuracy("Two.", ["2", "two", "3", "3", "3", "3", "3", "3", "3", "3"])  # (2 × 1/3 + 8 × 2/3) / 10
    0.6
    """
    normal = normalise_vqa(prediction)
    return agreement(sum(normalise_vqa(answer) == normal for answer in answers), len(answers))


def agreement(matches: int, answers: int) -> float:
    """The mean over the leave-one-out subsets: `matches` of them lack one match, the others have all of them."""
    if answers <= 1:
        return float(matches)
    needed = min(FULL_AGREEMENT, answers - 1)
    without_a_match = matches * min(needed, matches - 1)
    without_another = (answers - matches) * min(needed, matches)
    return (without_a_match + without_another) / (needed * answers)


def grade_vqa(response: str, answers: Sequence[str]) -> Outcome:
    """The reward is the best soft accuracy of the final answer's readings; correct from 0.5. Never raises.

    Blank answers are left out; without any other the outcome is unknown. An empty response is incorrect.
    """
    usable = [text for text in ([answers] if isinstance(answers, str) else answers) if text.strip()]
    if not usable:
        return unknown("no reference answer that can be read")
    final = final_answer(response)
    if final is None:
        return unanswered(response)
    if final.doubt:
        return doubtful(final)
    expected = [normalise_vqa(answer) for answer in usable]
    matches, reading = max(
        ((expected.count(normalise_vqa(text)), text) for text in literal_readings(final)), key=lambda pair: pair[0]
    )
    score = agreement(matches, len(usable))
    reason = f"{final.form}: {quote(reading)} is {matches} of {len(usable)} answers, as {quote(usable[0])}"
    return Outcome(correct=score >= CORRECT_FROM, reward=score, reason=reason, answer=final.text)


_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_DIGIT_COMMA = re.compile(r"\d,\d")
_FULL_STOP = re.compile(r"\.(?!\d)")
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = {
    **{"none": "0", "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6"},
    **{"seven": "7", "eight": "8", "nine": "9", "ten": "10"},
}


def normalise_vqa(text: str) -> str:
    """The text as the official evaluation compares it.

    A punctuation mark goes where it touches a space somewhere in the text, or where any comma stands between digits;
    elsewhere it becomes a space. Full stops go unless a digit follows. Then lower case, number words to ten as digits,
    no articles, and the apostrophes of contractions put back.

    >>> normalise_vqa("The Red-Brick one, isnt it?"), normalise_vqa("1,000 a year.")
    ("red brick 1 isn't it", '1000 year')
    """
    text = text.replace("\n", " ").replace("\t", " ").strip()
    return " ".join(
        _CONTRACTIONS.get(word, word)
        for word in (_NUMBERS.get(word, word) for word in _without_punctuation(text).lower().split())
        if word not in _ARTICLES
    )


def _without_punctuation(text: str) -> str:
    thousands = _DIGIT_COMMA.search(text) is not None
    kept = text
    for mark in _PUNCTUATION:
        goes = thousands or f"{mark} " in text or f" {mark}" in text
        kept = kept.replace(mark, "" if goes else " ")
    return _FULL_STOP.sub("", kept)


# The words whose missing apostrophe the official evaluation puts back. It lacks some on purpose ("its", "well", "ill"
# and "were" are words of their own) and those with a capital I, which never occur in its lower-case text.
_WITH_APOSTROPHES = """
    ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't he'd he'd've
    he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've might've mustn't must've needn't not've
    o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't shouldn't've somebody'd've somebody'll somebody's
    someone'd someone'd've someone'll someone's something'd something'd've something'll that's there'd there'd've
    there're there's they'd they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's
    what've when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've
    wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
"""


def _one_missing(word: str) -> list[str]:
    return [word[:place] + word[place + 1 :] for place, char in enumerate(word) if char == "'"]


_CONTRACTIONS = {less: word for word in _WITH_APOSTROPHES.split() for less in _one_missing(word)}
