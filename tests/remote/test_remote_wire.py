"""What crosses the network comes back as it was, and what was altered on its way is never read."""

import io
import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from uniopd_mm.types import FinishReason, Prompt, Sampling
from uniopd_mm.wire import messages
from uniopd_mm.wire.codec import DTYPES, Malformed, pack, unpack
from uniopd_mm.wire.media import Needs, name_of, payload_of, read_payload
from uniopd_mm.wire.png import png

SHAPES = st.lists(st.integers(0, 4), max_size=4)


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """Of any dtype and shape, any bits."""
    dtype, shape = draw(st.sampled_from(list(DTYPES.values()))), draw(SHAPES)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = torch.tensor(list(draw(st.binary(min_size=size, max_size=size))), dtype=torch.uint8)
    return (raw % 2).bool().reshape(shape) if dtype is torch.bool else raw.view(dtype).reshape(shape)


PLAIN = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=9)


def nested(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )


JSON, VALUES = nested(PLAIN), nested(PLAIN | st.binary(max_size=9))


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    flat = [tensor.clone(memory_format=torch.contiguous_format).reshape(-1) for tensor in (one, other)]
    bits = [tensor.as_strided(tensor.shape, (1,)).view(torch.uint8) for tensor in flat]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*bits)


@given(tensors())
@settings(deadline=None)
def test_a_tensor_comes_back_bit_by_bit(tensor: torch.Tensor) -> None:
    back = unpack(pack({"t": tensor}))["t"]
    assert same_bits(back, tensor)
    if tensor.dim() > 1:
        parts = (tensor.transpose(0, 1), tensor[:1], tensor[..., :1], tensor[:, -1:], tensor.transpose(0, 1)[:1])
        assert all(same_bits(unpack(pack(part)), part.clone(memory_format=torch.contiguous_format)) for part in parts)
    assert not back.numel() or back.view(torch.uint8 if back.dim() else back.dtype).is_contiguous()


@given(VALUES)
@settings(deadline=None)
def test_plain_values_come_back(value: Any) -> None:
    assert unpack(pack(value)) == value


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_what_was_cut_off_or_altered_is_not_read(data: st.DataObject) -> None:
    content = pack({"ids": torch.arange(5), "name": "a"})
    at = data.draw(st.integers(0, len(content) - 1))
    changed = bytearray(content)
    changed[at] ^= data.draw(st.integers(1, 255))
    for bad in (content[:at], bytes(changed), content + b"x"):
        with pytest.raises(Malformed):
            unpack(bad)


@given(st.binary(max_size=60), st.sampled_from([messages.read_score_request, messages.read_generate_request]))
@settings(deadline=None)
def test_any_bytes_are_malformed_and_nothing_worse(content: bytes, read: Any) -> None:
    with pytest.raises(Malformed):
        read(content)


@given(VALUES, st.sampled_from(["prompts", "prompt_of", "responses", "top_k", "temperature", "payloads"]))
@settings(deadline=None)
def test_any_values_in_the_place_of_others_are_malformed(value: Any, name: str) -> None:
    prompt = {
        "sample_id": "s",
        "domain": "d",
        "place": 0,
        "token_ids": torch.arange(3),
        "engine_token_ids": torch.arange(3),
        "engine_resizes": False,
    }
    prompt |= {"token_features": {}, "payload": None}
    good = {"prompts": [prompt], "prompt_of": [0], "responses": [torch.arange(2)], "top_k": 0, "payloads": {}}
    good |= {"temperature": 1.0}
    assert len(messages.read_score_request(pack(good)).responses) == 1
    try:
        request = messages.read_score_request(pack({**good, name: value}))
    except Malformed:
        return
    assert len(request.responses) == len(request.prompt_of) and request.top_k >= 0


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array(["text"]), 2**70, torch.zeros(2, dtype=torch.complex64)])
def test_what_cannot_be_sent_is_said_before_it_is(value: Any) -> None:
    with pytest.raises(Malformed):
        pack([value])


def test_a_generate_request_comes_back(prompts: list[Prompt]) -> None:
    sampling = Sampling(temperature=0.7, max_new_tokens=5, seed=2**40, policy_step=3, stop_strings=("é", "\n"))
    sent = [messages.sent_prompt(prompt, "name") for prompt in prompts[:2]]
    request = messages.GenerateRequest(prompts=sent, num_samples=2, sampling=sampling, payloads={"name": b"x"})
    back = messages.read_generate_request(pack(request))
    assert back.sampling == sampling and back.num_samples == 2 and back.payloads == {"name": b"x"}
    for one, prompt in zip(back.prompts, prompts, strict=False):
        again = messages.received_prompt(one)
        assert torch.equal(again.token_ids, prompt.token_ids) and again.sample.sample_id == prompt.sample.sample_id
        assert torch.equal(again.engine_token_ids, prompt.engine_token_ids)
        assert again.token_features.keys() == prompt.token_features.keys()


def test_an_answer_of_another_shape_than_its_tokens_is_malformed() -> None:
    def reply(**fields: Any) -> bytes:
        good = {"prompt": "p", "token_ids": torch.arange(2), "logprobs": torch.zeros(2)}
        return pack({"identity": "i", "answers": [{**good, **fields}]})

    assert len(messages.read_scores(reply()).answers) == 1
    for fields in ({"logprobs": torch.zeros(3)}, {"topk_ids": torch.arange(2)}, {"more": 1}, {"logprobs": None}):
        with pytest.raises(Malformed):
            messages.read_scores(reply(**fields))
    written = {"prompt": "p", "response_ids": torch.arange(2), "logprobs": torch.zeros(2), "finish_reason": "stop"}
    (answer,) = messages.read_responses(pack({"identity": "i", "answers": [written]})).answers
    assert answer.finish_reason is FinishReason.STOP


@pytest.mark.parametrize("needs", list(Needs))
def test_media_come_back_and_are_named_by_their_content(needs: Needs, prompts: list[Prompt]) -> None:
    payloads = [payload_of(prompt, needs) for prompt in prompts]
    assert all(payloads)
    names = [payload.name for payload in payloads if payload]
    assert payloads[0] is not None and len(set(names)) == len(names)
    media = read_payload(names[0], payloads[0].packed(), needs)
    if needs is Needs.MEDIA:
        assert all(same_bits(media[name], tensor) for name, tensor in prompts[0].media.items())
    else:
        (frames, metadata), (sent_frames, sent_metadata) = media["video"][0], prompts[0].engine_media["video"][0]
        assert np.array_equal(frames, sent_frames) and metadata == sent_metadata
    with pytest.raises(Malformed):
        read_payload(names[1], payloads[0].packed(), needs)


def test_pictures_are_sent_as_their_pixels() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8))
    prompt = Prompt.__new__(Prompt)
    object.__setattr__(prompt, "engine_media", {"image": [picture]})
    object.__setattr__(prompt, "media", {})
    payload = payload_of(prompt, Needs.ENGINE_MEDIA)
    assert payload is not None
    (back,) = read_payload(payload.name, payload.packed(), Needs.ENGINE_MEDIA)["image"]
    assert np.array_equal(back, np.asarray(picture))


@given(JSON, JSON)
@settings(deadline=None)
def test_different_contents_have_different_names(one: Any, other: Any) -> None:
    texts = [json.dumps(value, sort_keys=True) for value in (one, other)]
    assert (name_of(one) == name_of(other)) == (texts[0] == texts[1])


@pytest.mark.parametrize("shape", [(3, 5), (3, 5, 1), (1, 1, 3), (6, 4, 3), (6, 4, 4)])
def test_a_png_is_read_as_the_same_pixels(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    back = np.asarray(Image.open(io.BytesIO(png(pixels))))
    assert np.array_equal(back.reshape(shape), pixels)


@pytest.mark.parametrize(
    "pixels", [np.zeros((3, 5), np.float32), np.zeros((3, 5, 2), np.uint8), np.zeros((0, 5, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="not an image"):
        png(pixels)
