"""Teachers as writers: each prompt is answered by the teacher it belongs to, in the student's tokens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import final

import torch
from torch import Tensor

from uniopd_mm.interfaces import Finished, RolloutEngine
from uniopd_mm.teachers.own_prompt import OwnPrompt
from uniopd_mm.teachers.routes import Routes
from uniopd_mm.teachers.translation import Translation, Untranslatable
from uniopd_mm.types import BadSample, FinishReason, Prompt, Rollout, Sampling


@final
class TeacherAnswers:
    """Several teachers' engines as one. Where several teach a prompt, the one with the largest weight answers.

    Args:
        engines: by teacher.
        routes: who teaches what.
    """

    def __init__(self, engines: Mapping[str, RolloutEngine], routes: Routes) -> None:
        self.engines = engines
        self.routes = routes

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`."""
        names = [self.routes.main(prompt.sample) for prompt in prompts]
        groups: dict[int, list[Rollout]] = {}
        for name, engine in self.engines.items():
            indices = [index for index, wanted in enumerate(names) if wanted == name]
            answers = engine.generate([prompts[index] for index in indices], num_samples, sampling) if indices else ()
            groups |= {i: [replace(r, group_id=i) for r in own] for i, own in zip(indices, answers, strict=True)}
        return [groups[index] for index in range(len(prompts))]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Teachers do not change."""


@final
class OwnPromptAnswers:
    """A teacher with prompts of its own as a writer of the student's tokens.

    Args:
        engine: generates the teacher's ids.
        prompts: the teacher's.
        translation: between the student's ids and the teacher's.
    """

    def __init__(self, engine: RolloutEngine, prompts: OwnPrompt, translation: Translation) -> None:
        self.engine = engine
        self.prompts = prompts
        self.translation = translation

    def generate(
        self, prompts: Sequence[Prompt], num_samples: int, sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Rollout]]:
        """See `RolloutEngine.generate`. What cannot be asked, or not be said in the student's tokens, is an empty
        response. Log-probs are not the student's and stand as 0."""
        own = [self._own(prompt) for prompt in prompts]
        answers = iter(self.engine.generate([one for one in own if one], num_samples, sampling) if any(own) else ())
        return [
            [self._written(prompt, index, rollout) for rollout in next(answers)]
            if asked
            else [_nothing(prompt, index, sampling.policy_step)] * num_samples
            for index, (prompt, asked) in enumerate(zip(prompts, own, strict=True))
        ]

    def load_weights(self, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        """Teachers do not change."""

    def _own(self, prompt: Prompt) -> Prompt | None:
        try:
            return self.prompts.of(prompt.sample)
        except BadSample:
            return None

    def _written(self, prompt: Prompt, group_id: int, rollout: Rollout) -> Rollout:
        try:
            ids = self.translation.written(rollout.response_ids)
        except Untranslatable:
            return _nothing(prompt, group_id, rollout.policy_step)
        return replace(rollout, prompt=prompt, group_id=group_id, response_ids=ids, logprobs=torch.zeros(len(ids)))


def _nothing(prompt: Prompt, group_id: int, policy_step: int) -> Rollout:
    return Rollout(
        prompt=prompt,
        group_id=group_id,
        response_ids=torch.zeros(0, dtype=torch.int64),
        logprobs=torch.zeros(0),
        finish_reason=FinishReason.ABORT,
        policy_step=policy_step,
    )
