r"""Which choice whole responses take: sentences, wrappers, scripts and hostile texts. Verdicts were set by hand."""

import time

import pytest

from uniopd_mm.tasks.grading.choices import grade_choice

COLOURS = {"A": "red", "B": "blue", "C": "green", "D": "dark red"}

TAKES_B = [
    # the label alone, however it is wrapped
    "B", "b", "(B)", "[B]", "{B}", "<answer>b</answer>", "**B**", "**B.**", "**(B)**", "*B*", "__B__", "_B_", "`B`",
    "'B'", "“B”", '"B".', "“B”.", "‘B’.", "B!", "B...", "B.)", "B).", "(B", "B]", "* B", "- B", "• B", "> B", "# B",
    "### B",
    "✅ B", "✅ **B. blue**", "**✅ B**", "✔️ blue", "The correct answer is:\n\n✅ **B. blue**", "👉 **Answer: B**",
    "The answer is the blue (B).", "blue (B)", "Blue (option B)",
    "* **B**", "\n\nB\n\n", "\tB", "B\u00a0", "$B$", "$B$.", r"\(B\)", r"\text{B}", r"\textsf{B}", r"\mathbf{B}.",
    r"\boxed{B}", r"\boxed{ B }", r"\boxed{(B)}", r"\boxed{B.}", r"\boxed{\text{B}}", r"\boxed{\text{(B)}}",
    r"\boxed{b}",
    r"\boxed{\textbf{(B)}}", r"\boxed{\mathrm{B}}", r"\boxed{\mathsf{B}}", r"\boxed{\text{Option B}}",
    r"\boxed{**B**}",
    r"\boxed{A}? No: \boxed{B}", r"Final Answer: \boxed{B}", r"\[\boxed{B}\]", r"The answer is: $\boxed{B}$",
    # full-width and invisible characters
    "Ｂ", "（Ｂ）", "ｂ", "Ｂ。", "B。", "B、blue", "Ｂ：blue", "\u200bB", "B\u200b", "\ufeffB", "B\ufe0f", "\u202eB",
    "\u2066B\u2069",
    "B\x00", "\x07B", "The answer is \u200bB\u200b.",
    # the text, alone or with the label
    "blue", "Blue!", "BLUE", "the blue", '"blue".', "“Blue”.", r"\boxed{\text{blue}}", "It is blue", "It's blue.",
    "It’s blue",
    "I think it is blue.", "So it's blue.", "I choose blue", "B. blue", "B) blue", "(B) blue", "b. Blue", "(b) Blue.",
    "B: blue", "B - blue", "B – blue", "B — blue", "B, blue", "B blue", "B (blue)", "(B) (blue)", "B\nblue", "B.blue",
    "B:blue", "B)blue", "(B)blue", "**B. blue**", "**B**: blue", "**B.** blue", "**(B)** blue", "- B. blue",
    "Option B: blue",
    "Choice (B): blue", r"\boxed{B. blue}", r"\boxed{\text{B) blue}}", "<answer>(B) blue</answer>",
    # stated
    "The answer is B", "The answer is (B).", "The answer is B) blue.", "The answer is **B. blue**.",
    "The answer is “B”.",
    'The answer is "B".', "The answer is 'B'.", "The answer is $B$.", "The answer is:\n\n**B**",
    "### Answer\n\n**B. blue**",
    "Answer - B", "Answer – B", "Final answer: B", "**Final Answer:** (B)", "Correct option: B",
    "Correct choice is (B) blue.",
    "My answer is B", "My choice: B", "The best option is B.", "The answer should be B", "The answer must be B.",
    "The answer is B (blue).", "The answer is B, blue.", "The answer is option B: blue", "The answer is choice (B).",
    "The answer is B because the sky is.", "The answer is B since A is not.", "The answer is B, not A.",
    "The answer is B rather than A", "The answer is B instead of A.", "The answer is B. The other option is wrong.",
    "The answer is B. This option is consistent with the picture.", "The answer is B. I hope this answer is helpful!",
    "Answer: B\n\nExplanation: A is wrong", "Answer: B\nA: the first car\nC: the second car", "ANSWER: b",
    "It could be A.\nBut the answer is B.", "A is tempting. The answer is not clear at first. The answer is B",
    # sentences about one choice
    "Option B is correct", "Option B is the right answer.", "B is correct.", "B is the answer", "(B) is the answer.",
    "B is the correct one.", "B is the best choice!", "B is correct because the sky is blue.",
    "B is correct, since it is.",
    "Option (B) is correct. The sky is blue.", "B is correct. A is wrong.", "A is wrong. B is correct.",
    "The sky is blue.\nB is correct.", "The sky is blue, so B is correct.", "A is wrong, so B", "A is wrong, so B.",
    "The sky is blue; therefore, (B)", "The sky is shown, so blue.", "It is not red. Hence B.",
    "B because the sky is blue",
    "B. blue and A is behind", "B. blue and a car", "B. The car is blue or so", "B. It is a blue car",
    "B, and the car moves",
    "B since it is", "B, because the sky is", "B. The sky is.", "B: the sky", "B\n\nExplanation: A is wrong.",
    "B.\n\nIt is.",
    "I'd go with B", "I would choose B", "I select B", "We choose B.", "I believe B", "Probably B", "Most likely B.",
    "Definitely B", "Clearly (B).", "Sure, B", "The letter is B", "Thus, B", "Hence (B)", "So it's B",
    "The correct option B",
    # after reasoning
    "<think>A or C? A.</think>B", "<think>\nThe answer is A\n</think>\n\n**B**",
    "<think>A</think>The answer is A. No: B</think>B",
    "First, A is red.\nThen C is green.\n\nB", "First, A is red.\nC is green.\n\nThe answer is (B).",
    "Let me see. " * 500 + "\nB", "A is red. " * 500 + "The answer is B.", "Which option is correct?\nB",
    "We ask which option is correct. The sky is blue.\n\n**B. blue**",
]  # fmt: skip

TAKES_NONE = [
    # words and other letters
    "China", "Both", "Each", "Be", "Bee", "Blues", "Do", "Did", "Go", "Dad", "Egg", "Hat", "Face", "A dog", "a dog",
    "A cat is there",
    "D'accord", "C'est", "C-3PO", "A+", "B-", "B1", "1", "2", "E", "(F)", "I", "ABC", "BA", "Bblue", "B-blue",
    "vitamin B",
    "plan B it is", "The answer is A dog", "Answer: China", "The answer is Both", r"\boxed{Each}",
    "<answer>China</answer>",
    "Because of the sky", "Definitely", "Certainly!", "Based on the video", "Dark", "light blue", "bluish", "blue car",
    # homoglyphs and letters of other alphabets stay other letters
    "\u0412", "\u0391", "\u0410", "\u0421", "Ⓑ", "𝐁", "乙", "ب",
    # nothing, refusals, denials
    "?", "...", "()", "-", "**", "\x00", "\u200b", "None of the above", "All of the above", "I don't know",
    "Neither A nor B",
    "Not B", "not B.", "Not B but C", "B is wrong", "Option B is incorrect", "It is not B", "It is not blue",
    "I think not",
    "The answer is not B", "B is not correct", "If B is correct", "B is correct?", "is B correct?", "B is the answer?",
    "Unless B is correct, none.", "It is unclear whether B is correct.", "A is wrong, so not B", "maybe",
    "No answer is given",
    r"\boxed{}", r"\boxed{B", "B</answer", "<answer>", "\\", "B/", "B\\", "A is right of B", "B is right behind C",
]  # fmt: skip

SEVERAL = [
    "A; blue", "A; B. blue", "(A); B. blue", "Option A; C", r"\boxed{(A); blue}", "A, perhaps B", "A. red or B",
    "A. red or B. blue", "A, perhaps green",
    "A. red, or (B)", "(A), or blue",
    "**A**, maybe it is B",
    "A. red; it is B", "A is correct, perhaps (B)", "A. red / **C**", "Option B is correct, or C is correct",
    "B. It is red.",
    "The answer is A. red, perhaps B.", "A. red and B is correct", "C. green or else option A",
    "A or B", "A and B", "A, B", "A; B", "A|B", "A/B", "A + B", "A & B", "A B C", "A, B, and C", "Both A and B",
    "Either B or C",
    "B or C", "(A), (B)", "I think A or B", "Probably A or B", "Most likely B or C", "A\nB", "Ａ or B", "A、B",
    "B or \u200bC", "B. red", "B (red)", "A. blue", "B - red", "A: dark red", "B. A", "**B** or **C**", "B, or C",
    "B, C",
    r"\boxed{A, B}", r"\boxed{\text{A or B}}", r"\boxed{B \text{ or } C}", "The answer is B or C", "Answer: B and C",
    "<answer>B or C</answer>", "<answer>A,B,C,D</answer>", "A is correct. B is correct.",
    "A is correct and B is correct",
    "B is correct. But A is the best answer.", "B is correct or C is correct.", "The answer is (A) and (B).",
    "B blue or C",
]  # fmt: skip


@pytest.mark.parametrize("response", TAKES_B)
def test_takes_b(response: str) -> None:
    for label in COLOURS:
        outcome = grade_choice(response, label, COLOURS)
        assert outcome.correct is (label == "B"), outcome.reason


@pytest.mark.parametrize("response", TAKES_NONE)
def test_takes_none(response: str) -> None:
    for label in COLOURS:
        outcome = grade_choice(response, label, COLOURS)
        assert outcome.correct is False, outcome.reason
        assert "none of the choices" in outcome.reason


@pytest.mark.parametrize("response", SEVERAL)
def test_several_choices_are_no_answer(response: str) -> None:
    for label in COLOURS:
        assert not grade_choice(response, label, COLOURS).correct  # wrong, or unknown where it hedges


COUNTS = {"A": "1", "B": "2", "C": "3", "D": "12"}
NUMBERED = {"1": "red", "2": "blue", "3": "green"}
YES_NO = {"A": "Yes", "B": "No"}
LETTERS = {"A": "C", "B": "D", "C": "A", "D": "B"}
PHRASES = {"A": "left (west)", "B": "right (east)", "C": "(none)", "D": "A and B"}
OBJECTS = {"A": "a dog", "B": "two dogs", "C": "a cat and a dog", "D": "China"}
SIGNED = {"A": "3", "B": "-3", "C": "1,000", "D": "0.5"}

# response, choices, the label taken or ""
OTHERS: list[tuple[str, dict[str, str], str]] = [
    ("2", COUNTS, "B"), ("two", COUNTS, "B"), ("B", COUNTS, "B"), ("B. 2", COUNTS, "B"), ("(2)", COUNTS, "B"),
    ("12", COUNTS, "D"),
    ("1 or 2", COUNTS, ""), ("1, 2", COUNTS, ""), ("22", COUNTS, ""), (r"\boxed{3}", COUNTS, "C"),
    ("It is 3.", COUNTS, "C"),
    ("The answer is 12 cars", COUNTS, ""), ("- 2", COUNTS, "B"), ("A. 2", COUNTS, ""), ("2.0", COUNTS, "B"),
    ("-2", COUNTS, ""),
    ("2", NUMBERED, "2"), ("(2)", NUMBERED, "2"), ("Option 2", NUMBERED, "2"), ("2. blue", NUMBERED, "2"),
    ("blue", NUMBERED, "2"),
    ("2 or 3", NUMBERED, ""), ("2. red", NUMBERED, ""), ("2 is correct.", NUMBERED, "2"), ("23", NUMBERED, ""),
    ("2.5", NUMBERED, ""),
    ("The answer is 2.", NUMBERED, "2"), (r"\boxed{2}", NUMBERED, "2"), ("B", NUMBERED, ""), ("two", NUMBERED, ""),
    ("Yes", YES_NO, "A"), ("No.", YES_NO, "B"), ("no", YES_NO, "B"), ("Yes, it does", YES_NO, ""),
    ("True", YES_NO, "A"),
    ("A", YES_NO, "A"), ("A. Yes", YES_NO, "A"), ("A. No", YES_NO, ""), ("Yes or no", YES_NO, ""),
    ("Not yes", YES_NO, ""),
    (r"\boxed{\text{No}}", YES_NO, "B"), ("The answer is no.", YES_NO, "B"), ("None", YES_NO, ""),
    ("(B) No", YES_NO, "B"),
    ("A", LETTERS, "A"), ("A. C", LETTERS, "A"), ("The answer is D", LETTERS, "D"), ("(C)", LETTERS, "C"),
    ("C. A", LETTERS, "C"),
    ("left (west)", PHRASES, "A"), ("A. left (west)", PHRASES, "A"), ("(A) left (west)", PHRASES, "A"),
    ("(none)", PHRASES, "C"),
    ("none", PHRASES, "C"), ("A and B", PHRASES, "D"), ("D. A and B", PHRASES, "D"), ("left", PHRASES, ""),
    ("right (east).", PHRASES, "B"),
    (r"\boxed{\text{left (west)}}", PHRASES, "A"), ("A or B", PHRASES, ""),
    ("The answer is left (west).", PHRASES, "A"),
    ("A dog", OBJECTS, "A"), ("a dog", OBJECTS, "A"), ("dog", OBJECTS, "A"), ("Two dogs", OBJECTS, "B"),
    ("2 dogs", OBJECTS, "B"),
    ("A cat and a dog", OBJECTS, "C"), ("a cat", OBJECTS, ""), ("China", OBJECTS, "D"), ("C", OBJECTS, "C"),
    ("A", OBJECTS, "A"),
    ("A. a dog", OBJECTS, "A"), ("A. two dogs", OBJECTS, ""), ("It's a dog.", OBJECTS, "A"),
    ("D. China", OBJECTS, "D"),
    ("3", SIGNED, "A"), ("-3", SIGNED, "B"), ("−3", SIGNED, "B"), ("1000", SIGNED, "C"), ("1/2", SIGNED, "D"),
    (".5", SIGNED, "D"),
    ("3 or -3", SIGNED, ""), ("B. -3", SIGNED, "B"), (r"\boxed{-3}", SIGNED, "B"), ("±3", SIGNED, ""),
    ("10²", {"A": "102", "B": "10²"}, "B"), ("（蓝色）", {"A": "红色", "B": "蓝色"}, "B"),
    ("B：蓝色", {"A": "红色", "B": "蓝色"}, "B"),
    ("نعم", {"A": "نعم", "B": "لا"}, "A"), ("می\u200cرود", {"A": "می\u200cرود", "B": "لا"}, "A"),
    ("Ａ。", {"A": "红色", "B": "蓝色"}, "A"),
]  # fmt: skip


@pytest.mark.parametrize(("response", "choices", "taken"), OTHERS)
def test_other_choices(response: str, choices: dict[str, str], taken: str) -> None:
    for label in choices:
        outcome = grade_choice(response, label, choices)
        assert outcome.correct is (label == taken), outcome.reason


HOSTILE = {
    "claims": "B is correct if " * 30_000,
    "conclusions": ", so" * 100_000,
    "conclusions with text": ", so x" * 80_000,
    "bullets": "- " * 200_000 + "x",
    "hashes": "#" * 400_000 + "x",
    "invisible": "\u200b" * 400_000 + "x",
    "full width": "Ａ" * 200_000,
    "because": "B becaus " * 50_000,
    "fillers": "I would go with the " * 20_000,
    "it is": "It is " * 80_000,
    "stops": "B." * 200_000,
    "dashes": " - " * 150_000,
    "right to left": "\u202e\u05d0" * 200_000,
    "braces": "{[(" * 130_000,
    "stated": "this option is " * 30_000,
    "dashes after": "answer " * 60_000 + "- ",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_responses_take_linear_time(name: str) -> None:
    start = time.process_time()
    outcome = grade_choice(HOSTILE[name], "A", COLOURS)
    assert time.process_time() - start < 10  # linear: a second
    assert outcome.correct is False
    assert len(outcome.reason) < 1000
