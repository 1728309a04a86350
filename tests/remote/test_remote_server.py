"""What the server refuses, and how: nothing that a client sends ends it."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from queue import Queue
from threading import Event, Thread
from typing import Any

import httpx
import pytest
import torch
from serving_parts import SAMPLING, TIMEOUT, Served, assert_same, connected, free_port, plan_for

from uniopd_mm.config.serve import is_loopback
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.serving.server import ServerOptions, listen, run_server
from uniopd_mm.serving.service import Loaded
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.remote import RemoteTeacher
from uniopd_mm.types import Failure, Prompt, Rollout, Settings, TeacherScores, UserError
from uniopd_mm.wire import DEADLINE_HEADER
from uniopd_mm.wire.codec import pack, unpack
from uniopd_mm.wire.info import read_info, server_info
from uniopd_mm.wire.media import Needs, name_of
from uniopd_mm.wire.messages import ScoreRequest, sent_prompt

Serve = Callable[..., Served]


def request(rollout: Rollout, payload: str | None = None, **fields: Any) -> bytes:
    """A score request for one response, with its media unless another payload is named."""
    media = dict(rollout.prompt.media) if payload is None else {}
    payload = name_of(media) if media else payload
    given: dict[str, Any] = {
        "prompt_of": [0],
        "responses": [rollout.response_ids],
        "top_k": 0,
        "temperature": 1.0,
        "payloads": {name_of(media): pack(media)} if media else {},
    }
    return pack(ScoreRequest(prompts=[sent_prompt(rollout.prompt, payload)], **(given | fields)))


def fields_of(rollout: Rollout) -> dict[str, Any]:
    return unpack(request(rollout))


def sent_fields(rollout: Rollout) -> dict[str, Any]:
    return fields_of(rollout)["prompts"][0]


def post(served: Served, content: bytes, path: str = "/score", **headers: str) -> httpx.Response:
    return httpx.post(served.url + path, content=content, headers=headers, timeout=TIMEOUT)


def first_health(url: str) -> httpx.Response:
    """As soon as the server listens."""
    while True:
        try:
            return httpx.get(f"{url}/health")
        except httpx.ConnectError:
            time.sleep(0.01)


def test_malformed_requests_are_answered_with_a_reason(serve: Serve, rollouts: list[Rollout]) -> None:
    served = serve()
    good = rollouts[0]
    bad = {
        "digest": b"no msgpack at all",
        "": b"",
        "record": pack({"prompts": 3}),
        "not sent": request(good, prompt_of=[1]),
        "i64": request(good, responses=[torch.tensor([-1])]),
        "not bytes": request(good, payloads={"name": 3}),
        "does not match its name": request(good, "name", payloads={"name": pack({"pixels": torch.zeros(2)})}),
        "not a tensor": request(good, "name", payloads={name_of({"pixels": [1]}): pack({"pixels": [1]})}),
        "top_k=9": request(good, top_k=9),
        "temperature=0.0 must be above 0": request(good, temperature=0.0),
        "temperature=nan": request(good, temperature=float("nan")),
        "OverflowError": request(good, prompt_of=[float("inf")]),
        "ValueError": request(good, top_k=torch.zeros(2)),
        "token features": pack({**fields_of(good), "prompts": [{**sent_fields(good), "token_features": {"a": 3}}]}),
        "what no medium has": request(good, "name", payloads={"name": pack({"a": {1: 1, "b": 2}})}),
    }
    for reason, content in bad.items():
        answer = post(served, content)
        assert answer.status_code == 400 and "error" in answer.json(), answer.text
        assert reason in answer.text
    assert post(served, bad[""], "/generate").status_code == 400
    for seconds in ("soon", "0", "-1", "nan"):
        assert post(served, request(good), **{DEADLINE_HEADER: seconds}).status_code == 400
    assert post(served, request(good, "x"), **{DEADLINE_HEADER: "1e9"}).status_code == 409
    assert httpx.get(f"{served.url}/score").status_code == 405 and httpx.get(f"{served.url}/nothing").status_code == 404
    assert served.engine.calls == [] and httpx.get(f"{served.url}/health").json() == {"status": "ready"}


def test_unknown_media_are_named(serve: Serve, rollouts: list[Rollout]) -> None:
    answer = post(serve(), request(rollouts[0], "somebody's"))
    assert answer.status_code == 409 and unpack(answer.content) == {"missing": ["somebody's"]}


def test_info_says_who_it_is(serve: Serve) -> None:
    info = read_info(httpx.get(f"{serve(top_k=3).url}/info").content)
    assert (info.name, info.needs, info.top_k, info.settings.binding) == ("t", "media", 3, {"image.mean": "0.5"})
    assert info.num_tokens > 300 and info.vocab_size >= info.num_tokens and "torch" in info.versions


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer other", "other", "Bearer sécret"])
def test_a_token_is_asked_for(serve: Serve, given: str) -> None:
    served = serve(token="secret")
    headers = {"authorization": given.encode()} if given else {}
    for path in ("/info", "/metrics"):
        assert httpx.get(served.url + path, headers=headers).status_code == 401  # type: ignore[arg-type]
    assert httpx.post(f"{served.url}/score", content=b"x", headers=headers).status_code == 401  # type: ignore[arg-type]
    assert httpx.get(f"{served.url}/health").status_code == 200  # for who balances load


def test_a_client_with_the_token_is_answered(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout], monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(token="gehéim")
    with pytest.raises(UserError, match=r"teacher\.urls: .* 401: .*remote\.token_env"):
        connected(served.url).__enter__()
    monkeypatch.setenv("UNIOPD_MM_TOKEN", "gehéim")
    with connected(served.url) as teacher:
        assert_same(teacher.score(rollouts[:3]), local.score(rollouts[:3]))


def test_a_request_above_the_limit_is_refused_alone(serve: Serve, local: LocalTeacher, rollouts: list[Rollout]) -> None:
    served = serve(max_request_mb=1)
    assert post(served, b"x" * (1 << 20) + b"x").status_code == 413
    parts = (b"x" * (1 << 19) for _ in range(3))  # no content-length
    assert httpx.post(f"{served.url}/score", content=parts).status_code == 413
    four = [rollouts[start] for start in range(0, 12, 3)]
    with connected(served.url) as teacher:
        assert_same(teacher.score(four), local.score(four))  # too large together, not one by one
    assert served.metric("uniopd_requests_total", '{endpoint="/score",status="413"}') > 2


def test_a_full_queue_asks_to_come_again(serve: Serve, local: LocalTeacher, rollouts: list[Rollout]) -> None:
    served = serve(max_queue=1)
    served.engine.gate.clear()
    with connected(served.url) as teacher, ThreadPoolExecutor(4) as threads:
        first = threads.submit(teacher.score, rollouts[:3])
        assert served.engine.entered.wait(TIMEOUT)
        others = [threads.submit(teacher.score, rollouts[start : start + 3]) for start in (3, 6, 9)]
        while served.metric("uniopd_queue_length") < 1:
            time.sleep(0.01)
        refused = post(served, request(rollouts[0]))
        assert refused.status_code == 503 and float(refused.headers["retry-after"]) > 0
        served.engine.gate.set()
        for start, future in zip((0, 3, 6, 9), (first, *others), strict=True):
            assert_same(future.result(), local.score(rollouts[start : start + 3]))


def test_work_that_nobody_waits_for_is_not_done(serve: Serve, rollouts: list[Rollout]) -> None:
    served = serve()
    served.engine.gate.clear()
    with connected(served.url) as teacher, ThreadPoolExecutor(4) as threads:
        first = threads.submit(teacher.score, rollouts[:1])
        assert served.engine.entered.wait(TIMEOUT)
        late = threads.submit(post, served, request(rollouts[0]), **{DEADLINE_HEADER: "0.2"})
        assert late.result().status_code == 504
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{served.url}/score", content=request(rollouts[0]), timeout=httpx.Timeout(30, read=0.3))
        while 'status="499"' not in httpx.get(f"{served.url}/metrics").text:  # the server has not noticed yet
            time.sleep(0.01)
        served.engine.gate.set()
        assert isinstance(first.result()[0], TeacherScores)
        assert isinstance(teacher.score(rollouts[1:2])[0], TeacherScores)
    assert served.engine.calls == [1, 1]


def test_an_engine_that_raises_answers_the_others(serve: Serve, local: LocalTeacher, rollouts: list[Rollout]) -> None:
    served = serve()
    served.engine.gate.clear()
    served.engine.poison = 9
    bad = request(rollouts[0], responses=[torch.tensor([9])])
    with connected(served.url) as teacher, ThreadPoolExecutor(4) as threads:
        first = threads.submit(teacher.score, rollouts[:3])
        assert served.engine.entered.wait(TIMEOUT)
        poisoned = threads.submit(post, served, bad)
        good = threads.submit(teacher.score, rollouts[3:6])
        while served.metric("uniopd_queue_length") < 2:
            time.sleep(0.01)
        served.engine.gate.set()
        assert poisoned.result().status_code == 500
        assert poisoned.result().json() == {"error": "RuntimeError: the engine does not like this"}
        assert_same([*first.result(), *good.result()], local.score(rollouts[:6]))
    assert served.engine.calls in ([3, 4, 1, 3], [3, 4, 3, 1])


def test_what_an_engine_refuses_is_not_asked_again(serve: Serve, prompts: list[Prompt]) -> None:
    served = serve()
    served.engine.engine = Refusing()  # type: ignore[assignment]
    with connected(served.url) as teacher:
        groups = teacher.generate(prompts[:2], 1, SAMPLING)
    assert [len(group[0].response_ids) for group in groups] == [0, 0]
    assert served.metric("uniopd_requests_total", '{endpoint="/generate",status="422"}') == 3  # together, then alone


class Refusing:
    def generate(self, *_: object) -> None:
        raise UserError("the prompt is too long")


def test_a_teacher_that_is_still_loaded_says_so() -> None:
    proceed, announced = Event(), Queue[str]()
    port = free_port()

    def load() -> Any:
        assert proceed.wait(TIMEOUT)
        raise UserError("nothing to load")

    outcome: list[Exception] = []

    def run() -> None:
        try:
            run_server(ServerOptions(port=port), load, announced.put)
        except UserError as error:
            outcome.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{port}"
    health = first_health(url)
    assert health.status_code == 503 and health.json() == {"status": "loading"}
    assert httpx.get(f"{url}/info").status_code == httpx.post(f"{url}/score").status_code == 503
    with pytest.raises(UserError, match="the teacher is loading"):
        connected(url, deadline=1.5).__enter__()
    proceed.set()
    thread.join(30)
    assert [str(error) for error in outcome] == ["nothing to load"] and announced.empty()


def test_a_teacher_that_is_being_loaded_is_waited_for(
    local: LocalTeacher, engine: HFRollout, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    proceed, port = Event(), free_port()
    vocabulary = processor.vocabulary
    info = server_info(
        "t", vocabulary, vocab_size=10**4, needs=Needs.MEDIA, top_k=0, settings=Settings(binding={}, informative={})
    )

    def load() -> Loaded:
        assert proceed.wait(TIMEOUT)
        return Loaded(scorer=local, engine=engine, check=processor.check_media, info=info, vocabulary=vocabulary)

    def run() -> None:
        run_server(ServerOptions(port=port), load, lambda line: None)

    Thread(target=run, daemon=True).start()
    assert first_health(f"http://127.0.0.1:{port}").json() == {"status": "loading"}
    with ThreadPoolExecutor(1) as threads:
        early = threads.submit(RemoteTeacher.connect, plan_for(f"http://127.0.0.1:{port}"), "teacher")
        time.sleep(0.5)
        assert not early.done()
        proceed.set()
        teacher = early.result(TIMEOUT)
    assert_same(teacher.score(rollouts[:3]), local.score(rollouts[:3]))
    teacher.close()


def test_an_address_that_cannot_be_had_is_one_line() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(UserError, match=rf"^server\.port={port}: Address already in use at 127\.0\.0\.1; use"):
            listen("127.0.0.1", port)
    with pytest.raises(UserError, match=r"^server\.host=no\.such\.host\.invalid: .*use an address"):
        listen("no.such.host.invalid", 0)
    assert [is_loopback(host) for host in ("127.8.9.1", "::1", "localhost", "0.0.0.0", "10.0.0.5", "::")] == [
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_failures_of_the_teacher_are_passed_on(serve: Serve, rollouts: list[Rollout]) -> None:
    served = serve()
    served.engine.inner = OutOfMemory()
    with connected(served.url) as teacher:
        (answer,) = teacher.score(rollouts[:1])
    assert answer == Failure(teacher="t", reason="out of memory on 1 sequences")
    assert served.metric("uniopd_failures_total") == 1


class OutOfMemory:
    name, overlaps = "t", False

    def score(self, rollouts: list[Rollout], temperature: float = 1.0) -> list[Failure]:
        return [Failure(teacher="t", reason=f"out of memory on {len(rollouts)} sequences")] * len(rollouts)
