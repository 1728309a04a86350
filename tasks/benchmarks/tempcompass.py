"""TempCompass (arXiv 2403.00476): whether a model sees speed, direction, order and change in 410 short videos.

Rules judge three of its four formats: multiple choice, yes or no, and which of two captions fits. The score is the mean
of their accuracies, because they differ in size and in the accuracy of guessing. Left out: the fourth format,
captioning, which needs a judge. The published overall mean includes it.

Rows have `video_id`, `question` (with its options, one per line), `answer` (the whole option, or "yes" or "no") and
`dim`. `all_formats` joins the three formats, because a task of lmms-eval has one data set.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from uniopd_mm.tasks.benchmarks.archives import data_set, media_file
from uniopd_mm.tasks.benchmarks.benchmark import Benchmark, Row, video
from uniopd_mm.tasks.benchmarks.video_choices import INSTRUCTION, detailed, in_turn
from uniopd_mm.tasks.grading.answers import final_answer, literal_readings, right, unanswered, unknown, wrong
from uniopd_mm.tasks.grading.choices import grade_choice
from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import Outcome

REPO = "lmms-eval/TempCompass"
FORMATS = {"multi-choice": "multi_choice", "yes_no": "yes_no", "caption_matching": "caption_matching"}
_INSTRUCTIONS = {
    "multi_choice": INSTRUCTION,
    "yes_no": "Answer yes or no.",
    "caption_matching": "Answer with the option's letter or number directly.",
}
_NAME = r"(?:(?:Option|Caption|Sentence|Description)\s+)?"
_OPTION = re.compile(rf"^\s*{_NAME}(?P<label>[A-Z]|[1-9])[.):]\s*(?P<text>.*\S)\s*$", re.MULTILINE | re.IGNORECASE)
_NAMED = re.compile(r"\b(?:Caption|Sentence|Description)\s+(?=[A-Z1-9]\b)", re.IGNORECASE)
_YES_NO = re.compile(r"\W*(?P<word>yes|no)\b(?!\W{1,3}(?:(?:and|or)\W+)?(?:yes|no)\b)", re.IGNORECASE)


def all_formats(first: Any) -> Any:
    """The questions of the three formats by turns, as a data set with the column `format`. `first`, the data set that
    the YAML names, gives only the name of the split."""
    from datasets import Dataset, load_dataset  # takes a second to import

    parts = [load_dataset(data_set(REPO), name=name, split=str(first.split)) for name in FORMATS]
    columns = ("video_id", "question", "answer", "dim")
    tables = [
        [{"format": form, **{name: str(row[name]) for name in columns}} for row in part]
        for form, part in zip(FORMATS.values(), parts, strict=True)
    ]
    return Dataset.from_list([dict(row) for row in in_turn(tables)])


def question(row: Row) -> str:
    return str(row["question"]).strip()


def prompt(row: Row, lmms_eval_specific_kwargs: Any = None) -> str:
    return f"{question(row)}\n{_INSTRUCTIONS[row['format']]}"


def target(row: Row) -> str:
    return str(row["answer"])


def media(row: Row) -> Sequence[Mapping[str, Any]]:
    return [video(media_file(REPO, f"videos/{row['video_id']}.mp4", f"{row['video_id']}.mp4"))]


def grade(row: Row, response: str) -> Outcome:
    """By the rules of the row's format. Never raises."""
    answer = str(row.get("answer"))
    if form(row) == "yes_no":
        return _grade_yes_no(response, answer.strip().casefold())
    options = {match["label"].upper(): match["text"] for match in _OPTION.finditer(str(row.get("question")))}
    expected = _OPTION.match(answer)
    return grade_choice(_NAMED.sub("Option ", response), expected["label"] if expected else answer, options)


def _grade_yes_no(response: str, answer: str) -> Outcome:
    if answer not in ("yes", "no"):
        return unknown(f"the reference answer {quote(answer)} is neither yes nor no")
    final = final_answer(response)
    if final is None:
        return unanswered(response)
    shown = f"{final.form}: {quote(final.readings[-1])}"
    said = {match["word"].casefold() for reading in literal_readings(final) if (match := _YES_NO.match(reading))}
    if len(said) != 1:
        return wrong(f"{shown} is {'both' if said else 'neither'} yes and no")
    return right(f"{shown} is {answer}") if said == {answer} else wrong(f"{shown} is not {answer}")


def form(row: Row) -> str:
    return str(row.get("format"))


def _video_of(row: Row) -> str:
    return str(row.get("video_id"))


def _details(row: Row) -> Sequence[str]:
    return (form(row),)


_BENCHMARK = Benchmark(question=question, prompt=prompt, grade=grade, media=media, group=form)
messages, visuals = _BENCHMARK.messages, _BENCHMARK.visuals
process_results = detailed(_BENCHMARK, cluster=_video_of, details=_details)
