"""MLVU (arXiv 2406.04264): the multiple-choice part of its dev split, seven kinds of questions about videos of three
minutes to two hours. The score is M-Avg, the mean over kinds.

Rows have `question`, which ends with the options ("(A) …", one per line), `answer` (a letter), `video_name` and
`task_type`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from uniopd_mm.tasks.benchmarks.archives import media_file
from uniopd_mm.tasks.benchmarks.benchmark import Row, video
from uniopd_mm.tasks.benchmarks.video_choices import choice_benchmark, detailed

REPO = "sy1998/MLVU_dev"
_OPTION = re.compile(r"^\s*(?:\((?P<bracketed>[A-H])\)|(?P<plain>[A-H])[.):])\s*(?P<text>.*\S)\s*$", re.MULTILINE)


def question(row: Row) -> str:
    text = str(row["question"])
    first = _OPTION.search(text)
    return text[: first.start() if first else None].strip()


def choices(row: Row) -> dict[str, str]:
    return {match["bracketed"] or match["plain"]: match["text"] for match in _OPTION.finditer(str(row.get("question")))}


def target(row: Row) -> str | None:
    answer = row.get("answer")
    return None if answer is None else str(answer)


def media(row: Row) -> Sequence[Mapping[str, Any]]:
    return [video(media_file(REPO, str(row["video_name"])))]


def kind(row: Row) -> str:
    return str(row.get("task_type"))


def _video_of(row: Row) -> str:
    return str(row.get("video_name"))


_BENCHMARK = choice_benchmark(question=question, choices=choices, target=target, media=media, group=kind)
prompt, messages, visuals = _BENCHMARK.prompt, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = detailed(_BENCHMARK, cluster=_video_of)
