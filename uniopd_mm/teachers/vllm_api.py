"""Requests to a stock vLLM server (POST /inference/v1/generate), and the checks on its replies.

    python -m vllm.entrypoints.openai.api_server --model PATH --enable-scale-out --no-mm-device-do-normalize
        --logprobs-mode processed_logprobs --media-io-kwargs '{"video": {"fps": 2.0, "num_frames": -1}}'

Images are sent as PNG, once; later requests only name them. The frames of a video are sent as a sequence of images,
without their times: the server sets the frame rate, so frames that were sampled at another rate are refused.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from uniopd_mm.data.seeds import prompt_seed
from uniopd_mm.teachers.requests import (
    MAX_NOTICE,
    HttpReply,
    HttpRequest,
    MediaNames,
    MissingMedia,
    Refused,
    RemoteRequest,
    Transient,
    check_status,
)
from uniopd_mm.teachers.router import verified_tokens
from uniopd_mm.types import Failure, FinishReason, Prompt, Rollout, Sampling, TeacherScores, Vocabulary
from uniopd_mm.wire.codec import Malformed
from uniopd_mm.wire.media import Needs, name_of, payload_of
from uniopd_mm.wire.png import png

GENERATE, MODELS = "/inference/v1/generate", "/v1/models"
ASSUMED_VOCAB_SIZE = 1 << 17  # a stock server does not report it; this is about the size of real ones
BAN = -100.0  # added to a logit
FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
BAD_MEDIA = "Failed to apply prompt replacement"  # a bad request, for which vLLM returns status 500
SAME_TIME = 1e-3  # seconds
# The most bytes of JSON for an id, for one of its log-probs, and for a generated token with its text.
ID_BYTES, LOGPROB_BYTES, TOKEN_BYTES = 32, 512, 2048


@final
class VLLMApi:
    """The `RemoteApi` of stock servers of one model.

    Args:
        model: its name on the servers.
        teacher: its name in scores and failures.
        fps: the frame rate that the servers assume.
        vocabulary: its stop ids end a response and its banned ids are not sampled; None to leave both to the server.
    """

    one_per_request = True
    identity = None  # a stock server does not describe its processor
    vocab_size = ASSUMED_VOCAB_SIZE

    def __init__(self, model: str, teacher: str, top_k: int, fps: float, vocabulary: Vocabulary | None = None) -> None:
        self.model = model
        self.teacher = teacher
        self.top_k = top_k
        self.fps = fps
        self.vocabulary = vocabulary

    def score(
        self, rollouts: Sequence[Rollout], temperature: float = 1.0
    ) -> RemoteRequest[list[TeacherScores | Failure]]:
        """For one rollout. Raises Refused at a temperature other than 1, which vLLM does not apply to a prompt's
        log-probs."""
        if temperature != 1:
            raise Refused(f"a stock vLLM server scores at temperature 1, not {temperature:g}")
        (rollout,) = rollouts
        ids = [*rollout.prompt.engine_token_ids.tolist(), *rollout.response_ids.tolist()]
        parameters = {"max_tokens": 1, "temperature": 0, "prompt_logprobs": max(1, self.top_k), "detokenize": False}
        media = self._media(rollout.prompt)

        def parse(reply: HttpReply, known: MediaNames) -> list[TeacherScores | Failure]:
            return [self._scores(rollout, _content(reply, known))]

        per_token = ID_BYTES + LOGPROB_BYTES * (1 + max(1, self.top_k))
        return RemoteRequest(
            media=list(media),
            max_reply=MAX_NOTICE + rollout.num_tokens * per_token,
            build=lambda known: self._http_request(ids, media, known, parameters),
            parse=parse,
        )

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling
    ) -> RemoteRequest[list[list[Rollout]]]:
        """For one prompt."""
        (prompt,) = prompts
        ids, media = prompt.engine_token_ids.tolist(), self._media(prompt)
        parameters = self._parameters(prompt, num_samples, sampling)

        def parse(reply: HttpReply, known: MediaNames) -> list[list[Rollout]]:
            content = _content(reply, known)
            if content["prompt_token_ids"] != prompt.token_ids.tolist():
                raise Transient(_other_prompt(prompt, len(content["prompt_token_ids"])))
            choices = sorted(content["choices"], key=lambda choice: choice["index"])
            if len(choices) != parameters["n"]:
                raise Transient(f"returned {len(choices)} of {parameters['n']} responses")
            rollouts = [_rollout(prompt, choice, sampling) for choice in choices]
            return [rollouts if len(rollouts) == num_samples else rollouts * num_samples]

        num_tokens = num_samples * sampling.max_new_tokens
        return RemoteRequest(
            media=list(media),
            max_reply=MAX_NOTICE + len(prompt.token_ids) * ID_BYTES + num_tokens * TOKEN_BYTES,
            build=lambda known: self._http_request(ids, media, known, parameters),
            parse=parse,
        )

    def _http_request(
        self, ids: list[int], media: Mapping[str, tuple[str, Any]], known: MediaNames, parameters: Any
    ) -> HttpRequest:
        parts = [
            {"type": f"{kind}_url", "url": None if name in known else _data_url(item), "uuid": name}
            for name, (kind, item) in media.items()
        ]
        request = {"model": self.model, "token_ids": ids, "sampling_params": parameters, "return_token_ids": True}
        content = request | ({"content_parts": parts} if parts else {})
        return HttpRequest(path=GENERATE, content=json.dumps(content).encode(), content_type="application/json")

    def _media(self, prompt: Prompt) -> dict[str, tuple[str, Any]]:
        """Kind and plain value of each medium, by the name of its content. Raises Refused if one cannot be sent."""
        try:
            payload = payload_of(prompt, Needs.ENGINE_MEDIA)
        except (Malformed, TypeError) as error:
            raise Refused(f"media that cannot be sent: {error}") from error
        media = {} if payload is None else payload.media
        listed = [(kind, index, item) for kind, items in media.items() for index, item in enumerate(items)]
        for _, _, item in listed:
            self._check(item)
        return {name_of([index, item]): (kind, item) for kind, index, item in listed}

    def _check(self, item: Any) -> None:
        frames, metadata = item if isinstance(item, list) else (item[None] if item.ndim == 3 else item, None)
        if frames.ndim != 4 or frames.shape[-1] not in (1, 3, 4) or frames.dtype != np.uint8:
            raise Refused(f"a medium of {frames.dtype} {list(frames.shape)}; expected a uint8 image [H, W, C]")
        if metadata is None:
            return
        times = [index / metadata["fps"] for index in metadata["frames_indices"]]
        if any(abs(time - index / self.fps) > SAME_TIME for index, time in enumerate(times)):
            raise Refused(
                f"frames at {', '.join(f'{time:.2f}' for time in times[:4])} ... s: a stock vLLM server assumes that "
                f"they are {1 / self.fps:.3g} s apart (remote.fps={self.fps:g}); sample at that rate, or use "
                "uniopd_mm.serve"
            )

    def _parameters(self, prompt: Prompt, num_samples: int, sampling: Sampling) -> dict[str, Any]:
        greedy = sampling.temperature == 0
        vocabulary = self.vocabulary
        return {
            "n": 1 if greedy else num_samples,  # vLLM refuses n > 1 for greedy decoding
            "temperature": sampling.temperature,
            "seed": None if greedy else prompt_seed(prompt, sampling),
            "max_tokens": sampling.max_new_tokens,
            "stop_token_ids": list(vocabulary.stop_ids) if vocabulary else [],
            "logit_bias": {str(index): BAN for index in vocabulary.banned_ids} if vocabulary else None,
            "stop": list(sampling.stop_strings),
            "logprobs": 0,
            "detokenize": bool(sampling.stop_strings),
        }

    def _scores(self, rollout: Rollout, content: Mapping[str, Any]) -> TeacherScores:
        """Raises Transient if other ids than the prompt's and the response's were scored."""
        ids, length = content["prompt_token_ids"], len(rollout.prompt.token_ids)
        if ids[:length] != rollout.prompt.token_ids.tolist():
            raise Transient(_other_prompt(rollout.prompt, len(ids) - len(rollout.response_ids)))
        entries = content["prompt_logprobs"][length:]
        logprobs = [entry[str(index)]["logprob"] for index, entry in zip(ids[length:], entries, strict=True)]
        topk_ids, topk_logprobs = _likeliest(entries, max(1, self.top_k))
        scores = TeacherScores(
            teacher=self.teacher,
            token_ids=torch.tensor(ids[length:], dtype=torch.int64),
            logprobs=torch.tensor(logprobs, dtype=torch.float32),
            top_ids=topk_ids[:, 0],
            topk_ids=topk_ids if self.top_k else None,
            topk_logprobs=topk_logprobs if self.top_k else None,
        )
        checked = verified_tokens(rollout, scores)
        if isinstance(checked, Failure):
            raise Transient(checked.reason)
        return checked


def model_of(content: bytes, wanted: str | None) -> str:
    """The model to request: `wanted`, or the server's first. Raises Malformed, or Refused if it has no such model."""
    try:
        names = [str(model["id"]) for model in json.loads(content)["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("the reply is not that of a vLLM server") from error
    if not names or (wanted is not None and wanted not in names):
        raise Refused(f"no model {wanted}; it has {', '.join(names) or 'none'} (remote.model)")
    return names[0] if wanted is None else wanted


def _data_url(item: Any) -> str:
    """An image, or the frames of a video, which vLLM decodes one by one although their type says JPEG."""
    if isinstance(item, list):
        return f"data:video/jpeg;base64,{','.join(_base64(frame) for frame in item[0])}"
    return f"data:image/png;base64,{_base64(item)}"


def _base64(pixels: np.ndarray) -> str:
    return base64.b64encode(png(pixels)).decode()


def _content(reply: HttpReply, known: MediaNames) -> Mapping[str, Any]:
    """Raises what the status means. Status 400 may only mean that the server has dropped media that were named."""
    if reply.status == 400 and known:
        raise MissingMedia(known)
    if reply.status == 500 and BAD_MEDIA.encode() in reply.content:
        raise Refused(f"500: {BAD_MEDIA}: the media do not fit the prompt")
    check_status(reply)
    content: Mapping[str, Any] = json.loads(reply.content)
    return content


def _likeliest(entries: Sequence[Mapping[str, Any]], top_k: int) -> tuple[Tensor, Tensor]:
    """Ids i64[R, K] and log-probs f32[R, K], likeliest first. Each entry also has the token of the response itself."""
    ranked = [sorted(entry.items(), key=lambda token: token[1]["rank"])[:top_k] for entry in entries]
    ids = torch.tensor([[int(index) for index, _ in row] for row in ranked], dtype=torch.int64)
    logprobs = torch.tensor([[token["logprob"] for _, token in row] for row in ranked], dtype=torch.float32)
    return ids.view(len(entries), top_k), logprobs.view(len(entries), top_k)


def _other_prompt(prompt: Prompt, length: int) -> str:
    return f"expanded the prompt to other token ids ({length} tokens, expected {len(prompt.token_ids)})"


def _rollout(prompt: Prompt, choice: Mapping[str, Any], sampling: Sampling) -> Rollout:
    """Raises Transient if the log-probs are of other tokens."""
    entries = choice["logprobs"]["content"] or []
    if [entry["token_id"] for entry in entries] != choice["token_ids"]:
        raise Transient("returned log-probs of other tokens than the response's")
    return Rollout(
        prompt=prompt,
        group_id=0,
        response_ids=torch.tensor(choice["token_ids"], dtype=torch.int64),
        logprobs=torch.tensor([entry["logprob"] for entry in entries], dtype=torch.float32),
        finish_reason=FINISH_REASONS.get(choice["finish_reason"], FinishReason.ABORT),
        policy_step=sampling.policy_step,
    )
