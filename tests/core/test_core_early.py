"""Scoring while the student still writes: the same scores, asked for earlier, and only from teachers elsewhere."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Event, get_ident
from typing import final

import pytest
import torch
from core_parts import prompt, rollout, routed, scored

from uniopd_mm.teachers.early import EarlyScores
from uniopd_mm.types import Failure, Rollout, TeacherScores


@final
class Recorder:
    """Scores by rule, and remembers what it was asked, where, and after what."""

    name = "t"

    def __init__(self, overlaps: bool, gate: Event | None = None, broken: bool = False) -> None:
        self.overlaps = overlaps
        self.asked: list[tuple[int, ...]] = []
        self.threads: set[int] = set()
        self._gate = gate
        self._broken = broken

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        if self._gate:
            assert self._gate.wait(300)
        if self._broken:
            raise RuntimeError("a fault of ours")
        self.asked.append(tuple(one.group_id for one in rollouts))
        self.threads.add(get_ident())
        return [_answer(one) for one in rollouts]


def _answer(one: Rollout) -> TeacherScores | Failure:
    if one.group_id == 3:
        return Failure(teacher="t", reason="away")
    return scored(one, [-float(one.response_ids.sum())] * len(one.response_ids))


def groups(domains: str = "dddd", size: int = 3) -> list[list[Rollout]]:
    return [
        [rollout(prompt([1, 2], f"s{place}", domain), [place + 5, index], group_id=place) for index in range(size)]
        for place, domain in enumerate(domains)
    ]


def flat(nested: list[list[Rollout]]) -> list[Rollout]:
    return [one for group in nested for one in group]


def assert_answers(scores: Sequence[TeacherScores | Failure | None], rollouts: Sequence[Rollout]) -> None:
    for score, one in zip(scores, rollouts, strict=True):
        wanted = _answer(one)
        if isinstance(wanted, Failure):
            assert score == wanted
        else:
            assert isinstance(score, TeacherScores) and torch.equal(score.logprobs, wanted.logprobs)


def test_groups_go_out_as_they_finish_and_come_back_in_order() -> None:
    teacher, written = Recorder(overlaps=True), groups()
    early = EarlyScores(routed({"d": teacher}))
    for place in (2, 0, 3):  # as they happened to finish; the last was never told
        early.send(written[place])
    assert_answers(early.of(flat(written)), flat(written))
    assert sorted(teacher.asked) == [(0, 0, 0), (1, 1, 1), (2, 2, 2), (3, 3, 3)]


def test_writing_does_not_wait_for_scoring() -> None:
    gate = Event()
    written = groups()
    early = EarlyScores(routed({"d": Recorder(overlaps=True, gate=gate)}))
    for group in written:
        early.send(group)  # would hang here
    gate.set()
    assert_answers(early.of(flat(written)), flat(written))


def test_a_teacher_in_this_process_is_asked_once_at_the_end_in_this_thread() -> None:
    near, far = Recorder(overlaps=False), Recorder(overlaps=True)
    written = groups("nfnf")
    early = EarlyScores(routed({"n": near, "f": far}))
    for group in written:
        early.send(group)
    assert_answers(early.of(flat(written)), flat(written))
    assert near.asked == [(0, 0, 0, 2, 2, 2)] and near.threads == {get_ident()}
    assert sorted(far.asked) == [(1, 1, 1), (3, 3, 3)] and get_ident() not in far.threads


def test_a_recipe_without_a_teacher_has_no_scores() -> None:
    early = EarlyScores(None)
    early.send(groups()[0])
    assert early.of(flat(groups())) == [None] * 12


def test_a_fault_while_scoring_is_not_lost() -> None:
    written = groups()
    early = EarlyScores(routed({"d": Recorder(True, broken=True)}))
    early.send(written[0])
    with pytest.raises(RuntimeError, match="a fault of ours"):
        early.of(flat(written))


INTERRUPTED = """
import sys, time
sys.path.insert(0, {here!r})
from test_core_early import EarlyScores, Event, Recorder, groups, routed
early = EarlyScores(routed({{"d": Recorder(overlaps=True, gate=Event())}}))
early.send(groups()[0])
time.sleep(0.2)
raise KeyboardInterrupt
"""


@pytest.mark.timeout(240)
def test_an_interrupted_run_does_not_wait_for_its_teachers() -> None:
    """The teacher would take longer than this test may."""
    code = INTERRUPTED.format(here=str(Path(__file__).parent))
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode != 0 and "KeyboardInterrupt" in outcome.stderr
