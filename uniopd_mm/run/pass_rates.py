"""Pass rates: the share of correct answers among k rollouts of each prompt, graded by the task.

Counts are cached in a file in the user's cache folder, so a command that was killed continues where it stopped. Leaves
out: what pass rates are used for.
"""

import hashlib
import json
import os
import pickle
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any, final

from uniopd_mm.data.grading import grade_all
from uniopd_mm.data.prompts import encode_all
from uniopd_mm.data.responses import said
from uniopd_mm.interfaces import Processor, RolloutEngine, Task
from uniopd_mm.runtime.cache import made_cache_folder
from uniopd_mm.tracking.console import progress
from uniopd_mm.tracking.files import write_durably
from uniopd_mm.types import Media, Outcome, Rollout, Sample, Sampling, Skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The number of rollouts of a prompt by outcome; `reason` is that of the last unknown outcome."""

    correct: int
    incorrect: int
    unknown: int
    reason: str = ""

    @property
    def pass_rate(self) -> float | None:
        """Correct rollouts / rollouts with a known outcome; None if no outcome is known."""
        known = self.correct + self.incorrect
        return self.correct / known if known else None


@final
class Tallies:
    """The tallies of finished prompts, in memory and in a file with one line per prompt. Lines that cannot be read are
    ignored.

    Args:
        name: prefix of the file name, for readers.
        origin: everything tallies depend on apart from the sample; each origin has its own file.
    """

    def __init__(self, name: str, origin: Mapping[str, Any]) -> None:
        text = json.dumps(origin, sort_keys=True, default=str)
        file = f"{name}_{hashlib.sha256(text.encode()).hexdigest()[:16]}.jsonl"
        self.path = made_cache_folder("pass_rates") / file.replace(os.sep, "_")
        self._known = dict(_read(self.path))

    def of(self, sample: Sample) -> Tally | None:
        return self._known.get(fingerprint(sample))

    def add(self, tallies: Sequence[tuple[Sample, Tally]]) -> None:
        """Add tallies; they are on disk when this returns."""
        named = [(sample.sample_id, fingerprint(sample), tally) for sample, tally in tallies]
        lines = [json.dumps({"id": name, "sample": digest, **asdict(tally)}) + "\n" for name, digest, tally in named]
        try:
            with FileIO(self.path, "ab") as file:
                write_durably(file, "".join([_line_end(self.path), *lines]).encode())
        except OSError as error:
            error.filename = error.filename or str(self.path)  # a failed write leaves it unset
            raise
        self._known |= {digest: tally for _, digest, tally in named}


def _read(path: Path) -> Iterator[tuple[str, Tally]]:
    for line in path.read_bytes().splitlines() if path.exists() else ():
        try:
            entry = json.loads(line)
            counts = (int(entry[name]) for name in ("correct", "incorrect", "unknown"))
            correct, incorrect, unknown = counts
            yield entry["sample"], Tally(correct=correct, incorrect=incorrect, unknown=unknown, reason=entry["reason"])
        except (ValueError, TypeError, KeyError):
            continue  # a process was killed while it wrote this line


def _line_end(path: Path) -> str:
    """A newline if a killed process left an unfinished last line, else ""."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 1))
        return "" if file.read(1) in (b"", b"\n") else "\n"


def fingerprint(sample: Sample) -> str:
    """A hash of everything in a sample that rollouts and grades depend on; files enter by path, size and time."""
    asked = [(message.role, [_said(part) for part in message.content]) for message in sample.messages]
    parts = (sample.sample_id, sample.domain, asked, sample.answer, dict(sample.metadata))
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _said(part: str | Media) -> Any:
    if isinstance(part, str):
        return part
    source = part.source
    if isinstance(source, str | os.PathLike) and os.path.isfile(source):
        found = os.stat(source)
        return part.kind, str(source), found.st_size, found.st_mtime_ns, dict(part.options)
    return part.kind, source if isinstance(source, str | bytes) else pickle.dumps(source), dict(part.options)


@dataclass(frozen=True, kw_only=True, slots=True)
class PassRateEstimator:
    """Generates rollouts and counts their outcomes.

    Args:
        num_rollouts: rollouts per prompt.
        chunk: prompts per call of the engine.
    """

    task: Task
    processor: Processor
    engine: RolloutEngine
    sampling: Sampling
    num_rollouts: int
    max_prompt_tokens: int
    chunk: int

    def __call__(self, samples: Sequence[Sample], tallies: Tallies) -> list[Skip]:
        """Add the tally of each sample. Samples that cannot be encoded get no tally and are returned."""
        skipped: list[Skip] = []
        totals = Counter[str]()
        with progress("pass rates", len(samples)) as bar:
            for prompts, skips in encode_all(self.processor, samples, self.max_prompt_tokens, self.chunk):
                skipped += skips
                groups = self.engine.generate(prompts, self.num_rollouts, self.sampling) if prompts else []
                new = [
                    (group[0].prompt.sample, tally) for group, tally in zip(groups, self._tallies(groups), strict=True)
                ]
                tallies.add(new)
                for _, tally in new:
                    totals.update(correct=tally.correct, asked=self.num_rollouts)
                correct = totals["correct"] / totals["asked"] if totals["asked"] else 0.0
                bar.advance(len(prompts) + len(skips), f"correct {correct:.3f}")
        return skipped

    def _tallies(self, groups: Sequence[Sequence[Rollout]]) -> list[Tally]:
        """One tally per group."""
        rollouts = [rollout for group in groups for rollout in group]
        texts = [said(self.processor, rollout) for rollout in rollouts]
        outcomes = iter(grade_all(self.task, [rollout.prompt.sample for rollout in rollouts], texts))
        return [_tally([next(outcomes) for _ in group]) for group in groups]


def _tally(outcomes: Sequence[Outcome]) -> Tally:
    counts = Counter(outcome.correct for outcome in outcomes)
    reasons = [outcome.reason for outcome in outcomes if outcome.correct is None]
    return Tally(
        correct=counts[True],
        incorrect=counts[False],
        unknown=counts[None],
        reason=reasons[-1] if reasons else "",
    )
