"""ANLS, the score of document questions: how near a text comes to the nearest of its references.

ANLS (average normalised Levenshtein similarity; Biten et al. 2019, "Scene Text Visual Question Answering", equation 1;
the metric of DocVQA and InfographicVQA) of one prediction p with references a:

    max over a of s(a, p),   s = 1 - NL where NL < threshold, else 0,   NL = levenshtein(a, p) / max(|a|, |p|)

over lower-case texts whose runs of blanks are one space. So NL = 0.5 scores 0, as in the paper; the competition's
script gives that one value 0.5, and measures lengths before it joins blanks. The average over questions is the
caller's. Left out: ANLS* (lists, dictionaries), synonyms, numbers: "1,000" is one edit from "1000".
"""

import math
import re
from collections.abc import Sequence

from uniopd_mm.tasks.grading.answers import doubtful, final_answer, literal_readings, unanswered, unknown
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome

CORRECT_FROM = 0.5


def anls(prediction: str, references: Sequence[str], threshold: float = 0.5) -> float:
    """The ANLS of one prediction, 0.0 where there are no references.

    >>> anls("Hello Wrld", ["Hello World", "Bye"])  # one edit in 11 characters
    0.9090909090909091
    """
    joined = _joined(prediction)
    return max((_similarity(joined, _joined(reference), threshold) for reference in references), default=0.0)


def grade_anls(response: str, references: Sequence[str]) -> Outcome:
    """The reward is the best ANLS of the final answer's readings; correct from 0.5. Never raises.

    Wrappers around the answer (LaTeX, emphasis, quotes, a full stop) are no edits. A reading that offers alternatives
    ("Ann Lee or Bob", with "or", " / " or a line each) scores 0 where one of them alone would score more. Blank
    references are left out; without any other the outcome is unknown. An empty response is incorrect.
    """
    usable = [text for text in ([references] if isinstance(references, str) else references) if text.strip()]
    if not usable:
        return unknown("no reference answer that can be read")
    final = final_answer(response)
    if final is None:
        return unanswered(response)
    if final.doubt:
        return doubtful(final)
    score, reading = max(
        ((_unhedged(text, usable), text) for text in literal_readings(final)), key=lambda pair: pair[0]
    )
    shown = f"{final.form}: {quote(reading)} has ANLS {score:.2f} with {quote(usable[0])}"
    others = f" and {len(usable) - 1} more" if len(usable) > 1 else ""
    return Outcome(correct=score >= CORRECT_FROM, reward=score, reason=shown + others, answer=final.text)


def levenshtein(left: str, right: str, limit: int) -> int | None:
    """The edit distance, None where it exceeds `limit`.

    Myers 1999 in Hyyrö's form (2003): bit i of the masks says whether the distance grows (`up`) or falls (`down`) from
    row i - 1 to row i of the current column. Memory is linear; time is |right| operations on |left|-bit integers.
    """
    if abs(len(left) - len(right)) > limit:
        return None
    if not left or not right:
        return len(left) + len(right)
    places: dict[str, int] = {}
    for index, char in enumerate(left):
        places[char] = places.get(char, 0) | 1 << index
    every, last = (1 << len(left)) - 1, 1 << (len(left) - 1)
    up, down, distance = every, 0, len(left)
    for position, char in enumerate(right, start=1):
        equal = places.get(char, 0)
        across = (((equal & up) + up) ^ up) | equal
        grows, falls = down | (every & ~(across | up)), up & across
        distance += bool(grows & last) - bool(falls & last)
        if distance - (len(right) - position) > limit:  # every further column lowers it by one at most
            return None
        grows, falls = grows << 1 | 1, falls << 1
        diagonal = equal | down
        up, down = (falls | ~(diagonal | grows)) & every, grows & diagonal & every
    return distance if distance <= limit else None


def _similarity(prediction: str, reference: str, threshold: float) -> float:
    longest = max(len(prediction), len(reference))
    if not longest:
        return 1.0
    distance = levenshtein(reference, prediction, limit=min(longest, math.ceil(threshold * longest)))
    if distance is None or distance / longest >= threshold:
        return 0.0
    return 1 - distance / longest


_ALTERNATIVES = re.compile(r"\W{1,3}or\W{1,3}| / ", re.IGNORECASE)


def _unhedged(reading: str, references: Sequence[str]) -> float:
    return max(_unhedged_score(reading, reference) for reference in references)


def _unhedged_score(reading: str, reference: str) -> float:
    score = anls(reading, [reference])
    alternatives = _ALTERNATIVES.split(_joined(reading.strip().replace("\n", " / "))) if 0 < score < 1 else []
    return score if all(anls(text.removeprefix("either "), [reference]) <= score for text in alternatives) else 0.0


def _joined(text: str) -> str:
    return " ".join(text.lower().split())
