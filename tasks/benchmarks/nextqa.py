"""NExT-QA, multiple choice (Xiao et al., CVPR 2021): 8,564 questions about causes, times and descriptions.

Rows have `question`, `a0` … `a4`, `answer` (an index), `video` (a number) and `type`, whose first letter is the kind of
question: C(ausal), T(emporal) or D(escriptive).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from uniopd_mm.tasks.benchmarks.archives import media_file
from uniopd_mm.tasks.benchmarks.benchmark import Row, video
from uniopd_mm.tasks.benchmarks.video_choices import choice_benchmark, detailed, label_at

REPO = "lmms-eval/NExTQA"
_KINDS = {"C": "causal", "T": "temporal", "D": "descriptive"}


def question(row: Row) -> str:
    return str(row["question"]).strip()


def choices(row: Row) -> list[Any]:
    return [row.get(f"a{index}") for index in range(5)]


def target(row: Row) -> str | None:
    return label_at(row.get("answer"))


def media(row: Row) -> Sequence[Mapping[str, Any]]:
    return [video(media_file(REPO, f"NExTVideo/{row['video']}.mp4", f"{row['video']}.mp4"))]


def _video_of(row: Row) -> str:
    return str(row.get("video"))


def _kind(row: Row) -> Sequence[str]:
    kind = _KINDS.get(str(row.get("type"))[:1])
    return (kind,) if kind else ()


_BENCHMARK = choice_benchmark(question=question, choices=choices, target=target, media=media)
prompt, messages, visuals = _BENCHMARK.prompt, _BENCHMARK.messages, _BENCHMARK.visuals
process_results = detailed(_BENCHMARK, cluster=_video_of, details=_kind)
