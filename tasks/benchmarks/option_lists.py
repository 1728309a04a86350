r"""The options of multiple-choice questions as benchmarks write them, and answers of one or more letters.

    (A) True (B)False (C)Unknown       A) 10 B) 12       A. 1.5;B. 2; C. None       A: A\nB: B

Options must be labelled A, B, C … in this order and in one style. The longest such list counts.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from string import ascii_uppercase

from uniopd_mm.tasks.grading.answers import final_answer, right, unanswered, unknown, unwrapped, wrong
from uniopd_mm.tasks.grading.choices import chosen_labels, grade_choice
from uniopd_mm.tasks.grading.math_answers import grade_math
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome

_STYLES = (
    re.compile(r"\(([A-Z])\)"),
    re.compile(r"(?<![\w(])([A-Z])\)"),
    re.compile(r"(?<![\w.])([A-Z])[.．、]"),
    re.compile(r"(?<!\w)([A-Z])[:：]"),
)
_OR = re.compile(r"\bor\b", re.IGNORECASE)
_BETWEEN = " \t\n\r;；,，、"


def lettered(options: Sequence[str]) -> dict[str, str]:
    """The options by their letters. The text of a blank option is its letter, because the picture shows the option."""
    return {letter: str(text or "").strip() or letter for letter, text in zip(ascii_uppercase, options, strict=False)}


def letters_to(last: str) -> dict[str, str]:
    """The options A to `last`, which only the picture shows."""
    return {letter: letter for letter in ascii_uppercase[: ascii_uppercase.index(last) + 1]}


def read_options(text: str) -> dict[str, str]:
    """The labelled options in a text, {} if it has fewer than two."""
    for style in _STYLES:
        if len(options := _listed(text, list(style.finditer(text)))) > 1:
            return options
    return {}


def shown_options(text: str, reference: str, last: str) -> dict[str, str]:
    """The options that a text lists, if the reference is among them. Otherwise options that only the picture shows: A
    to `last`, or 1 to 9 if the reference is a number."""
    labels = _labels_in(reference)
    if labels and all(label.isdecimal() for label in labels):
        return {str(number): str(number) for number in range(1, 10)}
    listed = read_options(text)
    return listed if labels <= set(listed) and listed else letters_to(last)


def taken_labels(response: str, choices: Mapping[str, str]) -> frozenset[str]:
    """The labels of all options that the final answer of a response takes."""
    final = final_answer(response)
    readings = final.readings if final else ()
    return frozenset[str]().union(*(chosen_labels(reading, choices) for reading in readings))


def grade_label_or_value(response: str, label: str, choices: Mapping[str, str]) -> Outcome:
    r"""By letter or text. If that takes no option, by the value of the right option (\sqrt{8} for 2\sqrt{2}, 15^\circ
    for 15°), unless another option has the same value. Never raises."""
    outcome = grade_choice(response, label, dict(choices))
    value = choices.get(label, label)
    if outcome.correct is not False or value == label or taken_labels(response, choices):
        return outcome
    by_value = grade_math(response, value)
    others = (text for other, text in choices.items() if other != label)
    if not by_value.correct or any(grade_math(response, text).correct for text in others):
        return outcome
    return by_value


def grade_labels(response: str, reference: str, choices: Mapping[str, str]) -> Outcome:
    """Right if the response takes all options that the reference names ("A, C") and no other. Unknown if the reference
    names no option, or one that does not exist. Never raises."""
    expected = _labels_in(reference)
    if not expected or not expected <= set(choices):
        return unknown(f"the reference answer {quote(reference)} is none of the choices {', '.join(choices)}")
    if len(expected) == 1:
        return grade_label_or_value(response, next(iter(expected)), choices)
    final = final_answer(response)
    if final is None:
        return unanswered(response)
    taken = _alone(final.readings[-1], choices) or taken_labels(response, choices)
    if _OR.search(final.readings[-1]):
        return wrong(f"offers {_joined(taken)} for choice")
    shown = f"takes {_joined(taken) or 'no choice'}"
    return right(shown) if taken == expected else wrong(f"{shown}, not {_joined(expected)}")


def _labels_in(reference: str) -> frozenset[str]:
    return frozenset(re.findall(r"[A-Z0-9]+", reference.upper()))


_PARTED = re.compile(r"\\[,;:! {}&]|[\s{}&~]")


def _alone(text: str, choices: Mapping[str, str]) -> frozenset[str]:
    r"""The labels of a text that consists only of labels: "AC", "\{A, C\}", "A \& C"."""
    letters = "".join(map(unwrapped, _PARTED.sub(",", unwrapped(text)).split(",")))
    return frozenset(letters) if len(letters) > 1 and set(letters) <= set(choices) else frozenset()


def _listed(text: str, marks: Sequence[re.Match[str]]) -> dict[str, str]:
    """The texts after the marks of the longest list that begins with A. The last list wins a tie."""
    runs = [list(_in_order(marks[number:])) for number, mark in enumerate(marks) if mark[1] == "A"]
    if not runs:
        return {}
    run = max(reversed(runs), key=len)
    ends = [mark.start() for mark in run[1:]] + [len(text)]
    return {mark[1]: text[mark.end() : end].strip(_BETWEEN) or mark[1] for mark, end in zip(run, ends, strict=True)}


def _in_order(marks: Iterable[re.Match[str]]) -> Iterable[re.Match[str]]:
    """The marks A, B, C … in order. Marks between them belong to the options' texts."""
    letters = iter(ascii_uppercase)
    wanted = next(letters)
    for mark in marks:
        if mark[1] == wanted:
            yield mark
            wanted = next(letters, "")


def _joined(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels))
