"""rollouts/step_<n>.jsonl: one line per trajectory, with each token's log-probs under the student and the teacher.

Left out: media, of which only the source is written, and the teachers' top-k.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import final

from torch import Tensor

from uniopd_mm.runtime.world import World
from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.files import write_atomically
from uniopd_mm.tracking.records import RolloutLine, json_line
from uniopd_mm.types import Failure, Media, Sample, TeacherScores, Trajectory, UserError

_MAX_SOURCE = 200  # a longer one is a data: URI that contains the medium


@final
class RolloutsTracker(Tracker):
    """Writes `folder`/rollouts/step_<n>.jsonl for steps divisible by `every`.

    `resume_step` is the last step to keep: files of later steps, which the resumed run repeats, are deleted. The main
    process of `world` writes the lines of all processes.
    """

    def __init__(self, folder: Path, resume_step: int | None = None, *, world: World, every: int = 1) -> None:
        if every < 1:
            raise ValueError(f"every must be at least 1, not {every}")
        self._folder = folder
        self._every = every
        self._world = world
        if resume_step is not None and world.is_main:
            _drop_after(folder, resume_step)

    def log_rollouts(
        self,
        step: int,
        trajectories: Sequence[Trajectory],
        tokens: Callable[[Tensor], list[str]],
    ) -> None:
        if step % self._every:
            return
        parts = self._world.gather([rollout_line(trajectory, tokens) for trajectory in trajectories])
        if self._world.is_main:
            lines = sorted((line for part in parts for line in part), key=lambda line: line.group_id)
            path = self._folder / "rollouts" / f"step_{step}.jsonl"
            write_atomically(path, (json_line(line.to_json()) for line in lines), run=self._folder)


def rollout_line(trajectory: Trajectory, tokens: Callable[[Tensor], list[str]]) -> RolloutLine:
    """A trajectory as plain data. Raises ValueError if its lists differ in length."""
    rollout, outcome, scores = trajectory.rollout, trajectory.outcome, trajectory.scores
    sample = rollout.prompt.sample
    line = RolloutLine(
        sample_id=sample.sample_id,
        domain=sample.domain,
        source=sample.source,
        group_id=rollout.group_id,
        policy_step=rollout.policy_step,
        prompt=prompt_text(sample),
        answer=sample.answer,
        response=trajectory.response,
        finish_reason=str(rollout.finish_reason),
        correct=outcome.correct,
        reward=outcome.reward,
        reason=outcome.reason,
        weight=trajectory.weight,
        teacher=scores.teacher if scores else None,
        teacher_failure=scores.reason if isinstance(scores, Failure) else None,
        token_ids=rollout.response_ids.tolist(),
        tokens=tokens(rollout.response_ids),
        student_logprobs=rollout.logprobs.tolist(),
        teacher_logprobs=scores.logprobs.tolist() if isinstance(scores, TeacherScores) else None,
        advantages=None if trajectory.advantages is None else trajectory.advantages.tolist(),
    )
    _check_lengths(line)
    return line


def prompt_text(sample: Sample) -> str:
    """The sample's turns as `role: text`, one per line, with `[kind source]` in place of each medium."""
    return "\n".join(f"{turn.role}: {' '.join(map(_piece, turn.content))}" for turn in sample.messages)


def newest_rollouts(folder: Path) -> tuple[int, Path] | None:
    """The last step with a rollouts file, and that file; None if there is none."""
    return max(_files(folder), default=None)


def read_rollouts(path: Path) -> list[RolloutLine]:
    """The lines of a rollouts file. Raises UserError if a line cannot be parsed."""
    with path.open("rb") as file:
        return [_parse(line, f"{path}:{number}") for number, line in enumerate(file, start=1)]


def _parse(line: bytes, where: str) -> RolloutLine:
    try:
        return RolloutLine.from_json(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{where}: not a rollout ({error}); delete this file") from error


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    for path in (folder / "rollouts").glob("step_*.jsonl"):
        if match := re.fullmatch(r"step_(\d+)\.jsonl", path.name):
            yield int(match[1]), path


def _drop_after(folder: Path, last: int) -> None:
    for step, path in list(_files(folder)):
        if step > last:
            path.unlink()


def _piece(piece: str | Media) -> str:
    if isinstance(piece, str):
        return piece
    named = isinstance(piece.source, str | Path) and len(str(piece.source)) <= _MAX_SOURCE
    return f"[{piece.kind} {piece.source}]" if named else f"[{piece.kind}]"


def _check_lengths(line: RolloutLine) -> None:
    lists = (line.tokens, line.student_logprobs, line.teacher_logprobs, line.advantages)
    lengths = [len(entries) for entries in lists if entries is not None]
    if any(length != len(line.token_ids) for length in lengths):
        raise ValueError(f"{line.sample_id}: {len(line.token_ids)} response tokens, but lists of lengths {lengths}")
