"""Rows of programs: where their question stands. What their tests are is read by `grading.code_problems`.

    prompt with problem_description, entry_point   LeetCodeDataset, whose prompt is a list of imports
    text with test_list                            MBPP

Other problems have it where questions usually stand.
"""

from uniopd_mm.tasks.reading.shapes.seen import Seen, Shape, is_text

_TESTS = ("tests", "test", "test_list", "input_output", "public_test_cases")


def recognise(seen: Seen) -> Shape | None:
    """The column with the problem in words."""
    if seen.first(_TESTS) is None:
        return None
    if seen.actual("entry_point") and (told := seen.first(("problem_description", "query"), is_text)):
        return Shape(name="LeetCode problems", columns={"question": told})
    told = seen.first(
        ("question", "question_content", "prompt", "problem", "description", "problem_description"), is_text
    )
    if told is None and (told := seen.first(("text", "instruction"), is_text)):
        return Shape(name="programming problems", columns={"question": told})
    return Shape(name="programming problems", columns={"question": told}) if told else None
