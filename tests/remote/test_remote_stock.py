"""A stock vLLM server as a teacher: the same log-probs, pictures sent once, nothing believed that is of others."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from faulty_parts import Fault, Faults, proxy
from PIL import Image
from serving_parts import SAMPLING, assert_same, connected, free_port

pytest.importorskip("vllm")

from uniopd_mm.config.parts import Api
from uniopd_mm.data.collate import collate_rollouts
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import Failure, Media, Message, Prompt, Rollout, TeacherScores, UserError

FPS = 4.0  # of the synthetic clips
STOCK: dict[str, Any] = {"api": Api.VLLM, "fps": FPS, "attempts": 3}
OPTIONS = "--enable-scale-out --no-mm-device-do-normalize --logprobs-mode processed_logprobs --generation-config vllm"
SMALL = "--dtype float32 --max-model-len 1024 --enforce-eager --kv-cache-memory-bytes 67108864 --max-num-seqs 16"
CPU = "--no-enable-chunked-prefill --max-num-batched-tokens 4096"
ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def stock(checkpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server's address."""
    folder, port = tmp_path_factory.mktemp("stock"), free_port()
    rate = f'{{"video": {{"fps": {FPS}, "num_frames": -1}}}}'
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", checkpoint]
    command += ["--served-model-name", "tiny", "--host", "127.0.0.1", "--port", str(port), "--media-io-kwargs", rate]
    command += f"{OPTIONS} {SMALL} {CPU}".split()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield _ready(f"http://127.0.0.1:{port}", process, folder / "log")
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _ready(url: str, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/health").status_code == 200:
                return url
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError(f"no server: {log.read_text()[-2000:]}")


@pytest.fixture(scope="module")
def pictures(processor: QwenVLProcessor, engine: HFRollout, prompts: list[Prompt]) -> list[Rollout]:
    """Answers to a question about two pictures, and to one without any."""
    images = [np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8) for seed in (1, 2)]
    media = [Media(kind="image", source=Image.fromarray(image)) for image in images]
    contents: list[tuple[str | Media, ...]] = [(media[0], "and", media[1], "how many?"), ("How many?",)]
    samples = [
        replace(prompts[0].sample, sample_id=f"p{place}", messages=(Message(role="user", content=content),))
        for place, content in enumerate(contents)
    ]
    groups = engine.generate([processor.encode(sample) for sample in samples], 2, SAMPLING)
    return [rollout for group in groups for rollout in group]


def test_scores_are_those_of_the_local_teacher(
    stock: str, local: LocalTeacher, rollouts: list[Rollout], pictures: list[Rollout]
) -> None:
    with connected(stock, top_k=3, **STOCK) as teacher:
        answers = teacher.score([*rollouts, *pictures])
    expected = local.score([*rollouts, *pictures])
    assert_same(answers, expected)
    for mine, theirs in zip(answers, expected, strict=True):
        assert isinstance(mine, TeacherScores) and isinstance(theirs, TeacherScores)
        assert mine.topk_ids is not None and torch.equal(mine.topk_ids, theirs.topk_ids)
        torch.testing.assert_close(mine.topk_logprobs, theirs.topk_logprobs, atol=1e-5, rtol=0)
        assert torch.equal(mine.top_ids, theirs.top_ids)


def test_another_temperature_than_one_is_refused(stock: str, rollouts: list[Rollout]) -> None:
    """Its log-probs of prompts are at temperature 1, whatever the request says."""
    with connected(stock, **STOCK) as teacher:
        (answer,) = teacher.score(rollouts[:1], 0.6)
    assert isinstance(answer, Failure) and "scores at temperature 1, not 0.6" in answer.reason


def test_media_are_sent_once_and_again_where_they_got_lost(
    stock: str, local: LocalTeacher, rollouts: list[Rollout], prompts: list[Prompt]
) -> None:
    posted = Faults((), 0.0)
    fresh = [replace(rollouts[0], prompt=prompts[9], response_ids=rollouts[place].response_ids) for place in range(3)]
    with connected(proxy(stock, posted), **STOCK) as teacher:
        (server,) = teacher.pool.servers
        server.remember(teacher.api.score(fresh[:1]).media)  # as if it had been restarted since
        assert_same(teacher.score(fresh), local.score(fresh))
    first, again, *others = posted.sizes
    assert again > 5 * first and max(others) < 1.5 * first and len(others) == 2


@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.0])
def test_responses_have_the_log_probs_of_the_policy(
    stock: str, model: Backbone, processor: QwenVLProcessor, prompts: list[Prompt], temperature: float
) -> None:
    sampling = replace(SAMPLING, temperature=temperature)
    with connected(stock, vocabulary=processor.vocabulary, **STOCK) as teacher:
        groups = teacher.generate(prompts[:3], 2, sampling)
        again = teacher.generate(prompts[1:2], 2, sampling)
    assert [[rollout.group_id for rollout in group] for group in groups] == [[0, 0], [1, 1], [2, 2]]
    assert all(torch.equal(a.response_ids, b.response_ids) for a, b in zip(groups[1], again[0], strict=True))
    written = [rollout for group in groups for rollout in group]
    policy = Backbone(model.model, banned_ids=processor.vocabulary.banned_ids)
    with torch.no_grad():
        logprobs = policy(collate_rollouts(written, processor.vocabulary.pad_id), temperature=temperature or 1.0)[0]
    torch.testing.assert_close(logprobs, torch.cat([one.logprobs for one in written]), atol=1e-5, rtol=0)
    banned = torch.tensor(processor.vocabulary.banned_ids)
    assert not any(torch.isin(one.response_ids, banned).any() for one in written)


def test_what_the_server_reads_otherwise_is_never_scored(stock: str, rollouts: list[Rollout]) -> None:
    good = rollouts[0]
    frames, metadata = good.prompt.engine_media["video"][0]
    slower = {"video": [(frames, {**metadata, "fps": 2.0})]}
    bad = {
        "to other token ids": replace(good, prompt=replace(good.prompt, engine_token_ids=good.prompt.token_ids)),
        "tokens, expected": replace(good, prompt=replace(good.prompt, engine_media={})),
        "apart (remote.fps=4)": replace(good, prompt=replace(good.prompt, engine_media=slower)),
        "out of vocabulary": replace(good, response_ids=torch.tensor([10**6])),
        "400": replace(good, response_ids=good.response_ids.repeat(300)),
    }
    with connected(stock, **STOCK) as teacher:
        for reason, rollout in bad.items():
            (answer,) = teacher.score([rollout])
            assert isinstance(answer, Failure) and reason in answer.reason, answer
        assert isinstance(teacher.score([good])[0], TeacherScores)  # and it is none the worse for it


def test_a_model_that_it_does_not_have_is_said_at_the_start(stock: str) -> None:
    with pytest.raises(UserError, match=r"teacher\.urls: .* no model huge; it has tiny \(remote\.model\)"):
        connected(stock, model="huge", **STOCK).__enter__()


def test_faults_on_the_way_are_survived(stock: str, local: LocalTeacher, rollouts: list[Rollout]) -> None:
    kinds = (Fault.DROP, Fault.DROP_LATE, Fault.UNAVAILABLE, Fault.TRUNCATE)
    with connected(proxy(stock, Faults(kinds, 0.3, seed=4)), **{**STOCK, "attempts": 12}) as teacher:
        assert_same(teacher.score(rollouts), local.score(rollouts))
