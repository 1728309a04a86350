"""A folder in which the balancing command runs: rows about real clips, an untrained student, a task for its noise.

What the student says is noise, so that a task of the tests' own grades it: by the response's length, which is right
about half the time and depends on nothing but what was sampled.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from job_parts import Finished, run

from uniopd_mm.types import Media, Sample

K = 6
ADAPTER = """
from uniopd_mm.tasks.video_qa import VideoQaTask
from uniopd_mm.types import Outcome


class NoiseTask:
    domain = "video_qa"

    def __init__(self, **parts):
        self.questions = VideoQaTask(**parts)

    def samples(self, split):
        return self.questions.samples(split)

    def grade(self, sample, response):
        if sample.metadata.get("ungradable"):
            return Outcome(correct=None, reward=0.0, reason="nobody knows")
        right = len(response) % 2 == 0
        return Outcome(correct=right, reward=float(right), reason="by length")
"""


def lay_out(folder: Path, checkpoint: str, samples: Sequence[Sample]) -> list[str]:
    """Put clips and student, a copy, so that its files are new, into the folder; arguments that use them."""
    shutil.copytree(checkpoint, folder / "student")
    (folder / "noise.py").write_text(ADAPTER, encoding="utf-8")
    (folder / "clips").mkdir()
    for number, sample in enumerate(samples):
        (medium,) = [part for part in sample.messages[0].content if isinstance(part, Media)]
        shutil.copy(medium.source, folder / "clips" / f"{number}.mp4")
    (folder / "clips" / "text.mp4").write_text("not a video", encoding="utf-8")
    arguments = ["model=tiny", "model.path=student", "rollout.max_new_tokens=6", "threads=1"]
    return [*arguments, f"num_rollouts={K}", "prompts_per_chunk=2", "task._target_=noise.NoiseTask"]


def row(number: int, name: str | None = None, **fields: Any) -> dict[str, Any]:
    question = {"question": f"Which way does number {number} go?", "answer": "left", "video": f"clips/{number}.mp4"}
    return {"id": name or f"q{number}", **question, **fields}


def write(folder: Path, *rows: Any) -> list[str]:
    lines = [line if isinstance(line, str) else json.dumps(line) for line in rows]
    (folder / "in.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return ["data.path=in.jsonl", "out=balanced/out.jsonl"]


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def balanced(arguments: list[str], folder: Path, **environment: str) -> Finished:
    finished = run(arguments, folder, environment, command="balance")
    assert (finished.status, finished.err) == (0, ""), finished
    return finished


def kept(cache: Path) -> list[dict[str, Any]]:
    """The tallies in a cache folder."""
    return [entry for file in (cache / "pass_rates").glob("*.jsonl") for entry in read(file)]
