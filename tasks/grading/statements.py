"""Answers that a response states in words ("The answer is 5"), and what makes them doubtful.

A statement is doubtful if its sentence denies it, sets a condition that does not hold, or reports what others think; if
it names an alternative; or if the text after it takes it back. Each function takes time linear in the text.
"""

import re
from dataclasses import dataclass

LONGEST_SENTENCE = 300  # characters before a statement that are looked at

_CUE = re.compile(
    r"""(?<!\bthis\s)(?<!\bthat\s)(?<!\bother\s)(?<!\beach\s)(?<!\bwhich\s)(?<!\bno\s)\b(?:answer|option|choice)\b
    [\s"'”)]*(?:\b(?:is|are)\b|\b(?P<unsure>would|should|must|will|could|might|may)\s+be\b
    |[:=]|(?<=\s)[-–—](?=\s))[\s:]*
    |^[ \t]*\#{4}[ \t]*(?=\S)""",
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_SENTENCE_END = re.compile(r"[.!?;] |,? (?:because|since|rather than|instead of)\b|, not ")
_ASIDE = re.compile(
    r",? (?:i\.e\.|that is,|which (?:is|are|was|gives|means)|when |meaning |"
    r"as (?:required|expected|desired|needed|asked|shown|claimed|stated|wanted|above)\b)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r'"([^"\n]*)"\s*[,}\]]*$')
# Words about an answer, which say nothing of what it is.
_ABOUT = re.compile(
    r"(?:not )?(?:in)?(?:correct|clear|unclear|obvious|unique|above|below|given|found|verified|confirmed|consistent|"
    r"exact|approximate|simplified|complete|an integer|reasonable|wrong|as follows|in simplest form|the following)\b",
    re.IGNORECASE,
)
_BREAK = re.compile(r"[.!?;\n](?=\s)|, but\b", re.IGNORECASE)
_DISMISSED = re.compile(
    r"[\s$.)\]}]*(?:is|was|seems|looks|appears|would be|must be)\s+(?:to\s+be\s+)?(?:clearly\s+|obviously\s+|also\s+)?"
    r"(?:wrong|incorrect|false|mistaken|not\s+(?:right|correct|true|the\s+answer|it))\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"""\b(?:don['’]?t|do\s+not|doesn['’]?t|does\s+not|didn['’]?t|did\s+not|cannot|can['’]?t|wouldn['’]?t|not|never)\s+
    (?:really\s+|quite\s+|yet\s+)?(?:think|believe|say|agree|conclude|infer|deduce|claim|assume|prove|guarantee|suppose|expect|sure|certain|convinced|true|
    the\s+case)\b
    |\b(?:unlikely|doubt(?:ful)?|impossible)\b
    |\b(?:may|might|could|would|often|people|some|others|many)\s+(?:people\s+|have\s+|wrongly\s+|mistakenly\s+)?
    (?:think|say|believe|assume|guess|claim|argue|thought)\b""",
    re.IGNORECASE | re.VERBOSE,
)
_REPORTED = re.compile(
    r"\b(?:whether|mistaken(?:ly)?|wrong(?:ly)?|false(?:ly)?|incorrect(?:ly)?|nobody|no (?:way|evidence|reason))\b"
    r"|\bit\s+is\s+not\b|\bit\s+isn['’]t\b",
    re.IGNORECASE,
)
_CONDITION = re.compile(r"\b(?:if|unless|suppose|supposing|assuming|provided|were)\b", re.IGNORECASE)
_UNREAL = re.compile(r"\b(?:were|had|would|could|might)\b", re.IGNORECASE)
_TAKEN_BACK = re.compile(
    r"""\b(?:wait|hold\s+on|hmm+|actually|correction|scratch\s+that|on\s+second\s+thoughts?|oops|sorry|apolog\w+|my\s+mistake
    |i\s+take\s+(?:it|that)\s+back|never\s*mind|let\s+me\s+(?:double[\s-]*check|re\s*-?(?:check|do|compute|calculate|consider
    |think|evaluate|examine|count)|correct)|edit:|(?:i|we)\s+(?:made|was|were)\s+(?:an?\s+(?:\w+\s+)?)?(?:mistake|error|wrong|mistaken)
    |(?:that|this|it|which|answer)\s+(?:is|was|seems|looks)\s+(?:wrong|incorrect|not\s+(?:right|correct|true)|false|a\s+mistake)
    |should\s+(?:be|have\s+been)|(?:true|correct|real|right)\s+(?:value|answer|one)\s+is)\b
    |(?:^|[\s?.!])no[,:.]\s""",
    re.IGNORECASE | re.VERBOSE,
)
_ALTERNATIVE = re.compile(
    r"""\b(?:but|though|although|or)\s+(?:it\s+|that\s+|this\s+)?(?:could|might|may|can|is\s+actually|is\s+really|maybe
    |perhaps|possibly|not\s+sure|i\s+am\s+not|i['’]?m\s+not)\b
    |\b(?:which|that|this|it)\s+(?:is|was|seems|would\s+be)\s+(?:wrong|incorrect|false|not\s+(?:right|correct|true))\b
    |,?\s(?:maybe|perhaps|possibly|alternatively)\b
    |^[^.!\n]{0,60}\?""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """Where a cue begins in a text, and where what it states begins.

    `unsure` is the verb of "could be", else "". `about`: it says something of an answer, such as "correct", but not
    which answer.
    """

    begin: int
    start: int
    unsure: str
    about: bool


def last_statement(text: str) -> Statement | None:
    """The last statement of a text without emphasis that says which answer, or the last one if none does."""
    found, about = None, True
    for cue in _CUE.finditer(text):  # a list of all of them would wake the garbage collector
        says_nothing = _ABOUT.match(text, cue.end()) is not None
        if cue.end() < len(text) and (about or not says_nothing):
            found, about = cue, says_nothing
    if found is None:
        return None
    return Statement(begin=found.start(), start=found.end(), unsure=(found["unsure"] or "").lower(), about=about)


def readings_of(text: str, statement: Statement) -> tuple[str, ...]:
    """The rest of the line and, if shorter, its first sentence without reasons, ruled-out answers and asides."""
    line = " ".join(_line(text, statement).split())
    sentence = _SENTENCE_END.split(line, maxsplit=1)[0]
    aside = _ASIDE.split(line, maxsplit=1)[0]
    quoted = _QUOTED.match(line)
    texts = [line, sentence, min(sentence, aside, key=len), *([quoted[1]] if quoted else [])]
    return tuple(dict.fromkeys(stripped for part in texts if (stripped := part.strip())))


def doubt_of(text: str, statement: Statement) -> str:
    """Why a statement of a text may not be meant, or ""."""
    before = last_sentence(text[max(0, statement.begin - LONGEST_SENTENCE) : statement.begin])
    if _DENIED.search(before) or _REPORTED.search(before):
        return "it is denied or only reported"
    if statement.unsure in ("could", "might", "may"):
        return f"it only {statement.unsure} be"
    if _CONDITION.search(before) and (statement.unsure or _UNREAL.search(before)):
        return "it depends on a condition"
    line = _line(text, statement)
    if _ALTERNATIVE.search(line):
        return "it names an alternative"
    sentence = _SENTENCE_END.split(line, maxsplit=1)[0]
    return taken_back(text[statement.start + len(sentence) :])


def taken_back(text: str) -> str:
    """Why a text that follows an answer takes it back, or ""."""
    found = _DISMISSED.match(text) or _TAKEN_BACK.search(text)
    return f"it is followed by {' '.join(found[0].split())!r}" if found else ""


def not_believed(sentence: str) -> bool:
    """Whether a sentence says that something is not believed, or what others believe."""
    return _DENIED.search(sentence) is not None


def last_sentence(text: str) -> str:
    """What follows the last end of a sentence or line."""
    breaks = [match.end() for match in _BREAK.finditer(text)]
    return text[breaks[-1] :] if breaks else text


def _line(text: str, statement: Statement) -> str:
    end = text.find("\n", statement.start)
    return text[statement.start : len(text) if end < 0 else end]
