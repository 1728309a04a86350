"""What a response says: without the thoughts before its answer, and without turns that it invents after it."""

import re

_NAMES = "think|thinking|thought|thoughts|reasoning|analysis"
_THOUGHTS_END = re.compile(
    rf"</(?:{_NAMES})>|\[/THINK\]|<\|channel\|>\s*final\s*(?:<\|message\|>)?|<channel\|>|<\|end_of_thought\|>",
    re.IGNORECASE,
)
_THOUGHTS_BEGIN = re.compile(
    rf"<(?:{_NAMES})>|\[THINK\]|<\|channel\|>\s*(?:analysis|commentary)|<\|channel>\s*thought|<\|begin_of_thought\|>",
    re.IGNORECASE,
)
_OTHER_TURN = re.compile(
    r"""\n[ \t]*(?:\*\*)?(?:Human|User)(?:\*\*)?[ \t]*:|\n[ \t]*\#{2,}[ \t]*(?:Human|User|Instruction)\b
    |<\|im_start\|>\s*user|<\|start_header_id\|>\s*user|<start_of_turn>\s*user|<\|user\|>|<｜User｜>|\[INST\]""",
    re.IGNORECASE | re.VERBOSE,
)


def spoken(response: str) -> str | None:
    """The text after all thoughts and before the first turn of somebody else; None if thoughts are cut off.

    >>> spoken("<think>5?</think>6"), spoken("<think>5?"), spoken("6\\nHuman: and?")
    ('6', None, '6')
    """
    ends = [match.end() for match in _THOUGHTS_END.finditer(response)]
    said = response[ends[-1] :] if ends else response
    if _THOUGHTS_BEGIN.search(said):
        return None
    other = _OTHER_TURN.search(said, pos=len(said) - len(said.lstrip()))
    return (said[: other.start()] if other else said).strip()
