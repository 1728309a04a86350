"""`python -m uniopd_mm.serve` as a process: it starts with one line, ends in order, and may die in the middle."""

import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from serving_parts import (
    SAMPLING,
    ServerProcess,
    assert_same,
    connected,
    free_port,
    metric,
    start_process,
)

from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import Prompt, Rollout, Sampling

HITS = "uniopd_media_cache_hits_total"


@pytest.fixture
def arguments(checkpoint: str) -> list[str]:
    return ["teacher=tiny_expert", f"teacher.path={checkpoint}", "teacher.name=t", "threads=1"]


def start(folder: Path, arguments: list[str], port: int = 0) -> ServerProcess:
    return start_process(folder, *arguments, f"server.port={port}")


def test_it_ends_in_order_with_what_was_asked(
    tmp_path: Path, arguments: list[str], local: LocalTeacher, rollouts: list[Rollout], prompts: list[Prompt]
) -> None:
    server = start(tmp_path, arguments)
    url = server.url()
    assert server.text.splitlines()[-1] == f"serving t at {url}" and url.startswith("http://127.0.0.1:")
    busy = start(tmp_path, arguments, int(url.rpartition(":")[2]))
    assert busy.end() == 2
    assert busy.text.startswith("error: server.port=") and busy.text.count("\n") == 1
    long = Sampling(temperature=1.0, max_new_tokens=400, seed=1, policy_step=1)
    with connected(url, attempts=1, deadline=300) as teacher, ThreadPoolExecutor(2) as threads:
        assert_same(teacher.score(rollouts), local.score(rollouts))
        received = metric(url, HITS)  # of media that were sent with those scores
        written = threads.submit(teacher.generate, prompts[:3], 8, long)
        while metric(url, HITS) < received + 3:
            time.sleep(0.01)
        scored = threads.submit(teacher.score, rollouts)
        while metric(url, HITS) < received + 3 + 4 or not metric(url, "uniopd_queue_length"):
            time.sleep(0.01)
        server.signal(signal.SIGTERM)
        while httpx.get(f"{url}/health").json() != {"status": "draining"}:
            time.sleep(0.01)
        refused = httpx.post(f"{url}/score", content=b"x")
        assert refused.status_code == 503 and "shutting down" in refused.text
        groups = written.result()
        assert all(len(rollout.response_ids) for group in groups for rollout in group)
        assert_same(scored.result(), local.score(rollouts))
    assert server.end() == 0
    assert server.text.splitlines()[1:] == []


def test_a_server_killed_in_the_middle_is_waited_for(
    tmp_path: Path, arguments: list[str], local: LocalTeacher, rollouts: list[Rollout], prompts: list[Prompt]
) -> None:
    port = free_port()
    server = start(tmp_path, arguments, port)
    expected = local.score(rollouts)
    with connected(server.url(), attempts=40, breaker_seconds=0.5, deadline=300) as teacher:
        with ThreadPoolExecutor(4) as threads:
            assert_same(teacher.score(rollouts), expected)
            long = Sampling(temperature=1.0, max_new_tokens=400, seed=1, policy_step=1)
            written = threads.submit(teacher.generate, prompts[:8], 8, long)
            time.sleep(0.3)
            asked = [threads.submit(teacher.score, rollouts) for _ in range(3)]
            server.kill()
            again = start(tmp_path, arguments, port)
            for future in asked:
                assert_same(future.result(), expected)
            assert all(len(rollout.response_ids) for group in written.result() for rollout in group)
        assert_same(teacher.score(rollouts), expected)
        assert teacher.generate(prompts[:1], 1, SAMPLING)[0][0].response_ids.numel() > 0
    again.signal(signal.SIGTERM)
    assert again.end() == 0
