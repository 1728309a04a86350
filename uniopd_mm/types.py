"""The records that pass through one training step, and the two errors a user can fix.

A stage takes records and returns new ones; nothing is edited in place. Absence is `None` or a mask, never a number.

Legend of shapes: L prompt tokens, R response tokens, T padded L+R, N trajectories, K teacher top-k.
Every per-token tensor is token-aligned: entry t belongs to token t. For a prompt of L=3 and a response of R=2,

    token_ids    = [p0, p1, p2]            Prompt
    response_ids = [r0, r1]                Rollout, r1 may be the end-of-turn token
    logprobs     = [log p(r0 | p), log p(r1 | p, r0)]
    input_ids    = [p0, p1, p2, r0, r1]    Batch, padded on the right to T
    loss_mask    = [ 0,  0,  0,  1,  1]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, overload

if TYPE_CHECKING:  # torch takes seconds to import, which a command that is refused does not need
    from torch import Tensor


class UserError(Exception):
    """An error the user can fix: one line that names the key or file, its value and the remedy (exit status 2)."""


class BadSample(ValueError):
    """One sample cannot be used, and why. The caller skips it, counts it, reports it and continues."""


class FinishReason(StrEnum):
    """Why a response ended: an end-of-turn token, the length limit, or the engine gave up."""

    STOP = "stop"
    LENGTH = "length"
    ABORT = "abort"


@dataclass(frozen=True, kw_only=True, slots=True)
class Media:
    """A reference to one medium, not yet decoded.

    `kind` is a modality of the processor ("image", "video"). `source` is a path, encoded bytes or an object of the
    processor's library. `options` go to the decoder (fps, video_start). `caption` replaces it for a text-only model.
    """

    kind: str
    source: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    caption: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One turn of a conversation: texts and media in reading order."""

    role: str
    content: tuple[str | Media, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One prompt of a dataset, as the task read it.

    `source` says where to find it ("train.jsonl:17"). `pass_rate` in [0, 1] is the initial student's share of correct
    rollouts, if known. `demonstration` is a worked response to imitate, if there is one. `row` holds the sample as
    plain values that the task can read back from a file in any folder: the task's own column names, absolute paths.
    """

    sample_id: str
    domain: str
    messages: tuple[Message, ...]
    answer: str | None
    source: str
    pass_rate: float | None = None
    demonstration: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    row: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Skip:
    """A row that was left out: its location (file and line) and the reason."""

    where: str
    reason: str


@dataclass(frozen=True)
class Corpus(Sequence[Sample]):
    """The usable samples of one split, the rows skipped while reading, and the number of rows (`left_out`) that the
    user's settings excluded. `grading` says by domain what grades depend on, such as how programs are isolated.
    `recognised` are lines that say what rows were read as."""

    samples: tuple[Sample, ...]
    skipped: tuple[Skip, ...] = ()
    left_out: int = 0
    grading: Mapping[str, str] = field(default_factory=dict)
    recognised: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, index: int) -> Sample: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Sample, ...]: ...

    def __getitem__(self, index: int | slice) -> Sample | tuple[Sample, ...]:
        return self.samples[index]


@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """What the core needs to know about a tokenizer.

    `tokens` maps token strings to ids. `stop_ids` end a response. `banned_ids` must never be sampled, because the model
    would read them as media placeholders (`<|image_pad|>`, `<|video_pad|>`). `pad_id` pads batches.
    """

    tokens: Mapping[str, int]
    stop_ids: tuple[int, ...]
    banned_ids: tuple[int, ...]
    pad_id: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """A processor's settings as strings, to compare and to display.

    `binding` settings determine how media become tensors ("image.patch_size": "16"). Each name starts with the kind of
    media and a dot; a kind without any binding setting is not supported. `informative` settings are the others that
    affect a prompt: the chat template, limits on media.
    """

    binding: Mapping[str, str]
    informative: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A sample, encoded once and shared by all its rollouts.

    `token_ids` i64[L] have every placeholder expanded, as the model reads them. `media` is named after the model's
    forward arguments; batches concatenate it along dim 0. `token_features` are further forward arguments with one
    entry per token ([L], 0 for ordinary text); batches pad them like ids. `engine_token_ids` and `engine_media` are the
    input of an inference engine: ids with one placeholder per medium, and decoded media by kind, which the engine's own
    processor must still resize where `engine_resizes`. `place` is its index.
    """

    sample: Sample
    token_ids: Tensor
    media: Mapping[str, Tensor] = field(default_factory=dict)
    token_features: Mapping[str, Tensor] = field(default_factory=dict)
    engine_token_ids: Tensor
    engine_media: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    engine_resizes: bool = False
    place: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How to draw responses (see `data.seeds`). Temperature 0 is greedy decoding. A response ends with the token that
    completes one of `stop_strings`; that token stays part of it."""

    temperature: float
    max_new_tokens: int
    seed: int
    policy_step: int
    stop_strings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Rollout:
    """One response of the student: ids i64[R] and their log-probs f32[R] under the sampling policy, at the loss's
    temperature and without banned ids. Rollouts of one prompt share a `group_id`."""

    prompt: Prompt
    group_id: int
    response_ids: Tensor
    logprobs: Tensor
    finish_reason: FinishReason
    policy_step: int

    @property
    def num_tokens(self) -> int:
        """L + R."""
        return len(self.prompt.token_ids) + len(self.response_ids)


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The grade of a response. `correct` None means unknown, neither right nor wrong; `reason` says why. `answer` is
    the final answer that was graded, as the response writes it; None where it has none."""

    correct: bool | None
    reward: float
    reason: str
    answer: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Head:
    """Makes logits of hidden states: output embedding [V, H], bias [V], factor, soft cap (`distill.logprobs`)."""

    weight: Tensor
    bias: Tensor | None = None
    scale: float = 1.0
    cap: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherScores:
    """A teacher's log-probs f32[R] of a response's tokens. `token_ids` i64[R] are the tokens it scored; the caller
    compares them with the sampled ones.

    The other fields are None if the teacher does not provide them: `entropy` f32[R] of its distribution; `top_ids`
    i64[R], its most likely token; `topk_ids` i64[R, K] and `topk_logprobs` f32[R, K], most likely first; `hidden`
    [R, G], the states from which `head` makes each token's full distribution. `span_ends` bool[R]: ends of spans of
    text. `normalized`: whether the log-probs are of one distribution of the student's tokens.
    """

    teacher: str
    token_ids: Tensor
    logprobs: Tensor
    entropy: Tensor | None = None
    top_ids: Tensor | None = None
    topk_ids: Tensor | None = None
    topk_logprobs: Tensor | None = None
    hidden: Tensor | None = None
    head: Head | None = None
    span_ends: Tensor | None = None
    normalized: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A teacher could not score a response, and why. The sample is masked and counted."""

    teacher: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Trajectory:
    """A rollout with its text, its outcome and its teacher's scores.

    `scores` is None without a teacher, `base` without a base model, `student_logprobs` f32[R] (the trainer's) without a
    correction. The recipe sets `advantages` f32[R] and `weight`, a factor of the loss (0: masked).
    """

    rollout: Rollout
    response: str
    outcome: Outcome
    scores: TeacherScores | Failure | None
    base: TeacherScores | Failure | None = None
    student_logprobs: Tensor | None = None
    advantages: Tensor | None = None
    weight: float = 1.0

    @property
    def teachable(self) -> bool:
        """Whether no scoring failed: neither the teacher's nor the base model's."""
        return not isinstance(self.scores, Failure) and not isinstance(self.base, Failure)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenBatch:
    """Sequences padded on the right: `input_ids` i64, masks bool, `token_features`, all [N, T]; `media` along dim 0."""

    input_ids: Tensor
    attention_mask: Tensor
    loss_mask: Tensor
    media: Mapping[str, Tensor]
    token_features: Mapping[str, Tensor]
