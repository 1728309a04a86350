"""A judge that fails, dawdles or says nothing clear, and settings that cannot be; against a real HTTP server."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from judge_parts import WRONG, Endpoint, asked, serving

from uniopd_mm.tasks.grading.answers import unknown, wrong
from uniopd_mm.tasks.grading.judge import Judge
from uniopd_mm.types import Outcome, UserError

LONG = 60.0  # seconds for which nobody should wait


@pytest.fixture
def endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setenv("UNIOPD_MM_CACHE", str(tmp_path))
    monkeypatch.setenv("no_proxy", "*")
    with serving() as told:
        yield told


def check_unknown(outcome: Outcome, words: str) -> None:
    assert outcome.correct is None
    assert outcome.reward == 0
    assert outcome.reason.startswith("judge:")
    assert words in outcome.reason


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
def test_status_of_failure_is_unknown(endpoint: Endpoint, status: int) -> None:
    endpoint.status = status
    check_unknown(asked(Judge(base_url=endpoint.url, model="m")), str(status))


@pytest.mark.parametrize(
    "reply", ["", "  ", "maybe", "CORRECT or INCORRECT", "not correct", "CORRECT\nbecause", None, 5, []]
)
def test_unclear_reply_is_unknown(endpoint: Endpoint, reply: object) -> None:
    endpoint.says(reply)
    check_unknown(asked(Judge(base_url=endpoint.url, model="m")), "neither")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        b"\xff\xfe",
        b"CORRECT",
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b"null",
        b"[" * 100_000,
    ],
)
def test_garbage_is_unknown(endpoint: Endpoint, body: bytes) -> None:
    endpoint.body = body
    check_unknown(asked(Judge(base_url=endpoint.url, model="m")), "unreadable")


def test_late_answer_is_unknown(endpoint: Endpoint) -> None:
    endpoint.wait = LONG
    check_unknown(asked(Judge(base_url=endpoint.url, model="m", timeout=0.3)), "0.3 s")


def test_trickling_answer_is_unknown(endpoint: Endpoint) -> None:
    endpoint.pieces = 30
    check_unknown(asked(Judge(base_url=endpoint.url, model="m", timeout=0.5)), "0.5 s")


def test_endless_answer_is_unknown(endpoint: Endpoint) -> None:
    endpoint.says("x" * 3_000_000 + "\nCORRECT")
    check_unknown(asked(Judge(base_url=endpoint.url, model="m")), "too long")


def test_nobody_there_is_unknown(endpoint: Endpoint) -> None:
    check_unknown(asked(Judge(base_url="http://127.0.0.1:9/v1", model="m", timeout=5)), "cannot be reached")


def test_redirect_is_not_followed(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key must not go where a server points to."""
    monkeypatch.setenv("JUDGE_KEY", "secret-7")
    endpoint.status, endpoint.location = 302, endpoint.url + "/elsewhere"
    outcome = asked(Judge(base_url=endpoint.url, model="m", api_key_env="JUDGE_KEY"))
    check_unknown(outcome, "302")
    assert len(endpoint.paths) == 1


@pytest.mark.parametrize("key", ["secret\n7", "geheim-ü-€"])
def test_key_that_no_header_can_hold_is_unknown_and_stays_secret(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    monkeypatch.setenv("JUDGE_KEY", key)
    outcome = asked(Judge(base_url=endpoint.url, model="m", api_key_env="JUDGE_KEY"))
    check_unknown(outcome, "cannot be reached")
    assert "secret" not in outcome.reason
    assert "geheim" not in outcome.reason


def test_cache_that_breaks_later_costs_calls_only(endpoint: Endpoint, tmp_path: Path) -> None:
    judge = Judge(base_url=endpoint.url, model="m")
    (tmp_path / "judge" / "verdicts.sqlite").write_bytes(b"no database" * 1000)
    assert asked(judge).correct is True
    assert asked(judge).correct is True
    assert len(endpoint.requests) == 2


def failing(endpoint: Endpoint, fault: str) -> Judge:
    """A judge whose endpoint is late, out of order or not there."""
    endpoint.status, endpoint.wait = (503, 0.0) if fault == "status" else (200, LONG)
    url = "http://127.0.0.1:9/v1" if fault == "refused" else endpoint.url
    return Judge(base_url=url, model="m", timeout=0.5 if fault == "late" else 5)


@pytest.mark.parametrize("fault", ["late", "status", "refused"])
def test_after_three_faults_in_a_row_the_rules_stand(endpoint: Endpoint, fault: str) -> None:
    judge = failing(endpoint, fault)
    for number in range(3):
        check_unknown(asked(judge, rf"\boxed{{{number}}}"), "judge:")
    endpoint.status, endpoint.wait = 200, 0.0
    num_asked = len(endpoint.requests)
    assert num_asked == (0 if fault == "refused" else 3)
    words = "(judge not asked: it failed 3 times in a row)"
    assert asked(judge) == wrong(f"{WRONG.reason} {words}")
    assert asked(judge, outcome=unknown("odd reference")) == unknown(f"odd reference {words}")
    assert len(endpoint.requests) == num_asked


def test_an_answer_of_any_kind_starts_the_count_again(endpoint: Endpoint) -> None:
    judge = Judge(base_url=endpoint.url, model="m")
    replies = [(500, "CORRECT"), (500, "CORRECT"), (200, "INCORRECT"), (500, ""), (502, ""), (200, "perhaps")]
    for number, (status, text) in enumerate([*replies, (500, ""), (500, ""), (404, ""), (500, ""), (500, "")]):
        endpoint.status = status
        endpoint.says(text)
        asked(judge, rf"\boxed{{{number}}}")
    endpoint.status = 200
    endpoint.says("CORRECT")
    assert asked(judge, r"\boxed{a}").correct is True
    assert len(endpoint.requests) == 12


def test_a_verdict_that_is_kept_holds_while_the_judge_is_down(endpoint: Endpoint) -> None:
    judge = Judge(base_url=endpoint.url, model="m")
    known = asked(judge, r"\boxed{known}")
    endpoint.status = 500
    for number in range(4):
        asked(judge, rf"\boxed{{{number}}}")
    assert asked(judge, r"\boxed{known}") == known
    assert known.correct is True


def test_threads_stop_together(endpoint: Endpoint) -> None:
    """Of eight at a time, those that were under way with the third fault end as they will."""
    judge = failing(endpoint, "status")
    endpoint.wait = 0.02
    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(lambda number: asked(judge, rf"\boxed{{{number}}}"), range(60)))
    assert 3 <= len(endpoint.requests) <= 3 + 7
    assert sum(outcome.correct is None for outcome in outcomes) == len(endpoint.requests)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"base_url": "localhost:8000"}, "judge.base_url=localhost:8000"),
        ({"base_url": "file:///etc"}, "judge.base_url"),
        ({"model": ""}, "judge.model"),
        ({"timeout": 0}, "judge.timeout=0"),
        ({"timeout": float("nan")}, "judge.timeout"),
        ({"max_calls": -1}, "judge.max_calls=-1"),
        ({"api_key_env": "NO_SUCH_KEY"}, "judge.api_key_env=NO_SUCH_KEY"),
    ],
)
def test_settings_that_cannot_be(endpoint: Endpoint, settings: dict, named: str) -> None:
    with pytest.raises(UserError, match=named):
        Judge(**({"base_url": endpoint.url, "model": "m"} | settings))


def test_cache_that_is_none(endpoint: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "judge").mkdir()
    (tmp_path / "judge" / "verdicts.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(UserError, match=r"verdicts\.sqlite"):
        Judge(base_url=endpoint.url, model="m")
