"""The composition root: from a run's configuration to a trainer that is ready to go."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from omegaconf import OmegaConf

from uniopd_mm.config.components import build
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.data.mixture import Mixture
from uniopd_mm.data.prompts import PromptStream
from uniopd_mm.data.shares import step_quotas
from uniopd_mm.distill.choices import Responses
from uniopd_mm.distill.supervision import Recipe
from uniopd_mm.interfaces import Processor, RolloutEngine, Task
from uniopd_mm.learner.learner import Learner
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.models.identity import identity_of
from uniopd_mm.models.integrity import check_same, fingerprint
from uniopd_mm.models.loading import load_student
from uniopd_mm.rollout.gold import GoldResponses
from uniopd_mm.run.fingerprints import check_unchanged, fingerprints
from uniopd_mm.run.folder import Run
from uniopd_mm.run.plan import show_compatibility, show_teachers
from uniopd_mm.run.progress import Progress
from uniopd_mm.run.recipes import build_recipe
from uniopd_mm.run.validation import Validator
from uniopd_mm.runtime.rng import restore_rng_state
from uniopd_mm.runtime.world import World
from uniopd_mm.teachers.loading import ScoreOptions, load_base
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.teachers.probe import StudentModel
from uniopd_mm.teachers.roster import Roster, load_roster
from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.teachers.routes import Routes
from uniopd_mm.teachers.self_test import assignments
from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.build import TrackingOptions, open_tracker
from uniopd_mm.tracking.console import note, warn_of_skips
from uniopd_mm.tracking.records import StepMetrics
from uniopd_mm.trainer import Benchmarks, Parts, Trainer
from uniopd_mm.types import Corpus, Sample, Skip, UserError

SKIPPED = ("skipped", "; summary.json names them all")


def assemble(run: Run, world: World) -> Trainer:
    """Build every part, measure student and teacher, and restore the state of a resumed run.

    Raises:
        UserError: a part cannot be built, or the parts do not fit each other.
    """
    config, state = run.config, run.state
    world.from_main(lambda: check_world(config, world))
    recipe = build_recipe(config)
    task: Task = build(config.task, "task")
    train, held_out = learnable(usable(task, "train"), config.recipe.responses), usable(task, "validation")
    skipped = tuple(dict.fromkeys((*train.skipped, *held_out.skipped)))  # a file's splits may list the same rows
    _announce(train, skipped)
    check_mixture(config, train)  # before anything is loaded
    student, processor = load_student(config.model, config.data, run.student)
    benchmarks = _benchmarks(config, processor, world)
    needs = recipe.objective.needs
    questions = validation_questions(held_out, config.data.max_validation_samples)
    roster = _roster(config, recipe, processor, (*train, *questions))
    identity = identity_of(processor, student.vocab_size)
    held = world.from_main(lambda: fingerprints(config, train, questions, identity, roster))
    changes = world.from_main(lambda: check_unchanged(run, held))
    engine: RolloutEngine = build(config.rollout.engine, "rollout.engine", backbone=student, processor=processor)
    base = _base(config, processor) if needs.base else None
    _check_ranks(world, student, roster, base)
    learner = Learner(student, recipe.objective, config.trainer, pad_id=processor.vocabulary.pad_id, world=world)
    prompts = _prompts(run, processor, train, skipped, world)
    if roster:
        for sample in questions:
            roster.routes.weights(sample)  # a sample without a teacher is an error now, not in the first validation
        student_model = _student_model(config, student, processor, engine)
        assigned = world.from_main(lambda: assignments(roster, train.samples, student_model))
        show_teachers(run.folder, assigned, is_main=world.is_main)
        show_compatibility(student_model.identity.described, assigned)
    parts = Parts(
        task=task,
        processor=processor,
        prompts=prompts,
        engine=engine,
        response_engine=_response_engine(config, engine, roster, processor),
        router=roster.router if roster and needs.teacher else None,
        base=base,
        recipe=recipe,
        learner=learner,
        validate=_validator(config, task, processor, questions, world),
        benchmarks=benchmarks,
        tracker=_tracker(run, world),
        world=world,
        grading=train.grading,
        fingerprints=held,
    )
    torch.manual_seed(config.seed)
    if state is None:
        return Trainer(parts=parts, config=config, run=run.folder, progress=_beginning(parts, roster))
    learner.load_state_dict(state.learner)
    restore_rng_state(state.rng)
    progress = replace(state.progress, changes=(*state.progress.changes, *changes))
    return Trainer(parts=parts, config=config, run=run.folder, progress=progress)


def _announce(train: Corpus, skipped: Sequence[Skip]) -> None:
    for text in train.recognised:
        note(text)
    warn_of_skips(skipped, *SKIPPED)
    if train.left_out:
        note(f"{train.left_out} rows are left out by data.where and data.max_rows")
    for domain, text in train.grading.items():
        note(f"grading of {domain}: {text}")


def check_world(config: TrainConfig, world: World) -> None:
    """Raises UserError unless every process has a prompt of its own in each step."""
    wanted = config.trainer.prompts_per_step
    if wanted < world.size:
        raise UserError(
            f"trainer.prompts_per_step={wanted} is less than the {world.size} processes that share them; raise it to a "
            f"multiple of {world.size}"
        )


def usable(task: Task, split: str) -> Corpus:
    """The samples of a split. Raises UserError if there are none."""
    corpus = task.samples(split)
    if not len(corpus):
        raise UserError(f"data.path: the {split} split is empty; give it rows, or change data.validation_fraction")
    return corpus


def learnable(corpus: Corpus, responses: Responses) -> Corpus:
    """With `responses=GOLD`, only the samples that have a response; otherwise all.

    Raises:
        UserError: no sample has a response.
    """
    if responses is not Responses.GOLD:
        return corpus
    lacking = [Skip(where=s.source, reason="no response to learn from") for s in corpus if s.demonstration is None]
    if len(lacking) == len(corpus):
        raise UserError("recipe.responses=GOLD: no row has a response; add a `response` column, or use TEACHER")
    kept = tuple(sample for sample in corpus if sample.demonstration is not None)
    return replace(corpus, samples=kept, skipped=(*corpus.skipped, *lacking))


def check_mixture(config: TrainConfig, train: Corpus) -> None:
    """Raises UserError if the configured shares do not fit the domains."""
    sizes = Counter(sample.domain for sample in train)
    step_quotas(config.mixture, sizes, config.trainer.prompts_per_step)


def validation_questions(held_out: Corpus, limit: int) -> list[Sample]:
    """The first `limit` held-out samples of each domain, in the order of the corpus."""
    counts = Counter[str]()
    chosen = []
    for sample in held_out:
        counts[sample.domain] += 1
        if counts[sample.domain] <= limit:
            chosen.append(sample)
    return chosen


def _roster(config: TrainConfig, recipe: Recipe, student: Processor, samples: Sequence[Sample]) -> Roster | None:
    """The teachers, None if they neither score nor write responses."""
    needs = recipe.objective.needs
    if not needs.teacher and config.recipe.responses is not Responses.TEACHER:
        return None
    domains = dict.fromkeys(sample.domain for sample in samples)
    options = ScoreOptions(top_k=needs.top_k, keep_hidden=needs.hidden, temperature=config.teacher_temperature)
    return load_roster(config, student, domains, options)


def _student_model(config: TrainConfig, student: Backbone, processor: Processor, engine: RolloutEngine) -> StudentModel:
    return StudentModel(
        processor=processor,
        engine=engine,
        identity=identity_of(processor, student.vocab_size),
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_new_tokens=config.rollout.max_new_tokens,
    )


def _base(config: TrainConfig, student: Processor) -> TeacherRouter:
    routes = Routes(teachers=("base",), domains={}, default="base")
    return TeacherRouter({"base": load_base(config, student)}, routes, config.teacher_temperature)


def _check_ranks(world: World, student: Backbone, roster: Roster | None, base: TeacherRouter | None) -> None:
    """Raises UserError unless all processes hold the same weights of every model that each loads for itself."""
    if world.size == 1:
        return
    scorers = {name: entry.model.scorer for name, entry in roster.entries.items()} if roster else {}
    scorers |= base.teachers if base else {}
    local = {name: scorer.backbone for name, scorer in scorers.items() if isinstance(scorer, LocalTeacher)}
    held = {"model": student, **{f"teacher={name}": backbone for name, backbone in local.items()}}
    fingerprints = world.gather({name: fingerprint(backbone.model) for name, backbone in held.items()})
    world.from_main(lambda: check_same(fingerprints))


def _response_engine(
    config: TrainConfig, engine: RolloutEngine, roster: Roster | None, processor: Processor
) -> RolloutEngine:
    """The engine that writes the responses to learn from."""
    if config.recipe.responses is Responses.GOLD:
        return GoldResponses(processor)
    return roster.engine if roster and config.recipe.responses is Responses.TEACHER else engine


def _prompts(run: Run, processor: Processor, train: Corpus, skipped: tuple[Skip, ...], world: World) -> PromptStream:
    state, config = run.state, run.config
    mixture = Mixture(train.samples, config.seed, state.mixture if state else None)
    return PromptStream(mixture, processor, config.data.max_prompt_tokens, world, state.skipped if state else skipped)


def _validator(
    config: TrainConfig, task: Task, processor: Processor, questions: Sequence[Sample], world: World
) -> Validator:
    return Validator(
        task=task,
        processor=processor,
        samples=questions,
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_new_tokens=config.rollout.max_new_tokens,
        world=world,
        stop_strings=tuple(config.rollout.stop),
    )


def _benchmarks(config: TrainConfig, processor: Processor, world: World) -> Benchmarks | None:
    """Evaluates the student on benchmarks, None without any. The main process reads their rows here."""
    if not config.benchmarks.tasks:
        return None
    from uniopd_mm.evaluation.live import LiveBenchmarks, load_tasks  # lmms-eval is optional

    tasks: list[Any] = []
    world.from_main(lambda: tasks.extend(load_tasks(config.benchmarks)))
    return LiveBenchmarks(
        tasks=tasks,
        processor=processor,
        limit=config.benchmarks.limit,
        max_prompt_tokens=config.data.max_prompt_tokens,
        seed=config.seed,
        world=world,
    )


def _tracker(run: Run, world: World) -> Tracker:
    options = run.config.tracking
    return open_tracker(
        run.folder,
        TrackingOptions(
            progress=options.progress,
            rollouts_every=options.rollouts_every,
            tensorboard=options.tensorboard,
            wandb=options.wandb,
            wandb_project=options.wandb_project,
            wandb_mode=options.wandb_mode,
        ),
        world=world,
        total_steps=run.config.trainer.steps,
        resume_step=(run.step if run.state else -1) if run.resumed else None,
        config=OmegaConf.to_container(OmegaConf.structured(run.config)),  # type: ignore[arg-type]
    )


def _beginning(parts: Parts, roster: Roster | None) -> Progress:
    """Measure student and teachers on the same questions before the first step, and the student on benchmarks, which
    metrics.jsonl has as step 0."""
    before = parts.validate(parts.engine, "student before")
    teacher = parts.validate(roster.engine, "teacher") if roster else None
    warn_of_skips(before.skipped, *SKIPPED)
    asked = sum(before.asked.values())
    measured = f", teacher {teacher.overall:.3f}" if teacher else ""
    note(f"on {asked} held-out questions: student {before.overall:.3f}{measured}")
    if parts.benchmarks:
        scores = parts.benchmarks(parts.engine, 0)
        parts.tracker.log_step(StepMetrics(step=0, values=scores))
        note(f"on benchmarks: {scores['benchmark/mean']:.1f} of 100")
    return Progress(before=before, teacher=teacher)
