"""What is said to a stock vLLM server (POST /inference/v1/generate), and how its answers are judged.

    python -m vllm.entrypoints.openai.api_server --model PATH --enable-scale-out --no-mm-device-do-normalize
        --logprobs-mode processed_logprobs --media-io-kwargs '{"video": {"fps": 2.0, "num_frames": -1}}'

Pictures travel as PNG, and once: afterwards their names suffice. Frames with times travel as pictures in a row, whose
rate the server alone sets: what was sampled at another one is refused.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from uniopd_mm.teachers.requests import (
    HttpReply,
    HttpRequest,
    Known,
    Missing,
    Refused,
    RemoteRequest,
    Transient,
    check_status,
)
from uniopd_mm.teachers.router import verified
from uniopd_mm.types import Failure, FinishReason, Prompt, Rollout, Sampling, TeacherScores, Vocabulary
from uniopd_mm.wire.codec import Malformed
from uniopd_mm.wire.media import Needs, name_of, payload_of
from uniopd_mm.wire.png import png

GENERATE, MODELS = "/inference/v1/generate", "/v1/models"
UNKNOWN_SIZE = 1 << 17  # a stock server does not say how many ids it knows: about what real ones have
BAN = -100.0  # added to a logit
FINISH_REASONS = {"stop": FinishReason.STOP, "length": FinishReason.LENGTH}
CLIENTS_MISTAKE = "Failed to apply prompt replacement"  # said with status 500, whoever is asked
SAME_TIME = 1e-3  # seconds


@final
class VLLMApi:
    """Errands for stock servers of one model.

    Args:
        model: as the servers name it.
        fps: at which they take frames to have been sampled.
        vocabulary: whose stop ids end a response and whose banned ids are not sampled; None: as the server does it.
    """

    one_by_one = True
    identity = None  # a stock server says nothing of its processor
    vocab_size = UNKNOWN_SIZE

    def __init__(self, model: str, teacher: str, top_k: int, fps: float, vocabulary: Vocabulary | None = None) -> None:
        self.model = model
        self.teacher = teacher
        self.top_k = top_k
        self.fps = fps
        self.vocabulary = vocabulary

    def score(self, rollouts: Sequence[Rollout]) -> RemoteRequest[list[TeacherScores | Failure]]:
        """Of one rollout."""
        (rollout,) = rollouts
        ids = [*rollout.prompt.engine_token_ids.tolist(), *rollout.response_ids.tolist()]
        parameters = {"max_tokens": 1, "temperature": 0, "prompt_logprobs": max(1, self.top_k), "detokenize": False}
        media = self._media(rollout.prompt)

        def read(said: HttpReply, known: Known) -> list[TeacherScores | Failure]:
            return [self._scores(rollout, _answer(said, known))]

        return RemoteRequest(
            media=list(media), write=lambda known: self._call(ids, media, known, parameters), read=read
        )

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling
    ) -> RemoteRequest[list[list[Rollout]]]:
        """For one prompt."""
        (prompt,) = prompts
        ids, media = prompt.engine_token_ids.tolist(), self._media(prompt)
        parameters = self._parameters(prompt, num_samples, sampling)

        def read(said: HttpReply, known: Known) -> list[list[Rollout]]:
            answer = _answer(said, known)
            if answer["prompt_token_ids"] != prompt.token_ids.tolist():
                raise Transient(_reads_otherwise(prompt, len(answer["prompt_token_ids"])))
            choices = sorted(answer["choices"], key=lambda choice: choice["index"])
            if len(choices) != parameters["n"]:
                raise Transient(f"answered {len(choices)} of {parameters['n']}")
            rollouts = [_rollout(prompt, choice, sampling) for choice in choices]
            return [rollouts if len(rollouts) == num_samples else rollouts * num_samples]

        return RemoteRequest(
            media=list(media), write=lambda known: self._call(ids, media, known, parameters), read=read
        )

    def _call(self, ids: list[int], media: Mapping[str, tuple[str, Any]], known: Known, parameters: Any) -> HttpRequest:
        parts = [
            {"type": f"{kind}_url", "url": None if name in known else _data_url(item), "uuid": name}
            for name, (kind, item) in media.items()
        ]
        request = {"model": self.model, "token_ids": ids, "sampling_params": parameters, "return_token_ids": True}
        content = request | ({"content_parts": parts} if parts else {})
        return HttpRequest(path=GENERATE, content=json.dumps(content).encode(), content_type="application/json")

    def _media(self, prompt: Prompt) -> dict[str, tuple[str, Any]]:
        """Kind and plain value of each medium, by the name of its content. Raises Refused for what the server cannot
        be told."""
        try:
            payload = payload_of(prompt, Needs.ENGINE_MEDIA)
        except (Malformed, TypeError) as error:
            raise Refused(f"media that cannot be sent: {error}") from error
        media = {} if payload is None else payload.media
        for item in (item for items in media.values() for item in items):
            self._check(item)
        return {name_of([place, item]): (kind, item) for kind, place, item in _listed(media)}

    def _check(self, item: Any) -> None:
        frames, times = item if isinstance(item, list) else (item[None] if item.ndim == 3 else item, None)
        if frames.ndim != 4 or frames.shape[-1] not in (1, 3, 4) or frames.dtype != np.uint8:
            raise Refused(f"a medium of {frames.dtype} {list(frames.shape)}, which is no uint8 picture [H, W, C]")
        if times is None:
            return
        shown = [index / times["fps"] for index in times["frames_indices"]]
        if any(abs(time - place / self.fps) > SAME_TIME for place, time in enumerate(shown)):
            raise Refused(
                f"frames at {', '.join(f'{time:.2f}' for time in shown[:4])} ... s: a stock vLLM server takes them to "
                f"be {1 / self.fps:.3g} s apart (remote.fps={self.fps:g}); sample at that rate, or use uniopd_mm.serve"
            )

    def _parameters(self, prompt: Prompt, num_samples: int, sampling: Sampling) -> dict[str, Any]:
        greedy = sampling.temperature == 0
        known = self.vocabulary
        return {
            "n": 1 if greedy else num_samples,  # vLLM refuses to be greedy twice
            "temperature": sampling.temperature,
            "seed": None if greedy else sampling.prompt_seed(prompt.sample.sample_id),
            "max_tokens": sampling.max_new_tokens,
            "stop_token_ids": list(known.stop_ids) if known else [],
            "logit_bias": {str(index): BAN for index in known.banned_ids} if known else None,
            "stop": list(sampling.stop_strings),
            "logprobs": 0,
            "detokenize": bool(sampling.stop_strings),
        }

    def _scores(self, rollout: Rollout, answer: Mapping[str, Any]) -> TeacherScores:
        """Raises Transient where other ids were scored than the prompt's and the response's."""
        ids, length = answer["prompt_token_ids"], len(rollout.prompt.token_ids)
        if ids[:length] != rollout.prompt.token_ids.tolist():
            raise Transient(_reads_otherwise(rollout.prompt, len(ids) - len(rollout.response_ids)))
        places = answer["prompt_logprobs"][length:]
        own = [place[str(index)]["logprob"] for index, place in zip(ids[length:], places, strict=True)]
        topk_ids, topk_logprobs = _likeliest(places, max(1, self.top_k))
        scores = TeacherScores(
            teacher=self.teacher,
            token_ids=torch.tensor(ids[length:], dtype=torch.int64),
            logprobs=torch.tensor(own, dtype=torch.float32),
            top_ids=topk_ids[:, 0],
            topk_ids=topk_ids if self.top_k else None,
            topk_logprobs=topk_logprobs if self.top_k else None,
        )
        judged = verified(rollout, scores)
        if isinstance(judged, Failure):
            raise Transient(judged.reason)
        return judged


def model_of(content: bytes, wanted: str | None) -> str:
    """The model that a server of several is asked for. Raises Malformed or Refused."""
    try:
        names = [str(model["id"]) for model in json.loads(content)["data"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed("does not answer as a vLLM server does") from error
    if not names or (wanted is not None and wanted not in names):
        raise Refused(f"no model {wanted}; it has {', '.join(names) or 'none'} (remote.model)")
    return names[0] if wanted is None else wanted


def _listed(media: Mapping[str, Sequence[Any]]) -> list[tuple[str, int, Any]]:
    return [(kind, place, item) for kind, items in media.items() for place, item in enumerate(items)]


def _data_url(item: Any) -> str:
    """A picture, or the pictures of frames, which vLLM takes one by one under the name of JPEGs."""
    if isinstance(item, list):
        return f"data:video/jpeg;base64,{','.join(_base64(frame) for frame in item[0])}"
    return f"data:image/png;base64,{_base64(item)}"


def _base64(pixels: np.ndarray) -> str:
    return base64.b64encode(png(pixels)).decode()


def _answer(said: HttpReply, known: Known) -> Mapping[str, Any]:
    """Raises what a status means; one that refuses may only lack media that were named."""
    if said.status == 400 and known:
        raise Missing(known)
    if said.status == 500 and CLIENTS_MISTAKE.encode() in said.content:
        raise Refused(f"500: {CLIENTS_MISTAKE}: a prompt and media that do not fit")
    check_status(said)
    answer: Mapping[str, Any] = json.loads(said.content)
    return answer


def _likeliest(places: Sequence[Mapping[str, Any]], top_k: int) -> tuple[Tensor, Tensor]:
    """Ids i64[R, K] and log-probs f32[R, K], likeliest first; each place has the token that stands there beside."""
    ranked = [sorted(place.items(), key=lambda entry: entry[1]["rank"])[:top_k] for place in places]
    ids = torch.tensor([[int(index) for index, _ in row] for row in ranked], dtype=torch.int64)
    logprobs = torch.tensor([[entry["logprob"] for _, entry in row] for row in ranked], dtype=torch.float32)
    return ids.view(len(places), top_k), logprobs.view(len(places), top_k)


def _reads_otherwise(prompt: Prompt, length: int) -> str:
    return f"reads a prompt of {len(prompt.token_ids)} tokens as {length}, or as others"


def _rollout(prompt: Prompt, choice: Mapping[str, Any], sampling: Sampling) -> Rollout:
    entries = choice["logprobs"]["content"] or []
    if [entry["token_id"] for entry in entries] != choice["token_ids"]:
        raise Transient("log-probs of other tokens than the response's")
    return Rollout(
        prompt=prompt,
        group_id=0,
        response_ids=torch.tensor(choice["token_ids"], dtype=torch.int64),
        logprobs=torch.tensor([entry["logprob"] for entry in entries], dtype=torch.float32),
        finish_reason=FINISH_REASONS.get(choice["finish_reason"], FinishReason.ABORT),
        policy_step=sampling.policy_step,
    )
