"""Video-MME (arXiv 2405.21075): 900 videos of eleven seconds to an hour, three questions each, without subtitles.

Rows have `question`, `options` ("A. …"), `answer` (a letter), `videoID` and `duration` (short, medium, long).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from uniopd_mm.tasks.benchmarks.archives import media_file
from uniopd_mm.tasks.benchmarks.benchmark import Row, video
from uniopd_mm.tasks.benchmarks.video_choices import choice_benchmark, detailed

REPO = "lmms-eval/Video-MME"
_SUFFIXES = (".mp4", ".MP4", ".mkv")


def question(row: Row) -> str:
    return str(row["question"]).strip()


def choices(row: Row) -> Any:
    return row.get("options")


def target(row: Row) -> str | None:
    answer = row.get("answer")
    return None if answer is None else str(answer)


def media(row: Row) -> Sequence[Mapping[str, Any]]:
    return [video(media_file(REPO, *(f"data/{row['videoID']}{suffix}" for suffix in _SUFFIXES)))]


def _video_of(row: Row) -> str:
    return str(row.get("videoID"))


def _duration(row: Row) -> Sequence[str]:
    return (str(row.get("duration")),)


_BENCHMARK = choice_benchmark(question=question, choices=choices, target=target, media=media)
prompt, messages, visuals = _BENCHMARK.prompt, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = detailed(_BENCHMARK, cluster=_video_of, details=_duration)
