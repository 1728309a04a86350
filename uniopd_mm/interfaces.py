"""The four seams of the framework as Protocols: Task, Processor, RolloutEngine, Teacher.

An implementation is a final class reached through Hydra's `_target_`; it needs no base class and no registration.
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
            UserError: nothing can be read (a missing file, an unknown format, no such split).
        """
        ...


class Task(SampleSource, Protocol):
    """A domain: where its prompts come from and what a right answer is."""

    @property
    def domain(self) -> str: ...

    def grade(self, sample: Sample, response: str) -> Outcome:
        """Judge a response. Never raises: what cannot be decided is an unknown outcome with its reason. Is called from
        several threads at once."""
        ...


class Processor(Protocol):
    """A backbone's tokenizer, chat template and media preprocessing."""

    @property
    def vocabulary(self) -> Vocabulary: ...

    @property
    def settings(self) -> Settings: ...

    def encode(self, sample: Sample) -> Prompt:
        """Raises BadSample where the sample's media cannot be read or used."""
        ...

    def decode(self, ids: Tensor) -> str:
        """The text of i64[R] response ids, without special tokens."""
        ...

    def encode_response(self, text: str) -> Tensor:
        """Ids i64[R] of a response as the model would write it, the end-of-turn token included."""
        ...

    def pieces(self, ids: Tensor) -> list[str]:
        """The R texts of i64[R] ids one by one, special tokens included; for people to look at."""
        ...

    def token_bytes(self, ids: Tensor) -> list[bytes]:
        """The bytes that each of i64[R] response ids stands for: together the text of `decode`; b"" for special
        tokens."""
        ...

    def save(self, folder: Path) -> None:
        """Write what `transformers.AutoProcessor.from_pretrained(folder)` loads."""
        ...


class RolloutEngine(Protocol):
    """Draws responses from the student."""

    def generate(
        self,
        prompts: Sequence[Prompt],
        num_samples: int,
        sampling: Sampling,
        finished: Finished | None = None,
    ) -> list[list[Rollout]]:
        """`num_samples` rollouts for each prompt, in the prompts' order; group ids count the prompts from 0.

        `finished` is called in this thread with each prompt's rollouts as soon as they are all there, in any order; an
        engine that knows of none before the end need not call it.
        """
        ...

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Take the student's new weights and drop every cache made with the old ones."""
        ...


class Teacher(Protocol):
    """An expert that scores what the student wrote."""

    @property
    def name(self) -> str: ...

    @property
    def overlaps(self) -> bool:
        """Whether it computes elsewhere, so that scoring costs nothing while the student still writes. Then `score`
        may be called from several threads at once."""
        ...

    def score(self, rollouts: Sequence[Rollout]) -> list[TeacherScores | Failure]:
        """One entry per rollout, in order. A failure is an entry, never an exception."""
        ...
