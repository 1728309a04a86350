r"""Multiple choice: reads a row's choices and the right one, and decides which choice a response takes.

Labels are A, B, C … for a list, the user's own keys for an object. A response takes a choice by its label ("B", "(b)",
"B.", "Option B", "B is correct because …", "A is wrong, so B"), by its text ("red", "It is red"), or by both
("B. red"). A label wins over an equal text. A word is no label: "China" is not C, and "A dog" is the choice whose text
is "dog", or none. Full-width letters are letters; look-alikes of other alphabets are not.

A response that ends with several different choices ("A or B", "A. red" where red is B) is wrong, not unknown: otherwise
hedging would pay. Of several \boxed{}, the last one counts.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import zip_longest
from string import ascii_uppercase
from typing import Any

from uniopd_mm.tasks.grading.answers import (
    doubtful,
    final_answer,
    last_boxed,
    normalise,
    right,
    unanswered,
    unknown,
    wrong,
)
from uniopd_mm.tasks.grading.math_answers import same_answer
from uniopd_mm.tasks.grading.values import is_absent, quote
from uniopd_mm.types import BadSample, Outcome

# Sample.metadata[CHOICES] is a dict from label to text, in the order shown. It travels with the sample, so that any
# process can grade it.
CHOICES = "choices"
_FORMULA, _COMMAND, _WORD = re.compile(r"[0-9\\]"), re.compile(r"\\[a-zA-Z]+"), re.compile(r"[^\W\d_]{2}")
LONGEST_VALUE = 100  # characters of an answer that is compared with the choices by value


def read_choices(value: Any) -> dict[str, str]:
    """A row's choices as {label: text}, from a list of texts or an object {label: text}; labels are upper case.

    An object's null texts are left out: parquet has them for labels that only other rows use. Raises BadSample for
    anything else, for fewer than 2 or more than 26 choices, and for labels that repeat or exceed three characters.
    """
    if isinstance(value, Mapping):
        pairs = [(str(label).strip(" ().:").upper(), text) for label, text in value.items() if not is_absent(text)]
    elif isinstance(value, list | tuple):
        pairs = list(zip_longest(ascii_uppercase[: len(value)], value, fillvalue=""))
    else:
        raise BadSample(f"choices must be a list or an object, got {type(value).__name__} {quote(value)}")
    if not 2 <= len(pairs) <= len(ascii_uppercase):
        raise BadSample(f"choices must be 2 to {len(ascii_uppercase)}, got {len(pairs)}")
    choices = dict(pairs)
    if len(choices) < len(pairs):
        raise BadSample(f"choice labels repeat: {quote(', '.join(label for label, _ in pairs))}")
    for label, text in choices.items():
        _check_choice(label, text)
    return _without_own_labels({label: str(text).strip() for label, text in choices.items()})


def read_label(answer: Any, choices: Mapping[str, str]) -> str:
    """The label of the right choice, from a label, a text or a 0-based index.

    Raises BadSample if the answer is none of the choices or could mean two of them (the number 2 where it is both
    an index and a choice's text).
    """
    text = _answer_text(answer)
    named = chosen_labels(last_boxed(text) or text, choices)
    if text not in choices and re.fullmatch("[0-9]{1,2}", text) and int(text) < len(choices):
        indexed = frozenset({list(choices)[int(text)]})
        named = named or indexed if isinstance(answer, str) else named | indexed
    if len(named) == 1:
        return next(iter(named))
    meaning = f"could mean {_listed(named)}" if named else f"is none of the choices {_listed(choices)}"
    raise BadSample(f"answer {quote(answer)} {meaning}; give the choice's label, text or 0-based index")


def _answer_text(answer: Any) -> str:
    """Whole floats are indices too: pandas turns a column of integers with gaps into floats."""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    return str(int(answer) if isinstance(answer, float) and answer.is_integer() else answer).strip()


def format_choices(choices: Mapping[str, str]) -> str:
    """The choices as a prompt shows them, one "A. text" a line."""
    return "\n".join(f"{label}. {text}" for label, text in choices.items())


def grade_choice(response: str, reference: str | None, choices: Any) -> Outcome:
    """Right if the response takes the reference's choice and no other. Unknown if `read_choices` cannot read `choices`,
    or the reference is not exactly one of them. An empty response is wrong. Never raises."""
    try:
        choices = read_choices(choices)
        expected = read_label("" if reference is None else reference, choices)
    except BadSample as bad:
        return unknown(str(bad))
    final = final_answer(response)
    if final is None:
        return unanswered(response)
    if final.doubt:
        return doubtful(final)
    taken = frozenset[str]().union(*(chosen_labels(reading, choices) for reading in final.readings))
    taken = taken or labels_by_value(final.text, choices)
    if not taken:
        return wrong(f"{final.shown} is none of the choices {_listed(choices)}", final.text)
    if len(taken) > 1:
        return wrong(f"{final.shown} takes several choices: {_listed(taken)}", final.text)
    if taken == {expected}:
        return right(f"{final.shown} is {expected}", final.text)
    return wrong(f"{final.shown} is not {expected}", final.text)


def labels_by_value(text: str, choices: Mapping[str, str]) -> frozenset[str]:
    """The labels of the choices that are equal to a text as mathematics: "1/2" for \\frac{1}{2}."""
    if not _is_formula(text):
        return frozenset()
    return frozenset(label for label, choice in choices.items() if _is_formula(choice) and same_answer(choice, text))


def _is_formula(text: str) -> bool:
    """Whether a short text has digits or LaTeX, and no words."""
    return len(text) <= LONGEST_VALUE and bool(_FORMULA.search(text)) and not _WORD.search(_COMMAND.sub("", text))


_WRAPPING = " \t\n\"'`*_$“”‘’{}"
_LATEX = re.compile(r"\\(?:text(?:bf|it|rm|sf|tt|normal)?|math(?:rm|bf|it|sf|tt))\b|\\[()\[\]]|[{}]")
_IS_CORRECT = re.compile(
    r" is (?:(?:the )?(?:correct|right|best)(?: (?:answer|option|choice|one))?|the answer)[.!]*$", re.IGNORECASE
)
_BULLET = re.compile(r"[-•>#✅✔☑👉➡→]+\s+(?=[^\s\d])")
_INVISIBLE = re.compile("[\x00-\x08\x0e-\x1b\x7f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe0f\ufeff]")
# Full-width letters and marks, as Chinese and Japanese keyboards write them.
_FULL_WIDTH = str.maketrans({chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)} | {"。": ".", "、": ", "})
_FILLERS = frozenset(
    {"and", "or", "either", "both", "option", "options", "choice", "choices", "letter", "answer", "so", "thus", "hence"}
    | {"therefore", "it", "it's", "is", "the", "my", "correct", "i", "we", "i'd", "would", "go", "with", "choose"}
    | {"pick", "select", "say", "think", "believe", "definitely", "clearly", "probably", "most", "likely", "sure"}
)
_IT_IS = re.compile(
    r"(?:(?:so|thus|hence|therefore),? )?"
    r"(?:(?:i|we) (?:choose|pick|select|(?:think|believe)(?: it is)?)|it is|it['’]s) ",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(
    r"[,.;\n] ?(?:(?:so|thus|hence|therefore),?|(?:i|we) (?:choose|pick|select|go with)) (?P<rest>[^,.;\n]+[.!]?)$",
    re.IGNORECASE,
)
_LABEL_BEHIND = re.compile(r"(?P<text>.+?)(?<![, ])[, ]*+\((?:option )?(?P<label>\w{1,3})\)[.!]*", re.IGNORECASE)
_GOES_ON = re.compile(
    r"[\s,.;/)\]]*"
    r"(?:(?:or|and|but|perhaps|maybe|possibly|else|also|either|it is|it's|option|choice|answer|the)\b[\s,(\[]*"
    r"|[;/&|]\s*)+"
    r"(?P<rest>.*)",
    re.IGNORECASE | re.DOTALL,
)
_SEPARATORS = re.compile(r"[\s,/&|+]+")


def chosen_labels(text: str, choices: Mapping[str, str]) -> frozenset[str]:
    """The labels of all choices that a final answer takes; empty if it takes none."""
    cleaned = _cleaned(text)
    text = _IS_CORRECT.sub("", cleaned).strip(_WRAPPING)
    if (label := _bare(text)) in choices:
        return frozenset({label})
    label, mark, rest = _split_label(text, choices)
    named, quoted = frozenset({label} - {""}), _labels_of_text(rest, choices)
    # "A. right" names A, but the A of "A right" may be an article.
    if quoted and mark != " ":
        return named if named <= quoted else named | quoted
    if whole := _labels_of_text(text, choices):
        return whole
    if quoted:
        return named if named <= quoted else named | quoted
    words = [word for word in map(_bare, _SEPARATORS.split(text)) if word.lower() not in _FILLERS]
    if words and all(word in choices for word in words):
        return frozenset(words)
    if named and mark != " ":
        return named | _added_labels(mark, rest, choices) | _further_labels(rest, choices.get(label, ""), choices)
    return _labels_in_sentence(cleaned, choices)


def _labels_in_sentence(text: str, choices: Mapping[str, str]) -> frozenset[str]:
    """Labels of a sentence about one choice: "B is correct because …", "It is red", "A is wrong, so B", "B.red"."""
    stands_first, claims = _label_patterns(tuple(choices))
    if claims.match(text) or (stands_first.search(text) and not text.endswith("?")):
        found = list(claims.finditer(text))
        after = text[found[0].end() :]
        return frozenset(match["label"] for match in found) | _further_labels(after, "", choices)
    # The A of "I think A; red" would pass for an article.
    if (said := _IT_IS.match(text)) and ";" not in text and (quoted := _labels_of_text(text[said.end() :], choices)):
        return quoted
    if concluded := _CONCLUSION.search(text):
        label = _bare(concluded["rest"])
        return frozenset({label}) if label in choices else _labels_of_text(concluded["rest"], choices)
    if (named := _LABEL_BEHIND.fullmatch(text)) and (label := named["label"].upper()) in choices:
        return frozenset({label}) & _labels_of_text(named["text"], choices)
    label, _, rest = text.replace(":", ".", 1).partition(".")
    label = _bare(label)
    return frozenset({label}) & _labels_of_text(rest, choices) if label.isalpha() else frozenset()


def _split_label(text: str, choices: Mapping[str, str]) -> tuple[str, str, str]:
    """The label that a text begins with, the mark after it and the rest: ("B", ". ", "red"), or three times ""."""
    match = _leading_label(tuple(choices)).match(text)
    return (match["label"].upper(), match["mark"], match["rest"].strip()) if match else ("", "", "")


def _added_labels(mark: str, rest: str, choices: Mapping[str, str]) -> frozenset[str]:
    """Further labels, if the text after the first label lists more: "B, or perhaps C"."""
    words = [word.strip("().,:") for word in _SEPARATORS.split(rest)]
    goes_on = words[0].lower() in {"or", "and"} or (mark.startswith((",", ";", "),", ");")) and words[0] in choices)
    return frozenset(word for word in words if goes_on and word in choices)


def _further_labels(rest: str, own: str, choices: Mapping[str, str]) -> frozenset[str]:
    """What the text after a label, and after the choice's own text, offers besides: "A. red or B", "A, perhaps B"."""
    rest = rest[len(own) :] if own and rest.casefold().startswith(own.casefold()) else rest
    if not (match := _GOES_ON.match(rest)):
        return frozenset()
    offered = match["rest"]
    if (alone := offered.strip("()[].,:;!* ")) in choices:
        return frozenset({alone})
    label, mark, _ = _split_label(offered, choices)
    if label and offered.lstrip("([").startswith(label) and mark != " ":
        return frozenset({label})
    claim = _label_patterns(tuple(choices))[1].match(offered)
    return frozenset({claim["label"]}) if claim else _labels_of_text(offered, choices)


@lru_cache(maxsize=256)
def _leading_label(labels: tuple[str, ...]) -> re.Pattern[str]:
    label = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    mark = r"[)\]][.:,;]?\s?|[.:,;]\s|\s?[-–—]\s|\n| (?:because|since)\s(?=\S)| "
    pattern = rf"(?:(?:option|choice|answer) )?[(\[]?(?P<label>{label})(?P<mark>{mark})(?P<rest>.*)"
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=256)
def _label_patterns(labels: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Two patterns of "B is correct" with capital labels: at the start of a sentence, and anywhere."""
    label = "|".join(re.escape(label) for label in sorted(labels, key=len, reverse=True))
    right = r"(?:the )?(?:correct|right|best|answer)(?=[.,;!\n]|$| (?:answer|option|choice|one|because|since)\b)"
    claim = rf"(?:(?i:the )?(?i:option|choice|answer) )?(?<![^\W_])[(\[]?(?P<label>{label})[)\]]? is {right}"
    return re.compile(rf"(?:[.!;\n] ?|(?i:\b(?:so|thus|hence|therefore)),? ){claim}"), re.compile(claim)


def _labels_of_text(text: str, choices: Mapping[str, str]) -> frozenset[str]:
    """Labels of the choices with this text, ignoring case; if there are none, those with the same normalised text."""
    visible = {label: _visible(choice) for label, choice in choices.items()}
    same = frozenset(label for label, choice in visible.items() if choice.casefold() == text.casefold())
    wanted = normalise(text)
    return same or frozenset(label for label, choice in visible.items() if wanted and normalise(choice) == wanted)


def _cleaned(text: str) -> str:
    """The text without emphasis, bullets, LaTeX wrappers and invisible characters. Runs of blanks become one blank;
    line ends stay."""
    text = _LATEX.sub(" ", _visible(text)).replace("**", "").strip(_WRAPPING)
    lines = (" ".join(line.split()) for line in text.splitlines())
    text = "\n".join(line for line in lines if line)
    return text[bullet.end() :] if (bullet := _BULLET.match(text)) else text


def _visible(text: str) -> str:
    return _INVISIBLE.sub("", text).translate(_FULL_WIDTH)


def _bare(word: str) -> str:
    return word.strip("()[].,:;!*_ \"'“”‘’$").upper()


def _check_choice(label: str, text: Any) -> None:
    if not (label.isalnum() and len(label) <= 3):
        raise BadSample(f"choice label {quote(label)} must be one to three letters or digits")
    if is_absent(text) or isinstance(text, bool) or not isinstance(text, str | int | float):
        raise BadSample(f"choice {label} must be text, got {type(text).__name__} {quote(text)}")


def _without_own_labels(choices: dict[str, str]) -> dict[str, str]:
    """["A. left", "B. right"] as left and right, where every text carries its own label."""
    bodies = {label: re.fullmatch(rf"\(?{label}[).:]\s*(\S.*)", text, re.S | re.I) for label, text in choices.items()}
    return {label: body[1] for label, body in bodies.items() if body} if all(bodies.values()) else choices


def _listed(labels: Mapping[str, str] | frozenset[str]) -> str:
    return ", ".join(sorted(labels) if isinstance(labels, frozenset) else labels)
