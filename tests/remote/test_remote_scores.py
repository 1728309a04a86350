"""A teacher over loopback says what the same teacher says in process, whoever else asks, and is sent media once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from serving_parts import SAMPLING, TIMEOUT, Served, assert_same, connected

from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import Failure, Prompt, Rollout, TeacherScores, UserError
from uniopd_mm.wire import SCORE
from uniopd_mm.wire.media import Needs, payload_of

Serve = Callable[..., Served]


def media_bytes(prompts: list[Prompt]) -> int:
    return sum(len(payload.packed()) for prompt in prompts if (payload := payload_of(prompt, Needs.MEDIA)))


def own_prompts(rollouts: list[Rollout]) -> list[Prompt]:
    return list({id(rollout.prompt): rollout.prompt for rollout in rollouts}.values())


def test_scores_are_those_of_the_same_teacher_in_process(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout]
) -> None:
    with connected(serve(top_k=3).url, top_k=2) as teacher:
        answers = teacher.score(rollouts)
        assert teacher.name == "t" and teacher.overlaps and teacher.score([]) == []
    expected = local.score(rollouts)
    assert_same(answers, expected)
    for mine, theirs in zip(answers, expected, strict=True):
        assert isinstance(mine, TeacherScores) and isinstance(theirs, TeacherScores)
        for name in ("entropy", "top_ids"):
            assert torch.equal(getattr(mine, name), getattr(theirs, name))
        for name in ("topk_ids", "topk_logprobs"):
            assert torch.equal(getattr(mine, name), getattr(theirs, name)[:, :2])


def test_each_client_is_scored_at_its_own_temperature(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout]
) -> None:
    """Requests of two temperatures wait together, and are two calls of the engine."""
    served = serve()
    served.engine.gate.clear()
    with connected(served.url) as one, connected(served.url) as other, ThreadPoolExecutor(12) as threads:
        first = threads.submit(one.score, rollouts[:1])
        assert served.engine.entered.wait(TIMEOUT)
        later = [threads.submit(client.score, rollouts[:3], t) for client in (one, other) for t in (0.6, 1.0)]
        while served.metric("uniopd_queue_length") < len(later):
            time.sleep(0.01)
        served.engine.gate.set()
        answers = [future.result() for future in later]
        assert_same(first.result(), local.score(rollouts[:1]))
    assert served.engine.calls == [1, 6, 6]
    cold, plain = local.score(rollouts[:3], 0.6), local.score(rollouts[:3])
    for answer, expected in zip(answers, (cold, plain, cold, plain), strict=True):
        assert_same(answer, expected)
    assert (cold[0].logprobs - plain[0].logprobs).abs().max() > 1e-2  # type: ignore[union-attr]


@pytest.mark.parametrize("length", [0, 1, 2])
def test_the_shortest_responses_are_scored_too(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout], length: int
) -> None:
    short = [replace(one, response_ids=one.response_ids[:length]) for one in rollouts[:2]]
    short += rollouts[2:3]
    with connected(serve(top_k=3).url, top_k=1) as teacher:
        assert_same(teacher.score(short), local.score(short))


def test_without_likeliest_tokens_none_are_sent(serve: Serve, rollouts: list[Rollout]) -> None:
    with connected(serve(top_k=3).url) as teacher:
        (answer,) = teacher.score(rollouts[:1])
    assert isinstance(answer, TeacherScores) and answer.topk_ids is None and answer.topk_logprobs is None


def test_media_cross_once_for_each_prompt(serve: Serve, local: LocalTeacher, rollouts: list[Rollout]) -> None:
    served = serve()
    with connected(served.url) as teacher:
        for _ in range(3):
            assert_same(teacher.score(rollouts), local.score(rollouts))
        teacher.generate(own_prompts(rollouts), 1, SAMPLING)
    assert served.metric("uniopd_media_bytes_total") == media_bytes(own_prompts(rollouts))
    assert served.metric("uniopd_media_cache_hits_total") == 3 * len(own_prompts(rollouts))


def test_a_server_without_room_for_media_is_sent_them_again(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout]
) -> None:
    served = serve(media_cache_mb=0)
    with connected(served.url) as teacher:
        for _ in range(2):
            assert_same(teacher.score(rollouts), local.score(rollouts))
    assert served.metric("uniopd_media_bytes_total") == 2 * media_bytes(own_prompts(rollouts))
    assert served.metric("uniopd_media_cache_misses_total") == len(own_prompts(rollouts))


@pytest.mark.parametrize("temperature", [1.0, 0.7, 0.0])
def test_responses_are_those_of_the_same_engine_token_by_token(
    serve: Serve, engine: HFRollout, prompts: list[Prompt], temperature: float
) -> None:
    sampling = replace(SAMPLING, temperature=temperature)
    told: list[list[Rollout]] = []
    prompts = [replace(prompt, place=5 - place) for place, prompt in enumerate([*prompts, prompts[0]])]
    with connected(serve().url) as teacher:
        groups = teacher.generate(prompts, 2, sampling, lambda group: told.append(list(group)))
    expected = engine.generate(prompts, 2, sampling)
    assert sorted(group[0].group_id for group in told) == list(range(len(prompts)))
    for place, (mine, theirs) in enumerate(zip(groups, expected, strict=True)):
        for one, other in zip(mine, theirs, strict=True):
            assert torch.equal(one.response_ids, other.response_ids) and one.finish_reason == other.finish_reason
            torch.testing.assert_close(one.logprobs, other.logprobs, atol=1e-5, rtol=0)
            assert one.prompt is prompts[place] and one.group_id == place and one.policy_step == sampling.policy_step


def test_several_clients_are_answered_by_one_call(serve: Serve, local: LocalTeacher, rollouts: list[Rollout]) -> None:
    served = serve()
    served.engine.gate.clear()
    groups = [rollouts[start : start + 3] for start in range(0, 12, 3)]
    with connected(served.url) as one, connected(served.url) as other, ThreadPoolExecutor(12) as threads:
        first = threads.submit(one.score, rollouts[:1])
        assert served.engine.entered.wait(TIMEOUT)
        later = [threads.submit(client.score, group) for client in (other, one) for group in groups[:3]]
        while served.metric("uniopd_queue_length") < len(later):
            time.sleep(0.01)
        served.engine.gate.set()
        answers = [future.result() for future in later]
        assert_same(first.result(), local.score(rollouts[:1]))
    assert served.engine.calls == [1, 18]
    for group, answer in zip(groups[:3] * 2, answers, strict=True):
        assert_same(answer, local.score(group))


def test_one_call_of_the_engine_is_bounded(serve: Serve, rollouts: list[Rollout]) -> None:
    tokens = max(sum(one.num_tokens for one in rollouts[start : start + 3]) for start in range(0, 12, 3))
    served = serve(batch_tokens=2 * tokens)
    served.engine.gate.clear()
    with connected(served.url, parallel=8) as teacher, ThreadPoolExecutor(12) as threads:
        first = threads.submit(teacher.score, rollouts[:3])
        assert served.engine.entered.wait(TIMEOUT)
        later = [threads.submit(teacher.score, rollouts[start : start + 3]) for start in range(0, 12, 3)]
        while served.metric("uniopd_queue_length") < len(later):
            time.sleep(0.01)
        served.engine.gate.set()
        assert all(isinstance(answer, TeacherScores) for one in (first, *later) for answer in one.result())
    assert served.engine.calls[0] == 3 and sum(served.engine.calls[1:]) == 12 and max(served.engine.calls) <= 9


def test_prompts_of_one_group_go_to_one_server_and_load_is_shared(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout]
) -> None:
    servers = [serve(), serve()]
    with connected(*(served.url for served in servers)) as teacher:
        for _ in range(3):
            assert_same(teacher.score(rollouts), local.score(rollouts))
    sent = [served.metric("uniopd_media_bytes_total") for served in servers]
    assert sum(sent) == media_bytes(own_prompts(rollouts)) and all(sent)
    scored = [served.metric("uniopd_rollouts_total", f'{{endpoint="{SCORE}"}}') for served in servers]
    assert sum(scored) == 36 and all(count % 3 == 0 for count in scored)


def test_one_bad_response_costs_nobody_else_their_scores(
    serve: Serve, local: LocalTeacher, rollouts: list[Rollout]
) -> None:
    unknown = replace(rollouts[1], response_ids=torch.full((2,), 10**5))
    served = serve()
    served.engine.poison = 7
    poisoned = replace(rollouts[4], response_ids=torch.tensor([7, 8]), prompt=replace(rollouts[4].prompt))
    prompt = replace(rollouts[7].prompt, token_ids=torch.full((4,), 10**5), token_features={})
    malformed = replace(rollouts[7], prompt=prompt)
    # If a bad request counted against the server, the good ones would miss the deadline.
    with connected(served.url, attempts=3, breaker_failures=1, breaker_seconds=3600, deadline=60) as teacher:
        answers = teacher.score([rollouts[0], unknown, poisoned, malformed, rollouts[11]])
    reasons = [answer.reason for answer in answers if isinstance(answer, Failure)]
    assert [isinstance(answer, Failure) for answer in answers] == [False, True, True, True, False]
    assert "beyond the teacher's" in reasons[0] and "does not like this" in reasons[1] and "400" in reasons[2]
    assert_same([answers[0], answers[4]], local.score([rollouts[0], rollouts[11]]))


def test_other_teachers_are_refused_at_the_start(
    serve: Serve, processor: QwenVLProcessor, rollouts: list[Rollout]
) -> None:
    known = processor.vocabulary
    more = replace(known, tokens={**known.tokens, "<new>": 10**4})
    url, named, larger = serve().url, serve(name="u").url, serve(vocabulary=more).url
    with pytest.raises(UserError, match=rf"teacher\.urls: {url} and {named} are not the same teacher: name t and u"):
        connected(url, named).__enter__()
    with pytest.raises(UserError, match="not the same teacher: vocabulary"):
        connected(url, larger).__enter__()
    with pytest.raises(UserError, match=r"returns the 0 likeliest tokens, the recipe needs 5.* server\.top_k=5"):
        connected(url, top_k=5).__enter__()
    with connected(larger, vocabulary=known) as teacher:  # tokens of its own do no harm
        assert isinstance(teacher.score(rollouts[:1])[0], TeacherScores)
    with pytest.raises(UserError, match="1 tokens differ from the student's vocabulary, first '<new>'"):
        connected(url, vocabulary=more).__enter__()
    with pytest.raises(UserError, match=r"no server can be reached: http://127.0.0.1:1: ConnectError.*start python -m"):
        connected("http://127.0.0.1:1").__enter__()
