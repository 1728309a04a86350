"""LongVideoBench (arXiv 2407.15754): the 1,337 questions of its validation split about videos of up to an hour, without
subtitles.

Rows have `question`, `candidates` (a list) or `option0` … `option4` ("N/A" for missing ones), `correct_choice` (an
index), `video_path` and `duration_group` (15, 60, 600 or 3600 seconds).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from uniopd_mm.tasks.benchmarks.archives import media_file
from uniopd_mm.tasks.benchmarks.benchmark import Row, video
from uniopd_mm.tasks.benchmarks.video_choices import choice_benchmark, detailed, label_at

REPO = "longvideobench/LongVideoBench"


def question(row: Row) -> str:
    return str(row["question"]).strip()


def choices(row: Row) -> list[Any]:
    if row.get("candidates"):
        return list(row["candidates"])
    options = [row.get(f"option{index}") for index in range(5)]
    return [option for option in options if option not in (None, "", "N/A")]


def target(row: Row) -> str | None:
    return label_at(row.get("correct_choice"))


def media(row: Row) -> Sequence[Mapping[str, Any]]:
    path = str(row["video_path"])
    return [video(media_file(REPO, f"videos/{path}", path))]


def _video_of(row: Row) -> str:
    return str(row.get("video_path"))


def _duration(row: Row) -> Sequence[str]:
    return (f"{row.get('duration_group')} s",)


_BENCHMARK = choice_benchmark(question=question, choices=choices, target=target, media=media)
prompt, messages, visuals = _BENCHMARK.prompt, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = detailed(_BENCHMARK, cluster=_video_of, details=_duration)
