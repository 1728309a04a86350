"""The loop of on-policy distillation (arXiv 2605.03677): `Trainer.step` reads like the algorithm.

assembly.py builds the parts; this file only knows their Protocols. A checkpoint holds everything the next step depends
on, so a resumed run repeats an uninterrupted one bit by bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import final

import torch

from uniopd_mm.config.train import TrainConfig
from uniopd_mm.data.grading import grade_all
from uniopd_mm.data.prompts import PromptStream
from uniopd_mm.data.responses import said
from uniopd_mm.data.shares import step_quotas
from uniopd_mm.distill.choices import Correction
from uniopd_mm.distill.diagnostics import check_names, describe
from uniopd_mm.distill.evidence import merge_values
from uniopd_mm.distill.idle import idle_too_long, score_ranges, score_spreads
from uniopd_mm.distill.supervision import Recipe, SupervisedBatch, supervise
from uniopd_mm.distill.teacher_failures import check_teacher_failures
from uniopd_mm.distill.watch import warnings
from uniopd_mm.interfaces import Finished, Processor, RolloutEngine, Task
from uniopd_mm.learner.checkpoint import keep_best, link_student, save_checkpoint, write_student
from uniopd_mm.learner.learner import Learner, Update
from uniopd_mm.run.changes import Fingerprints
from uniopd_mm.run.progress import Progress, RunState, Stopwatch
from uniopd_mm.run.validation import Validation
from uniopd_mm.runtime.reasons import failure_reasons, merged
from uniopd_mm.runtime.world import World
from uniopd_mm.teachers.early import EarlyScores
from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.console import warning
from uniopd_mm.tracking.records import RESERVED, StepMetrics
from uniopd_mm.types import Prompt, Rollout, Sampling, Trajectory

Benchmarks = Callable[[RolloutEngine, int], Mapping[str, float]]
"""From the engine and the number of a step to the student's benchmark scores, by their names in metrics.jsonl."""


@final
@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of a run.

    `response_engine` writes the responses to learn from; on-policy, it is `engine`. `router` and `base` are None if the
    recipe uses no teacher or no base model, `benchmarks` if the run evaluates on none. `grading` is that of the corpus.
    Checkpoints keep `fingerprints`.
    """

    task: Task
    processor: Processor
    prompts: PromptStream
    engine: RolloutEngine
    response_engine: RolloutEngine
    router: TeacherRouter | None
    base: TeacherRouter | None
    recipe: Recipe
    learner: Learner
    validate: Callable[[RolloutEngine, str], Validation]
    benchmarks: Benchmarks | None
    tracker: Tracker
    world: World
    fingerprints: Fingerprints
    grading: Mapping[str, str] = field(default_factory=dict)


@final
@dataclass(kw_only=True)
class Trainer:
    """Trains the student of `parts` for `config.trainer.steps` steps, in the run folder `run`. `stopped` says why it
    ended earlier, because the student learned nothing for too long (see `idle_too_long`)."""

    parts: Parts
    config: TrainConfig
    run: Path
    progress: Progress
    clock: Stopwatch = field(default_factory=Stopwatch)
    stopped: str | None = None

    def train(self) -> Progress:
        """Run the remaining steps, with validations and checkpoints; return the progress at the end."""
        tracker = self.parts.tracker
        for number in range(self.progress.step + 1, self.config.trainer.steps + 1):
            self.clock = Stopwatch()
            self.parts.prompts.mixture.set_quotas(self.quotas())
            values = self.step(number)
            self.stopped = idle_too_long((*self.progress.history, values), self.config.trainer.max_idle_steps)
            values = {**values, **self._validate(number), **self._benchmarked(number)}
            tracker.log_step(StepMetrics(step=number, values=values, timing=self.clock.timing(values)))
            self.progress = self.progress.after_step(number, values, self.clock.seconds(), self._measure)
            for text in warnings(self.progress.history):
                warning(f"step {number}: {text}")
            self._save(number)
            self._check_teachers()
            if self.stopped:
                break
        return self.progress

    def step(self, number: int) -> Mapping[str, float]:
        """One step: the student answers, its teachers score, the student is updated. Returns the step's metrics."""
        parts, clock = self.parts, self.clock
        with clock.lap("encode"):
            prompts = self._prompts()
        early = EarlyScores(parts.router)
        with clock.lap("generate"):
            rollouts = self._rollouts(prompts, number, early.send)
        with clock.lap("grade"):
            responses = [said(parts.processor, rollout) for rollout in rollouts]
            outcomes = grade_all(parts.task, [rollout.prompt.sample for rollout in rollouts], responses)
        with clock.lap("score"):
            scores, base = early.of(rollouts), EarlyScores(parts.base).of(rollouts)
        judged = zip(rollouts, responses, outcomes, scores, base, strict=True)
        trajectories = [
            Trajectory(rollout=rollout, response=response, outcome=outcome, scores=score, base=base_score)
            for rollout, response, outcome, score, base_score in judged
        ]
        if self._corrects:
            with clock.lap("correct"):
                trajectories = parts.learner.with_own_logprobs(trajectories, self.config.rollout.temperature)
        self._name_left_out(trajectories)
        with clock.lap("calibrate"):
            supervised = self._supervised(trajectories, number)
        with clock.lap("update"):
            learned = parts.learner.update(supervised.trajectories)
        with clock.lap("sync"):
            parts.engine.load_weights(parts.learner.named_weights())
        with clock.lap("measure"):
            measured = self._measured(supervised, learned)
        parts.tracker.log_rollouts(number, supervised.trajectories, parts.processor.pieces)
        spreads = score_spreads(parts.world.gather(score_ranges(supervised.trajectories)))
        return {**measured, **spreads, "skipped": len(parts.prompts.skipped)}

    @property
    def _corrects(self) -> bool:
        """Whether rewards need other log-probs of the student than those of the rollout engine."""
        teaches = self.parts.recipe.objective.needs.teacher
        return teaches and self.config.recipe.correction is not Correction.NONE

    def _check_teachers(self) -> None:
        """Raises UserError if a domain's teachers left too many rollouts unscored for too many steps."""
        plan, num_samples = self.config.routing, self.config.rollout.num_samples
        check_teacher_failures(
            self.progress.history, num_samples=num_samples, share=plan.max_lost_share, steps=plan.max_lost_steps
        )

    def quotas(self) -> Mapping[str, int]:
        """How many of the next prompts come from each domain, from the configured shares and the metrics so far."""
        sizes, teacher = self.parts.prompts.mixture.sizes, self.progress.teacher
        known, num_prompts = teacher.accuracy if teacher else {}, self.config.trainer.prompts_per_step
        return step_quotas(self.config.mixture, sizes, num_prompts, known, self.progress.history)

    def _prompts(self) -> Mapping[int, Prompt]:
        """This process's prompts by their index in the step. Samples skipped on the way are named at once."""
        stream = self.parts.prompts
        known = len(stream.skipped)
        prompts = stream.next(self.config.trainer.prompts_per_step)
        for skip in stream.skipped[known:]:
            warning(f"{skip.where}: {skip.reason}; skipped")
        return prompts

    def _rollouts(self, prompts: Mapping[int, Prompt], number: int, finished: Finished) -> list[Rollout]:
        """The rollouts, prompt by prompt. A prompt's index in the step is the group id of its rollouts."""
        indices = list(prompts)

        def indexed(group: Sequence[Rollout]) -> list[Rollout]:
            return [replace(rollout, group_id=indices[rollout.group_id]) for rollout in group]

        plan = self.config.rollout
        sampling = Sampling(
            temperature=plan.temperature,
            max_new_tokens=plan.max_new_tokens,
            seed=self.config.seed,
            policy_step=number,
            stop_strings=tuple(plan.stop),
        )
        groups = self.parts.response_engine.generate(
            list(prompts.values()), plan.num_samples, sampling, lambda group: finished(indexed(group))
        )
        return [rollout for group in groups for rollout in indexed(group)]

    def _name_left_out(self, trajectories: Sequence[Trajectory]) -> None:
        """Count by reason the rollouts of all processes without a grade or score. Name each new reason once."""
        named = merged(self.parts.world.gather(failure_reasons(trajectories)))
        for kind in named.keys() - self.progress.left_out.keys():
            warning(f"{named[kind][1]}; left out, as are others of its kind, and counted in summary.json")
        self.progress = self.progress.leaving_out({kind: count for kind, (count, _) in named.items()})

    def _supervised(self, trajectories: Sequence[Trajectory], number: int) -> SupervisedBatch:
        """Calibrate and balance over all processes, which draw the same random numbers."""
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + number)
        world = self.parts.world
        return supervise(trajectories, self.parts.recipe, generator=generator, gather=world.gather, rank=world.rank)

    def _measured(self, supervised: SupervisedBatch, learned: Update) -> Mapping[str, float]:
        """The step's metrics of student and teachers, over all processes."""
        check_names(learned.sums, {*learned.values, *RESERVED, "skipped"})
        sums = merge_values(self.parts.world.gather((supervised.local_indices, learned.sums)))
        margin = self.parts.recipe.calibration
        named = describe(
            supervised.samples, supervised.supervision, sums, statistic=margin.statistic, delta=margin.delta
        )
        return {**named, **learned.values}

    def _validate(self, number: int) -> Mapping[str, float]:
        """Measure the student on held-out questions, every few steps and after the last."""
        if not self._due(number, self.config.trainer.eval_every):
            return {}
        with self.clock.lap("evaluate"):
            validation = self.parts.validate(self.parts.engine, f"validation after step {number}")
        self.progress = self.progress.validated(validation)
        by_domain = {
            f"domain/{d}/eval_accuracy": share for d, share in validation.accuracy.items() if share is not None
        }
        return {"eval/accuracy": validation.overall, "eval/unknown": validation.unknown, **by_domain}

    def _benchmarked(self, number: int) -> Mapping[str, float]:
        """Measure the student on benchmarks, every few steps and after the last."""
        benchmarks = self.parts.benchmarks
        if benchmarks is None or not self._due(number, self.config.benchmarks.every):
            return {}
        with self.clock.lap("benchmark"):
            return benchmarks(self.parts.engine, number)

    def _due(self, number: int, every: int) -> bool:
        """Whether this is the last step, or a multiple of `every` (0: no multiples)."""
        return number == self.config.trainer.steps or self.stopped is not None or (every > 0 and number % every == 0)

    @property
    def _measure(self) -> str:
        """The metric that decides which step is the best."""
        return "benchmark/mean" if self.parts.benchmarks else "eval/accuracy"

    def _save(self, number: int) -> None:
        """Save the student if it is the best so far, then a checkpoint if one is due. The order matters: a saved state
        that names a best step must find its student."""
        parts, plan, best = self.parts, self.config.trainer, self.progress.best
        if parts.world.is_main:
            write = partial(write_student, parts.learner.student.model, parts.processor)
            if plan.keep_best and best and best.step == number:
                write = partial(link_student, keep_best(self.run, best, write))
            if self._due(number, plan.save_every):
                state = RunState.of(self.progress, parts.prompts, parts.learner, parts.fingerprints)
                save_checkpoint(self.run, number, write, state.saved(), plan.keep_checkpoints)
        parts.world.wait()
