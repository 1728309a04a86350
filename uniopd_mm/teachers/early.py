"""Scores that are requested while the student is still generating."""

from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread
from typing import final

from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.types import Failure, Rollout, TeacherScores


@final
class EarlyScores:
    """Sends each group to its teachers as soon as it is generated, if they run outside this process. All other groups
    are scored at the end, as one batch.

    Args:
        router: None if the recipe uses no teacher; then every score is None.
    """

    def __init__(self, router: TeacherRouter | None) -> None:
        self.router = router
        self._sent: dict[int, Future[list[TeacherScores | Failure]]] = {}

    def send(self, group: Sequence[Rollout]) -> None:
        """All rollouts of one prompt, with the group id that `of` will see."""
        if self.router and self.router.overlaps(group[0]):
            self._sent[group[0].group_id] = _score_in_thread(self.router, group)

    def of(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure | None]:
        """One entry per rollout, in order. Rollouts of a group that was sent must be in the order they were sent in."""
        if self.router is None:
            return [None] * len(rollouts)
        unsent = [rollout for rollout in rollouts if rollout.group_id not in self._sent]
        late = iter(self.router.score(unsent) if unsent else ())
        early = {group: iter(future.result()) for group, future in self._sent.items()}
        return [next(early.get(rollout.group_id, late)) for rollout in rollouts]


def _score_in_thread(router: TeacherRouter, group: Sequence[Rollout]) -> Future[list[TeacherScores | Failure]]:
    """Scores from a daemon thread. Python would wait for an executor's threads at exit, and an interrupted run should
    end at once."""
    scores: Future[list[TeacherScores | Failure]] = Future()

    def score() -> None:
        try:
            scores.set_result(router.score(group))
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for the scores
            scores.set_exception(error)

    Thread(target=score, name="scores", daemon=True).start()
    return scores
