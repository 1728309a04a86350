r"""Programs to write, tested by running them, from a user's rows or from a synthetic source.

    {"question": "Read two numbers and print their sum.", "tests": {"inputs": ["3 4\n"], "outputs": ["7\n"]}}
    {"question": "Add a and b.", "starter_code": "def add(a, b):",
     "tests": {"fn_name": "add", "inputs": [[3, 4]], "outputs": [7]}}

A question and tests are required. `grading/code_problems.py` explains the forms of tests and lists the published sets
that can be read as they are. Their `question` may be called `question_content` or `prompt`. `starter_code` is shown
with the question, and `answer` (a reference program) is kept. `reading/questions.py` lists the optional fields.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.grading.answers import unknown
from uniopd_mm.tasks.grading.code_answers import grade_code
from uniopd_mm.tasks.grading.code_problems import TEST_COLUMNS, CodeProblem, Mode, read_problem, read_tests
from uniopd_mm.tasks.reading import questions
from uniopd_mm.tasks.reading.chats import USER, Chat, Turn, read_chat
from uniopd_mm.tasks.reading.corpus import TaskCorpus
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.sandbox.limits import Limits, Sandbox
from uniopd_mm.types import BadSample, Corpus, Outcome, Sample, UserError

INSTRUCTION = "Write Python code to solve the problem. Put the final program in one ```python block."
TESTS = "tests"  # Sample.metadata[TESTS] holds plain values for `read_tests`, so that any process can grade the sample
_WRITTEN = (*questions.FIELDS, TESTS)
_QUESTIONS, _IDS = ("question", "question_content", "prompt"), ("id", "question_id", "task_id")
FIELDS = tuple(dict.fromkeys((*_WRITTEN, *_QUESTIONS, *_IDS, "starter_code", *TEST_COLUMNS)))


@final
class CodeTask:
    """A Task.

    Args:
        rows: the user's rows. If they have no path, samples come from `synthetic`.
        synthetic: the source of samples if there are no rows. Its samples have tests in their `metadata`.
        sandbox: where programs run.
        instruction: last line of every prompt.
        domain: the name under which samples are routed, balanced and reported.
        limits: limits of one run of a program; None for the defaults of `Limits`.
        max_tests: how many tests of a problem are run; None for all.
    """

    def __init__(
        self,
        *,
        rows: RowSource,
        sandbox: Sandbox,
        synthetic: SampleSource | None = None,
        instruction: str = INSTRUCTION,
        domain: str = "code",
        limits: Limits | None = None,
        max_tests: int | None = None,
    ) -> None:
        if max_tests is not None and max_tests < 1:
            raise UserError(f"task.max_tests={max_tests}: must be at least 1, or null for all")
        self.domain = domain
        self._corpus = TaskCorpus(rows, synthetic, self._parse, FIELDS)
        self._sandbox = sandbox
        self._instruction = instruction
        self._limits = limits
        self._max_tests = max_tests

    def samples(self, split: str) -> Corpus:
        """See `TaskCorpus.samples`. Its `grading` names the level at which programs are isolated.

        Raises:
            UserError: also if the sandbox cannot isolate programs on this machine.
        """
        level = self._sandbox.level  # fail here rather than in the first rollout
        corpus = self._corpus.samples(split)
        return replace(corpus, grading={self.domain: f"programs run at isolation level {level}"})

    def grade(self, sample: Sample, response: str) -> Outcome:
        """Judge a response by running its program on the sample's tests. Never raises: if the tests cannot be read or
        the sandbox fails, the outcome is unknown."""
        try:
            problem = read_tests(sample.metadata.get(TESTS), TESTS)
        except BadSample as bad:
            return unknown(str(bad))
        return grade_code(response, problem, self._sandbox, limits=self._limits, max_tests=self._max_tests)

    def _parse(self, row: Row) -> tuple[Sample, str | None]:
        """Raises BadSample if the row cannot be used."""
        problem = read_problem(row.fields)
        chat = asked(row, problem)
        fields = row.standard(_WRITTEN) | dict(chat.cells) | {"question": chat.written(), TESTS: problem.plain()}
        if (given := _first(row, _IDS)) is not None:
            fields["id"] = row.fields[given]
        return questions.read_sample(
            replace(row, fields=fields),
            domain=self.domain,
            instruction=self._instruction,
            answer=row.text("answer") if "answer" in row.fields else None,
            metadata={TESTS: problem.plain()},
            fields=_WRITTEN,
        )


def asked(row: Row, problem: CodeProblem) -> Chat:
    """The question, with everything that a program must match in the turn that is asked.

    Raises:
        BadSample: there is no question, or a turn that cannot be kept.
    """
    name = _first(row, _QUESTIONS)
    if name is None:
        raise BadSample(f"no question: the row has none of the columns {', '.join(_QUESTIONS)}")
    code = name == "prompt" and "entry_point" in row.fields and isinstance(row.fields[name], str)
    if code:  # HumanEval+: the prompt is code itself
        return Chat(turns=(Turn(role=USER, text=f"Complete this program.\n{_block(str(row.fields[name]))}"),))
    chat = read_chat(row, name)
    return chat.asking(_completed(chat.question, row, problem))


def _completed(text: str, row: Row, problem: CodeProblem) -> str:
    """The question with starter code, an example, or the function's name."""
    code = str(row.fields.get("starter_code", "")).strip("\n")
    parts = [text, f"Begin with this code.\n{_block(code)}" if code.strip() and code.strip() not in text else ""]
    if example := _example(row.fields.get("test_list")):
        parts.append(f"Your program must pass this test.\n{_block(example)}")
    shown = "\n\n".join(part for part in parts if part)
    if problem.mode is not Mode.STDIN and not re.search(rf"\b{problem.function}\b", shown):
        shown += f"\n\nThe function must be called `{problem.function}`."
    return shown


def _block(code: str) -> str:
    return f"```python\n{code.rstrip()}\n```"


def _example(tests: Any) -> str | None:
    return str(tests[0]) if isinstance(tests, Sequence) and not isinstance(tests, str) and tests else None


def _first(row: Row, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in row.fields), None)
