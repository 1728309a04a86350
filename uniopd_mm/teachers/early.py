"""Scores that are asked for while the student still writes."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, final

from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.types import Failure, Rollout, TeacherScores

THREADS = 64  # groups on their way to teachers at a time


@final
class EarlyScores:
    """Sends each group to its teachers as soon as it is written, where these compute elsewhere; the others are asked
    when everything is written, as one batch.

    Args:
        router: None where the recipe asks nobody; every score is then None.
    """

    def __init__(self, router: TeacherRouter | None) -> None:
        self.router = router
        self._sent: dict[int, Future[list[TeacherScores | Failure]]] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="scores")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What nobody waits for any more is not sent."""
        self._threads.shutdown(wait=error is None, cancel_futures=True)

    def send(self, group: Sequence[Rollout]) -> None:
        """The rollouts of one prompt, all there, with the group id that `of` will see."""
        if self.router and self.router.overlaps(group[0]):
            self._sent[group[0].group_id] = self._threads.submit(self.router.score, group)

    def of(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure | None]:
        """One entry per rollout, in order; those of a group that was sent are in the order they were sent in."""
        if self.router is None:
            return [None] * len(rollouts)
        later = [rollout for rollout in rollouts if rollout.group_id not in self._sent]
        asked_now = iter(self.router.score(later) if later else ())
        sent = {group: iter(future.result()) for group, future in self._sent.items()}
        return [next(sent.get(rollout.group_id, asked_now)) for rollout in rollouts]
