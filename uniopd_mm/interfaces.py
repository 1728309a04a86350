"""The four seams of the framework as Protocols: Task, Processor, RolloutEngine, Teacher.

An implementation is a final class named by Hydra's `_target_`; it needs no base class and no registration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from uniopd_mm.types import (
    Corpus,
    Failure,
    Outcome,
    Prompt,
    Rollout,
    Sample,
    Sampling,
    Settings,
    TeacherScores,
    Vocabulary,
)

if TYPE_CHECKING:
    from torch import Tensor

Finished = Callable[[Sequence[Rollout]], None]


class SampleSource(Protocol):
    """Anything that yields samples by split ("train", "validation")."""

    def samples(self, split: str) -> Corpus:
        """The usable samples of a split, in a fixed order.

        Raises:
            UserError: the split cannot be read (a missing file, an unknown format, no such split).
        """
        ...


class Task(SampleSource, Protocol):
    """A domain: its prompts, and how its responses are graded."""

    @property
    def domain(self) -> str: ...

    def grade(self, sample: Sample, response: str) -> Outcome:
        """Grade a response. Never raises: if the outcome cannot be decided, it is unknown, with a reason. Called from
        several threads at once."""
        ...


class Processor(Protocol):
    """A backbone's tokenizer, chat template and media preprocessing."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def settings(self) -> Settings: ...

    def encode(self, sample: Sample) -> Prompt:
        """Raises BadSample if the sample's media cannot be read or used. Several threads may call it at once."""
        ...

    def check_media(self, prompt: Prompt) -> None:
        """Check the `media` of a prompt that was encoded elsewhere, before a model reads them. Raises BadSample if they
        do not fit each other or the prompt's tokens."""
        ...

    def decode(self, ids: Tensor) -> str:
        """The text of i64[R] response ids, without special tokens."""
        ...

    def encode_response(self, text: str) -> Tensor:
        """Ids i64[R] of a response as the model would generate it, including the end-of-turn token."""
        ...

    def pieces(self, ids: Tensor) -> list[str]:
        """The text of each of i64[R] ids, special tokens included; for display."""
        ...

    def token_bytes(self, ids: Tensor) -> list[bytes]:
        """The bytes of each of i64[R] response ids, b"" for special tokens. Joined, they are the text of `decode`."""
        ...

    def save(self, folder: Path) -> None:
        """Write the files that `transformers.AutoProcessor.from_pretrained(folder)` loads."""
        ...


class RolloutEngine(Protocol):
    """Generates responses with a model: the student, or a teacher."""

    def generate(
        self,
        prompts: Sequence[Prompt],
        num_samples: int,
        sampling: Sampling,
        finished: Finished | None = None,
    ) -> list[list[Rollout]]:
        """`num_samples` rollouts for each prompt, in the prompts' order; group ids count the prompts from 0.

        `finished` is called in this thread with each prompt's rollouts as soon as they are complete, in any order. An
        engine that cannot tell before the end need not call it.
        """
        ...

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Load the student's new weights and drop every cache computed with the old ones."""
        ...


class Teacher(Protocol):
    """A model that scores the student's responses."""

    @property
    def name(self) -> str: ...

    @property
    def overlaps(self) -> bool:
        """Whether it runs outside this process, so that it can score while the student is still generating. If so,
        `score` may be called from several threads at once."""
        ...

    def score(self, rollouts: Sequence[Rollout], temperature: float = 1.0) -> list[TeacherScores | Failure]:
        """One entry per rollout, in order. A failure is returned as an entry, never raised.

        Log-probs, likeliest tokens and entropy are of log_softmax(logits / temperature), so that the student is
        compared with the distribution that its own temperature makes of the teacher. A teacher that cannot do this
        fails all rollouts.
        """
        ...
