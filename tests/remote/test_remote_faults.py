"""Whatever happens on the way: nothing is lost that a retry can save, nothing wrong is believed, nothing hangs."""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import torch
from faulty_parts import BOMB_BYTES, SOME, Fault, Faults, proxy
from serving_parts import SAMPLING, Served, assert_same, connected, free_port

from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.breaker import Breaker
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.remote import RemoteTeacher
from uniopd_mm.types import Failure, FinishReason, Prompt, Rollout, TeacherScores

Serve = Callable[..., Served]
CALLS = 200
pytestmark = pytest.mark.timeout(300)  # what is held up here lasts longer


@pytest.fixture
def others(engine: HFRollout, prompts: list[Prompt]) -> list[Rollout]:
    """One of each of eight other prompts."""
    return [group[0] for group in engine.generate(prompts[4:12], 1, SAMPLING)]


def test_two_hundred_calls_through_faults_lose_nothing(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout]
) -> None:
    faults = [Faults(SOME, 0.3, seed=seed) for seed in (1, 2)]
    urls = [proxy(serve().url, one) for one in faults]
    groups = [rollouts[start : start + 3] for start in range(0, 12, 3)]
    expected = [local.score(group) for group in groups]
    with connected(*urls, attempts=12, deadline=120) as teacher, ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(teacher.score, groups[call % 4]) for call in range(CALLS)]
        for call, future in enumerate(asked):
            assert_same(future.result(), expected[call % 4])
    seen = {fault for one in faults for fault in one.seen}
    assert seen == {Fault.NONE, *SOME}
    assert sum(count for one in faults for count in one.seen.values()) > CALLS


@pytest.mark.parametrize("fault", [Fault.WRONG_IDS, Fault.SHUFFLE, Fault.GARBLE, Fault.TRUNCATE])
def test_a_wrong_answer_is_never_believed(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout], fault: Fault
) -> None:
    wrong, right = Faults((fault,), 1.0), Faults((), 0.0)
    served = serve()
    with connected(proxy(served.url, wrong), attempts=2) as teacher:
        (*answers,) = teacher.score(rollouts[::3])
    assert all(isinstance(answer, Failure) and "the last of 2 attempts" in answer.reason for answer in answers)
    with connected(proxy(served.url, wrong), proxy(served.url, right)) as teacher:
        assert_same(teacher.score(rollouts[::3]), local.score(rollouts[::3]))


@pytest.mark.parametrize(("fault", "reason"), [(Fault.BOMB, "content-encoding is gzip"), (Fault.FLOOD, "above ")])
def test_a_reply_longer_than_its_answer_is_a_failure_and_takes_no_memory(
    serve: Serve, rollouts: list[Rollout], prompts: list[Prompt], fault: Fault, reason: str
) -> None:
    url = proxy(serve().url, Faults((fault,), 1.0))
    with connected(url, attempts=2) as teacher:
        before = peak_bytes()
        answers = teacher.score(rollouts)
        ((response,),) = teacher.generate(prompts[:1], 1, SAMPLING)
    assert all(isinstance(answer, Failure) and reason in answer.reason for answer in answers), answers
    assert response.finish_reason is FinishReason.ABORT
    assert peak_bytes() - before < BOMB_BYTES // 4


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def test_responses_come_through_faults_too(serve: Serve, engine: HFRollout, prompts: list[Prompt]) -> None:
    kinds = tuple(fault for fault in SOME if fault not in (Fault.WRONG_IDS, Fault.SHUFFLE))  # those are of scores
    url = proxy(serve().url, Faults(kinds, 0.3, seed=3))
    with connected(url, attempts=12) as teacher:
        answers = [teacher.generate([prompt], 2, SAMPLING)[0] for prompt in prompts]
    for mine, theirs in zip(answers, engine.generate(prompts, 2, SAMPLING), strict=True):
        assert all(torch.equal(a.response_ids, b.response_ids) for a, b in zip(mine, theirs, strict=True))


@pytest.mark.parametrize("fault", [Fault.SILENCE, Fault.DRIP])
def test_a_server_that_never_ends_its_answer_cannot_hold_anybody(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout], fault: Fault
) -> None:
    served = serve()
    stuck = proxy(served.url, Faults((fault,), 1.0))
    with connected(stuck, deadline=0.8) as teacher:
        answers = teacher.score(rollouts[:3])
        assert all(isinstance(answer, Failure) and "no reply within" in answer.reason for answer in answers)
    with connected(stuck, served.url, deadline=6.0) as teacher:  # the other one has half of the time
        assert_same(teacher.score(rollouts), local.score(rollouts))


def test_nobody_there_is_a_failure_of_every_sample(
    serve: Serve, rollouts: list[Rollout], prompts: list[Prompt]
) -> None:
    served = serve()
    url = proxy(served.url, Faults((Fault.DROP,), 1.0))
    with connected(url, attempts=4, breaker_seconds=0.1) as teacher:
        answers = teacher.score(rollouts)
        assert all(isinstance(answer, Failure) and url in answer.reason for answer in answers)
        ((rollout, _),) = teacher.generate(prompts[:1], 2, SAMPLING)
    assert rollout.finish_reason is FinishReason.ABORT and len(rollout.response_ids) == 0


def test_a_server_that_fails_is_left_alone_and_taken_back(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout], others: list[Rollout]
) -> None:
    ill = Faults((Fault.UNAVAILABLE,), 1.0)
    urls = [proxy(serve().url, faults) for faults in (ill, Faults((), 0.0))]
    with connected(*urls, breaker_failures=2, breaker_seconds=3600, attempts=8) as teacher:
        for start in range(0, 12, 3):
            for _ in range(2):
                assert_same(teacher.score(rollouts[start : start + 3]), local.score(rollouts[start : start + 3]))
        assert ill.seen[Fault.UNAVAILABLE] <= 4
        ill.probability = 0.0
        teacher.pool.servers[0].breaker._until = 0.0  # the hour is over
        eventually(teacher, local, rollouts, others, lambda: ill.seen.get(Fault.NONE, 0) > 0)


def test_a_server_that_was_away_at_the_start_is_asked_later(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout], others: list[Rollout]
) -> None:
    port = free_port()
    with connected(serve().url, f"http://127.0.0.1:{port}", breaker_seconds=0.2) as teacher:
        assert_same(teacher.score(rollouts), local.score(rollouts))
        late = serve(port=port)
        eventually(teacher, local, rollouts, others, lambda: bool(late.engine.calls))


def eventually(
    teacher: RemoteTeacher,
    local: LocalTeacher,
    known: list[Rollout],
    others: list[Rollout],
    holds: Callable[[], bool],
) -> None:
    """Prompts that a server knows stay with it, hence new ones show who is asked."""
    while any(server.breaker.is_open for server in teacher.pool.servers):  # seen to be well beside the work
        assert_same(teacher.score(known), local.score(known))
        time.sleep(0.05)
    for start in range(0, len(others), 2):
        assert_same(teacher.score(others[start : start + 2]), local.score(others[start : start + 2]))
    assert holds()


def test_a_server_that_became_another_teacher_is_not_believed(serve: Serve, rollouts: list[Rollout]) -> None:
    one, other = serve(), serve(name="other")
    targets = [one.url]
    faults = Faults((), 0.0)
    url = proxy_of(targets, faults)
    with connected(url, attempts=2) as teacher:
        assert isinstance(teacher.score(rollouts[:1])[0], TeacherScores)
        targets[0] = other.url
        (answer,) = teacher.score(rollouts[:1])
        assert isinstance(answer, Failure) and "another teacher than t" in answer.reason


def proxy_of(targets: list[str], faults: Faults) -> str:
    class Target(str):
        def __add__(self, path: str) -> str:
            return targets[0] + path

    return proxy(Target(), faults)


def test_the_breaker_counts_failures_in_a_row() -> None:
    now = [0.0]
    breaker = Breaker(2, 10.0, clock=lambda: now[0])
    breaker.record_failure(), breaker.record_success(), breaker.record_failure()
    assert not breaker.is_open
    breaker.record_failure()
    assert breaker.is_open and breaker.seconds_left == 10.0
    now[0] = 11.0
    assert breaker.is_open and breaker.seconds_left == 0.0
    breaker.record_failure()
    assert breaker.seconds_left == 10.0
    breaker.record_success()
    assert not breaker.is_open


def test_a_deadline_holds_while_a_server_is_busy(serve: Serve, rollouts: list[Rollout]) -> None:
    served = serve(max_queue=1)
    served.engine.gate.clear()
    with connected(served.url, deadline=1.0, parallel=8) as teacher, ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(teacher.score, rollouts[start : start + 3]) for start in range(0, 12, 3)]
        answers = [answer for future in asked for answer in future.result()]
        assert all(isinstance(answer, Failure) and "no reply within" in answer.reason for answer in answers)
        served.engine.gate.set()
    assert httpx.get(f"{served.url}/health").status_code == 200
