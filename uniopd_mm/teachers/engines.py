"""Teachers as rollout engines: each prompt is answered by its teacher, in the student's tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from uniopd_mm.interfaces import Finished, RolloutEngine
from uniopd_mm.teachers.own_prompt import OwnPrompts
from uniopd_mm.teachers.routes import Routes
from uniopd_mm.teachers.translation import Translation, Untranslatable
from uniopd_mm.types import BadSample, FinishReason, Prompt, Rollout, Sampling


@final
class EngineRouter:
    """The engines of several teachers as one. If several teach a prompt, the one with the largest weight answers.

    Args:
        engines: by teacher.
        routes: which teachers teach which sample.
    """

    def __init__(self, engines: Mapping[str, RolloutEngine], routes: Routes) -> None:
        self.engines = engines
        self.routes = routes

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`."""
        names = [self.routes.main_teacher(prompt.sample) for prompt in prompts]
        groups: dict[int, list[Rollout]] = {}
        for name, engine in self.engines.items():
            indices = [index for index, teacher in enumerate(names) if teacher == name]
            found = engine.generate([prompts[index] for index in indices], num_samples, sampling) if indices else ()
            groups |= {i: [replace(r, group_id=i) for r in group] for i, group in zip(indices, found, strict=True)}
        return [groups[index] for index in range(len(prompts))]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """A teacher's weights never change."""


@final
class OwnPromptEngine:
    """A teacher that reads its own prompts, as an engine that returns the student's tokens.

    Args:
        engine: generates the teacher's ids.
        prompts: encodes samples for the teacher.
        translation: between the student's ids and the teacher's.
    """

    def __init__(self, engine: RolloutEngine, prompts: OwnPrompts, translation: Translation) -> None:
        self.engine = engine
        self.prompts = prompts
        self.translation = translation

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`. A prompt that the teacher cannot read, and a response that the student's tokens
        cannot express, give an empty response. The student's log-probs are unknown, so all log-probs are 0."""
        own = [self._own_prompt(prompt) for prompt in prompts]
        readable = [prompt for prompt in own if prompt]
        groups = iter(self.engine.generate(readable, num_samples, sampling) if readable else ())
        return [
            [self._to_student(prompt, index, rollout) for rollout in next(groups)]
            if own_prompt
            else [_empty_response(prompt, index, sampling.policy_step)] * num_samples
            for index, (prompt, own_prompt) in enumerate(zip(prompts, own, strict=True))
        ]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """A teacher's weights never change."""

    def _own_prompt(self, prompt: Prompt) -> Prompt | None:
        try:
            return replace(self.prompts.encode(prompt.sample), place=prompt.place)
        except BadSample:
            return None

    def _to_student(self, prompt: Prompt, group_id: int, rollout: Rollout) -> Rollout:
        try:
            ids = self.translation.student_ids(rollout.response_ids)
        except Untranslatable:
            return _empty_response(prompt, group_id, rollout.policy_step)
        return replace(rollout, prompt=prompt, group_id=group_id, response_ids=ids, logprobs=torch.zeros(len(ids)))


def _empty_response(prompt: Prompt, group_id: int, policy_step: int) -> Rollout:
    return Rollout(
        prompt=prompt,
        group_id=group_id,
        response_ids=torch.zeros(0, dtype=torch.int64),
        logprobs=torch.zeros(0),
        finish_reason=FinishReason.ABORT,
        policy_step=policy_step,
    )
