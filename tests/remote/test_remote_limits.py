"""What one client may cost a server: media, samples, time and memory, each within a limit that the refusal names."""

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from serving_parts import SAMPLING, TIMEOUT, Served, assert_same, connected

from uniopd_mm.serving.store import MediaStore, num_bytes
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import FinishReason, Prompt, Rollout
from uniopd_mm.wire.codec import pack
from uniopd_mm.wire.media import Needs, name_of
from uniopd_mm.wire.messages import GenerateRequest, ScoreRequest, sent_prompt

Serve = Callable[..., Served]


def score_with(rollout: Rollout, media: dict[str, Any]) -> bytes:
    """A score request of this rollout with other media."""
    name = name_of(media)
    return pack(
        ScoreRequest(
            prompts=[sent_prompt(rollout.prompt, name)],
            prompt_of=[0],
            responses=[rollout.response_ids],
            top_k=0,
            temperature=1.0,
            payloads={name: pack(media)},
        )
    )


def test_grids_that_do_not_fit_their_pixels_never_reach_the_engine(serve: Serve, rollouts: list[Rollout]) -> None:
    served = serve()
    rollout = next(one for one in rollouts if any(key.endswith("grid_thw") for key in one.prompt.media))
    media = dict(rollout.prompt.media)
    grids = next(key for key in media if key.endswith("grid_thw"))
    pixels = next(key for key in media if key.startswith("pixel_values"))
    claimed = {
        "patches": {**media, grids: torch.tensor([[1, 4096, 4096]])},
        "overflow": {**media, grids: torch.tensor([[1 << 31, 1 << 31, 4]])},
        "negative": {**media, grids: -media[grids]},
        "form": {**media, grids: media[grids].float()},
        "width": {**media, pixels: media[pixels][:, :-1]},
        "placeholders": {**media, grids: media[grids].repeat(2, 1), pixels: media[pixels].repeat(2, 1)},
        "half": {pixels: media[pixels]},
        "none": {"labels": torch.zeros(1)},
    }
    for case, sent in claimed.items():
        answer = httpx.post(f"{served.url}/score", content=score_with(rollout, sent), timeout=TIMEOUT)
        assert answer.status_code == 400 and "media that do not fit" in answer.text, (case, answer.text)
    assert served.engine.calls == []
    assert httpx.post(f"{served.url}/score", content=score_with(rollout, media), timeout=TIMEOUT).status_code == 200


@pytest.mark.parametrize("limit", ["max_samples", "max_new_tokens"])
def test_a_request_for_more_than_a_limit_names_it(serve: Serve, prompts: list[Prompt], limit: str) -> None:
    served = serve(**{limit: 5})
    prompt = replace(prompts[0], media={})
    request = GenerateRequest(prompts=[sent_prompt(prompt, None)], num_samples=6, sampling=SAMPLING, payloads={})
    answer = httpx.post(f"{served.url}/generate", content=pack(request), timeout=TIMEOUT)
    assert answer.status_code == 400 and f"server.{limit}=6" in answer.json()["error"]
    with connected(served.url) as teacher:
        (group,) = teacher.generate(prompts[:1], 6, SAMPLING)
    assert [rollout.finish_reason for rollout in group] == [FinishReason.ABORT] * 6
    assert served.engine.calls == []


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("sent", [b"", b"POST /score HT"])
def test_a_head_that_never_ends_ends_the_connection(serve: Serve, sent: bytes, answered: bool) -> None:
    served = serve(receive_seconds=0.3)
    started = time.monotonic()
    with connection(served) as client:
        if answered:  # an earlier request of the same connection
            client.sendall(b"GET /health HTTP/1.1\r\nhost: h\r\n\r\n")
            client.recv(4096)
        client.sendall(sent or (b"G" if answered else b""))
        while client.recv(4096):
            pass
    assert 0.2 < time.monotonic() - started < 10
    assert httpx.get(f"{served.url}/health").status_code == 200


def test_a_body_that_drips_is_refused_and_one_that_flows_is_not(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout]
) -> None:
    served = serve(receive_seconds=0.3)
    head = b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n"
    with connection(served) as client:
        client.sendall(head)
        client.settimeout(0.05)
        reply = b""
        while not reply.startswith(b"HTTP/1.1 408"):
            client.sendall(b"x")
            try:
                reply += client.recv(4096)
            except TimeoutError:
                continue
    with connected(served.url) as teacher:
        assert_same(teacher.score(rollouts[:3]), local.score(rollouts[:3]))


def connection(served: Served) -> socket.socket:
    host, _, port = served.url.removeprefix("http://").rpartition(":")
    return socket.create_connection((host, int(port)), timeout=TIMEOUT)


def test_the_media_cache_counts_what_it_holds() -> None:
    many = {"image": [np.zeros((1, 1, 3), np.uint8)] * 1000}
    content = pack(many)
    store = MediaStore(len(content) + 1, Needs.ENGINE_MEDIA)
    store.add(name_of(many), content)
    assert store.get(name_of(many)) is None  # a thousand small arrays take far more than their bytes
    assert num_bytes({"a": torch.zeros(1000)}) > 4000 and num_bytes({"a": [np.zeros(1000)] * 2}) > 16000


def test_the_cache_keeps_the_newest_within_its_limit() -> None:
    media = [{"pixels": torch.full((1000,), float(number))} for number in range(4)]
    store = MediaStore(3 * num_bytes(media[0]), Needs.MEDIA)
    for one in media:
        store.add(name_of(one), pack(one))
    assert [store.get(name_of(one)) is not None for one in media] == [False, True, True, True]
