r"""Finds the final answer in a response, and compares it with a reference text.

The answer is looked for in what the response says (`spoken`), in this order:

    boxed    \boxed{…}; of several, the last one if a correction or a conclusion leads to it, or all as a list if only
             commas and "and" stand between them
    tagged   the last <answer>…</answer> that is not empty
    stated   what follows the last "answer is", "Answer:", "option is", "####" …; it also replaces a box before it
    plain    the whole text, or its last line

An answer is doubtful if several boxes differ, or if the text denies it, takes it back or names an alternative. Graders
call the outcome of a doubtful answer unknown.

A box or tag that is not closed gives no answer. `texts` says when two texts are the same. An unmarked answer is not
looked for inside a sentence, because that would also accept "it is not red". English only. Left out: synonyms, plurals,
ordinals, symbolic mathematics. Every function takes time linear in the length of the text. The answer is looked for in
the last LONGEST_TEXT characters, and graders compare at most LONGEST_READING: of a longer answer they see both ends,
with words between them that no reference has.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from uniopd_mm.tasks.grading.marked import Mark, boxes, last_boxed, last_tagged
from uniopd_mm.tasks.grading.spoken import spoken
from uniopd_mm.tasks.grading.statements import (
    Statement,
    doubt_of,
    last_sentence,
    last_statement,
    not_believed,
    readings_of,
    taken_back,
)
from uniopd_mm.tasks.grading.texts import normalise, same_text
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.tasks.grading.wrappings import unwrapped
from uniopd_mm.types import Outcome

LONGEST_TEXT = 100_000
LONGEST_READING = 20_000
LONGEST_LABEL = 4  # characters of a choice's label, "(B)."
LONGEST_STATED = 60  # characters of a statement that replaces a box before it


class Form(StrEnum):
    """How a response gave its final answer."""

    BOXED = "boxed"
    TAGGED = "tagged"
    STATED = "stated"
    PLAIN = "plain"


@dataclass(frozen=True, kw_only=True, slots=True)
class FinalAnswer:
    """A response's final answer: the texts it may be read as, widest first ("red. It moves.", "red"). `doubt` says why
    it may not be meant, "" if nothing speaks against it."""

    form: Form
    readings: tuple[str, ...]
    doubt: str = ""

    @property
    def text(self) -> str:
        return self.readings[-1]

    @property
    def shown(self) -> str:
        return f"{self.form}: {quote(self.text)}"


def right(reason: str, answer: str | None = None) -> Outcome:
    return Outcome(correct=True, reward=1.0, reason=reason, answer=answer)


def wrong(reason: str, answer: str | None = None) -> Outcome:
    return Outcome(correct=False, reward=0.0, reason=reason, answer=answer)


def unknown(reason: str, answer: str | None = None) -> Outcome:
    return Outcome(correct=None, reward=0.0, reason=reason, answer=answer)


def unanswered(response: str) -> Outcome:
    """The outcome of a response without a final answer."""
    return wrong("empty response" if spoken(response) is not None else "its thoughts do not end")


def doubtful(final: FinalAnswer) -> Outcome:
    """The outcome of a doubtful answer."""
    return unknown(f"{final.shown}: {final.doubt}", final.text)


def grade_open(response: str, reference: str | None) -> Outcome:
    """Right if the final answer is the reference. Unknown if the reference is empty or the answer is doubtful. An empty
    response is wrong. Never raises."""
    expected = (last_boxed(reference) or reference) if reference else ""
    if not normalise(expected):
        return unknown(f"the reference answer {quote(reference)} cannot be read")
    final = final_answer(response)
    if final is None:
        return unanswered(response)
    if final.doubt:
        return doubtful(final)
    verdicts = [same_text(reading, expected) for reading in final.readings]
    if True in verdicts:
        return right(final.shown, final.text)
    if None in verdicts:
        return unknown(f"{final.shown} and {quote(reference)} differ in zeros at their ends", final.text)
    return wrong(f"{final.shown} is not {quote(reference)}", final.text)


def final_answer(response: str) -> FinalAnswer | None:
    """The final answer of a response; None if it says nothing, or if its thoughts do not end."""
    text = (spoken(response) or "")[-LONGEST_TEXT:]
    if not text:
        return None
    text = _before_next_question(text)
    return _boxed(text) or _tagged(text) or _stated(text) or _plain(text)


def _before_next_question(text: str) -> str:
    """The text up to a further question that a response invents once it has answered."""
    if not (found := _NEXT_QUESTION.search(text)):
        return text
    head = text[: found.start()]
    return head if boxes(head).filled or last_statement(_unemphasised(head)) else text


def literal_readings(final: FinalAnswer) -> tuple[str, ...]:
    """The readings unchanged, then `unwrapped`, with and without a full stop at their end. For graders that compare
    characters, to which a wrapper would count as an error."""
    stopless = (unwrapped(reading.rstrip(".")).rstrip(".") for reading in final.readings)
    return _distinct([*final.readings, *map(unwrapped, final.readings), *stopless])


def last_stated(text: str) -> tuple[str, ...]:
    """The readings of the last statement of a text, () if there is none; "this option is …" does not count."""
    text = _unemphasised(text)
    found = last_statement(text)
    return _distinct(map(_bounded, readings_of(text, found))) if found else ()


def _boxed(text: str) -> FinalAnswer | None:
    found = boxes(text)
    if not found.filled:
        return None
    last = found.filled[-1]
    tail = _unemphasised(text[last.end :])
    later = last_statement(tail)
    if later and _replaces(tail, later, last.content):
        return _of_statement(tail, later)
    content, doubt = _of_boxes(text, found.filled)
    if not doubt and found.cut_off:
        doubt = "another box behind it is cut off"
    content = _bounded(content)
    return FinalAnswer(
        form=Form.BOXED,
        readings=_distinct([content, *last_stated(content)]),
        doubt=doubt or taken_back(tail) or _contradicted(text[: found.filled[0].begin], content),
    )


def _contradicted(head: str, content: str) -> str:
    """Why an "Answer: A" on a line of its own speaks against a box behind it, or ""."""
    if not (found := _ANSWER_LINE.findall(_unemphasised(head))):
        return ""
    stated = found[-1].strip()
    return "" if _alike(stated, content) else f"it follows the answer {quote(stated)}"


_NEXT_QUESTION = re.compile(
    r"\n[ \t]*(?:\*\*)?(?:Question|Problem|Exercise|Q)[ \t]*[0-9]*[ \t]*(?:\*\*)?:", re.IGNORECASE
)
_ANSWER_LINE = re.compile(r"^[ \t]*(?:final )?answer:[ \t]*([^\n]{1,60})$", re.IGNORECASE | re.MULTILINE)
_DENYING = re.compile(
    r"(?:(?:\bnot|n['’]t|\brather than|\binstead of|\bnever)\s+(?:(?:the|answer|equals?|to|simply|just)\s+)*"
    r"|\b(?:can|could)(?:not|\s+not|n?['’]t)\s+(?:possibly\s+)?be\s+)[\s$\\(\[]*$",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"(?:[\s$,;&.]|\\[()\[\],;!]|\\q?quad|\\(?:text|mbox)\s*\{|\}|\band\b|\bor\b|\\\\|[A-Za-z](?:_\{?\w\}?)?\s*=)*"
)
_OR = re.compile(r"\bor\b")
_CORRECTING = re.compile(r"\b(?:at first|initially|but then|but now|changed? to|corrected|no)\b", re.IGNORECASE)
_CONCLUDING = re.compile(
    r"\b(?:final|finally|answer|therefore|thus|hence|so|conclu\w*|altogether|in total|overall|result)\b", re.IGNORECASE
)
NEAR = 200  # characters before a box that may lead to it


def _of_boxes(text: str, filled: Sequence[Mark]) -> tuple[str, str]:
    """The answer that the boxes give, and why it is doubtful, or ""."""
    kept = [box for box in filled if not _DENYING.search(text[max(0, box.begin - NEAR) : box.begin])]
    last = (kept or filled)[-1]
    if not kept or not_believed(last_sentence(text[max(0, last.begin - NEAR) : last.begin])):
        return last.content, "it is denied"
    if all(_alike(box.content, last.content) for box in kept):
        return last.content, ""
    between = [text[one.end : other.begin] for one, other in pairwise(kept)]
    if all(len(part) <= NEAR and _BETWEEN.fullmatch(part) for part in between):
        joint = " or " if any(map(_OR.search, between)) else ", "
        return joint.join(box.content for box in kept), ""
    concluded = [_concludes(text, box) for box in kept]
    if taken_back(between[-1]) or _CORRECTING.search(between[-1]) or (concluded[-1] and not any(concluded[:-1])):
        return last.content, ""
    return last.content, "several boxes hold different answers"


def _concludes(text: str, box: Mark) -> bool:
    return _CONCLUDING.search(last_sentence(text[max(0, box.begin - NEAR) : box.begin])) is not None


def _tagged(text: str) -> FinalAnswer | None:
    if not (content := last_tagged(text)):
        return None
    content = _bounded(content)
    return FinalAnswer(form=Form.TAGGED, readings=_distinct([content, *last_stated(content)]))


def _stated(text: str) -> FinalAnswer | None:
    text = _unemphasised(text)
    found = last_statement(text)
    return _of_statement(text, found) if found else None


def _of_statement(text: str, statement: Statement) -> FinalAnswer:
    readings = _distinct(map(_bounded, readings_of(text, statement)))
    return FinalAnswer(form=Form.STATED, readings=readings, doubt=doubt_of(text, statement))


def _plain(text: str) -> FinalAnswer:
    last = last_sentence(text)
    doubt = "it is denied or only reported" if not_believed(last) else ""
    text = _bounded(text)
    return FinalAnswer(form=Form.PLAIN, readings=_distinct([text, text.splitlines()[-1]]), doubt=doubt)


def _replaces(tail: str, statement: Statement, boxed: str) -> bool:
    """Whether a statement behind a box gives an answer of its own."""
    readings = readings_of(tail, statement)
    text = readings[-1]
    told = re.search(r"[0-9\\$]", text) or len(text) <= LONGEST_LABEL
    short = len(text) <= LONGEST_STATED and (told or (len(text.split()) <= 2 and not re.search("[0-9]", boxed)))
    return bool(short) and not statement.about and not any(_alike(one, boxed) for one in readings)


def _alike(first: str, second: str) -> bool:
    """Whether two answers are written alike, but for blanks and wrappers."""
    one, other = (re.sub(r"\s", "", unwrapped(text)).rstrip(".") for text in (first, second))
    return one == other


def _unemphasised(text: str) -> str:
    return text.replace("**", "").replace("`", "").strip()


def _bounded(text: str) -> str:
    left_out = len(text) - LONGEST_READING
    if left_out <= 0:
        return text
    return f"{text[: LONGEST_READING // 2]} [{left_out} characters left out] {text[-LONGEST_READING // 2 :]}"


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(stripped for text in texts if (stripped := text.strip())))
