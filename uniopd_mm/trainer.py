"""The loop of on-policy distillation (arXiv 2605.03677): `Trainer.step` reads like the algorithm.

The parts come built from the command (train.py); this file knows their Protocols alone. A checkpoint after a step holds
all that the next step depends on, so a run that goes on repeats what an uninterrupted one does, bit by bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from torch import Tensor

from uniopd_mm.config import TrainConfig
from uniopd_mm.data.collate import collate
from uniopd_mm.data.microbatch import by_token_budget
from uniopd_mm.data.prompts import PromptStream
from uniopd_mm.distill.diagnostics import describe
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.interfaces import Processor, RolloutEngine, Task
from uniopd_mm.learner.checkpoint import save_checkpoint
from uniopd_mm.learner.learner import Learner
from uniopd_mm.progress import Progress, RunState, Stopwatch
from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.console import warning
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.types import Batch, Prompt, Rollout, Sampling, Trajectory
from uniopd_mm.validation import Validation


@final
@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a run is made of."""

    task: Task
    processor: Processor
    prompts: PromptStream
    engine: RolloutEngine
    router: TeacherRouter
    objective: OnPolicyDistillation
    learner: Learner
    validate: Callable[[RolloutEngine, str], Validation]
    tracker: Tracker


@final
@dataclass(kw_only=True)
class Trainer:
    """Trains the student of `parts` for `config.trainer.steps` steps, in the run folder `run`."""

    parts: Parts
    config: TrainConfig
    run: Path
    progress: Progress
    clock: Stopwatch = field(default_factory=Stopwatch)

    def train(self) -> Progress:
        """All remaining steps, validated and saved on the way; returns how far the student came."""
        plan, tracker = self.config.trainer, self.parts.tracker
        for number in range(self.progress.step + 1, plan.steps + 1):
            self.clock = Stopwatch()
            values = {**self.step(number), **self._validate(number)}
            tracker.log_step(StepMetrics(step=number, values=values, timing=self.clock.timing(values)))
            self.progress = self.progress.after_step(number, values, self.clock.seconds())
            if number % plan.save_every == 0 or number == plan.steps:
                self._save(number)
        return self.progress

    def step(self, number: int) -> Mapping[str, float]:
        """One step: the student answers, its teachers score, the student moves. Returns what it measured."""
        parts, clock = self.parts, self.clock
        with clock.lap("encode"):
            prompts = self._prompts()
        with clock.lap("generate"):
            groups = parts.engine.generate(prompts, self.config.rollout.num_samples, self._sampling(number))
            rollouts = [rollout for group in groups for rollout in group]
        with clock.lap("grade"):
            responses = [parts.processor.decode(rollout.response_ids) for rollout in rollouts]
            outcomes = [parts.task.grade(r.prompt.sample, text) for r, text in zip(rollouts, responses, strict=True)]
        with clock.lap("score"):
            scores = parts.router.score(rollouts)
        trajectories = [
            Trajectory(rollout=rollout, response=response, outcome=outcome, scores=score)
            for rollout, response, outcome, score in zip(rollouts, responses, outcomes, scores, strict=True)
        ]
        with clock.lap("update"):
            advantages = [parts.objective.advantages(trajectory) for trajectory in trajectories]
            learned = parts.learner.update(self._microbatches(trajectories, advantages))
        with clock.lap("sync"):
            parts.engine.load_weights(parts.learner.named_weights())
        parts.tracker.log_rollouts(number, trajectories, parts.processor.pieces, advantages)
        return {**describe(trajectories), **learned, "skipped": len(parts.prompts.skipped)}

    def _prompts(self) -> Sequence[Prompt]:
        """The step's prompts; a sample that is skipped on the way to them is named at once."""
        stream = self.parts.prompts
        known = len(stream.skipped)
        prompts = stream.next(self.config.trainer.prompts_per_step)
        for skip in stream.skipped[known:]:
            warning(f"{skip.where}: {skip.reason}; skipped")
        return prompts

    def _sampling(self, number: int) -> Sampling:
        plan = self.config.rollout
        return Sampling(
            temperature=plan.temperature,
            max_new_tokens=plan.max_new_tokens,
            seed=self.config.seed,
            policy_step=number,
        )

    def _microbatches(self, trajectories: Sequence[Trajectory], advantages: Sequence[Tensor]) -> list[Batch]:
        pad_id = self.parts.processor.vocabulary.pad_id
        lengths = [_length(trajectory.rollout) for trajectory in trajectories]
        return [
            collate([trajectories[i] for i in part], [advantages[i] for i in part], pad_id)
            for part in by_token_budget(lengths, self.config.trainer.tokens_per_microbatch)
        ]

    def _validate(self, number: int) -> Mapping[str, float]:
        """The student's accuracy on held-out questions, every few steps and after the last."""
        every, last = self.config.trainer.eval_every, self.config.trainer.steps
        if number != last and (every == 0 or number % every):
            return {}
        with self.clock.lap("evaluate"):
            validation = self.parts.validate(self.parts.engine, f"validation after step {number}")
        self.progress = self.progress.validated(validation)
        return {"eval/accuracy": validation.overall, "eval/unknown": validation.unknown}

    def _save(self, number: int) -> None:
        parts = self.parts
        state = RunState.of(self.progress, parts.prompts, parts.learner)
        model = parts.learner.student.model
        save_checkpoint(self.run, number, model, parts.processor, state, self.config.trainer.keep_checkpoints)


def _length(rollout: Rollout) -> int:
    return len(rollout.prompt.token_ids) + len(rollout.response_ids)
