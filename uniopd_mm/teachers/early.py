"""Scores that are asked for while the student still writes."""

from collections.abc import Sequence
from concurrent.futures import Future
from threading import Thread
from typing import final

from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.types import Failure, Rollout, TeacherScores


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

    def send(self, group: Sequence[Rollout]) -> None:
        """The rollouts of one prompt, all there, with the group id that `of` will see."""
        if self.router and self.router.overlaps(group[0]):
            self._sent[group[0].group_id] = _begun(self.router, group)

    def of(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure | None]:
        """One entry per rollout, in order; those of a group that was sent are in the order they were sent in."""
        if self.router is None:
            return [None] * len(rollouts)
        later = [rollout for rollout in rollouts if rollout.group_id not in self._sent]
        asked_now = iter(self.router.score(later) if later else ())
        sent = {group: iter(future.result()) for group, future in self._sent.items()}
        return [next(sent.get(rollout.group_id, asked_now)) for rollout in rollouts]


def _begun(router: TeacherRouter, group: Sequence[Rollout]) -> Future[list[TeacherScores | Failure]]:
    """Scores to come, from a thread that nobody waits for: a run that is interrupted ends at once, whereas Python joins
    the threads of an executor before it ends."""
    scores: Future[list[TeacherScores | Failure]] = Future()

    def ask() -> None:
        try:
            scores.set_result(router.score(group))
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is for who waits for the scores
            scores.set_exception(error)

    Thread(target=ask, name="scores", daemon=True).start()
    return scores
