"""The composition root: from a run's configuration to a trainer that is ready to go."""

from collections.abc import Sequence
from typing import Any

import torch
from omegaconf import OmegaConf

from uniopd_mm.backbone import Backbone, load_model
from uniopd_mm.components import build, check_component
from uniopd_mm.config import ModelConfig, TeacherConfig, TrainConfig
from uniopd_mm.data.cache import CachedProcessor
from uniopd_mm.data.mixture import Mixture
from uniopd_mm.data.prompts import PromptStream
from uniopd_mm.distill.opd import OnPolicyDistillation
from uniopd_mm.interfaces import Processor, RolloutEngine, Task
from uniopd_mm.learner.learner import Learner
from uniopd_mm.progress import Progress, restore_rng_state
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.runfolder import Run
from uniopd_mm.teachers.local import LocalTeacher, check_vocabulary
from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.tracking.base import Tracker
from uniopd_mm.tracking.build import TrackingOptions, open_tracker
from uniopd_mm.tracking.console import note, warning
from uniopd_mm.trainer import Parts, Trainer
from uniopd_mm.types import Corpus, Skip, UserError
from uniopd_mm.validation import Validator

NAMED = 50  # skipped rows named on the console before training; summary.json has them all


def assemble(run: Run) -> Trainer:
    """Build every part, measure student and teacher, and restore what a resumed run knows.

    Raises:
        UserError: a part cannot be built, or the parts do not fit each other.
    """
    config, state = run.config, run.state
    check_components(config)
    task: Task = build(config.task, "task")
    train, held_out = _corpus(task, "train"), _corpus(task, "validation")
    skipped = tuple(dict.fromkeys((*train.skipped, *held_out.skipped)))  # a file's splits may list the same rows
    _name_skipped(skipped)
    student, processor = _student(run)
    teacher = _teacher(config, processor)
    engine: RolloutEngine = build(config.rollout.engine, "rollout.engine", **_generates(student, processor))
    learner = Learner(student, _objective(config), config.trainer)
    parts = Parts(
        task=task,
        processor=processor,
        prompts=_prompts(run, processor, train, skipped),
        engine=engine,
        router=TeacherRouter({task.domain: teacher}),
        objective=learner.objective,
        learner=learner,
        validate=_validator(config, task, processor, held_out),
        tracker=_tracker(run),
    )
    torch.manual_seed(config.seed)
    if state is None:
        return Trainer(parts=parts, config=config, run=run.folder, progress=_beginning(parts, teacher))
    learner.load_state_dict(state.learner)
    restore_rng_state(state.rng)
    return Trainer(parts=parts, config=config, run=run.folder, progress=state.progress)


def check_components(config: TrainConfig) -> None:
    """Every component's parameters, before anything is built.

    Raises:
        UserError: one that its target does not take.
    """
    components = {
        "task": config.task,
        "model.builder": config.model.builder,
        "model.processor": config.model.processor,
        "teacher.builder": config.teacher.builder,
        "teacher.processor": config.teacher.processor,
        "rollout.engine": config.rollout.engine,
    }
    for key, node in components.items():
        if node is not None:
            check_component(node, key)


def _corpus(task: Task, split: str) -> Corpus:
    """A split that has something in it."""
    corpus = task.samples(split)
    if not len(corpus):
        raise UserError(f"data.path: the {split} split is empty; give it rows, or change data.validation_fraction")
    return corpus


def _name_skipped(skipped: Sequence[Skip]) -> None:
    """On the console; of very many the first."""
    for skip in skipped[:NAMED]:
        warning(f"{skip.where}: {skip.reason}; skipped")
    if len(skipped) > NAMED:
        warning(f"{len(skipped) - NAMED} more rows skipped; summary.json names them all")


def _student(run: Run) -> tuple[Backbone, Processor]:
    config = run.config.model
    path = str(run.checkpoint / "student") if run.checkpoint else _checkpoint(config, "model")
    encoder = _processor(config, "model", path)
    processor = CachedProcessor(encoder, run.config.data.prompt_cache_mb << 20)
    model = load_model(path, "model.path")
    if config.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    return Backbone(model, banned_ids=processor.vocabulary.banned_ids, dtype=config.dtype), processor


def _teacher(config: TrainConfig, student: Processor) -> LocalTeacher:
    expert = config.teacher
    path = _checkpoint(expert, "teacher")
    processor = _processor(expert, "teacher", path)
    check_vocabulary(student.vocabulary, processor.vocabulary, expert.name)
    backbone = Backbone(load_model(path, "teacher.path"), dtype=expert.dtype)
    return LocalTeacher(expert.name, backbone, processor.vocabulary, max_tokens=expert.max_tokens)


def _processor(node: ModelConfig | TeacherConfig, key: str, path: str) -> Processor:
    try:
        return build(node.processor, f"{key}.processor", path=path)
    except UserError as error:
        raise UserError(f"{key}.path={path}: {error}") from error


def _checkpoint(node: ModelConfig | TeacherConfig, key: str) -> str:
    """Where the checkpoint lies, after its builder has made it if there is one."""
    if node.builder is None:
        return str(node.path)
    return build(node.builder, f"{key}.builder")


def _objective(config: TrainConfig) -> OnPolicyDistillation:
    recipe = config.recipe
    return OnPolicyDistillation(
        temperature=config.rollout.temperature,
        clip_low=recipe.clip_low,
        clip_high=recipe.clip_high,
        gate=recipe.gate,
        advantage_clip=recipe.advantage_clip,
        reduction=recipe.reduction,
    )


def _prompts(run: Run, processor: Processor, train: Corpus, skipped: tuple[Skip, ...]) -> PromptStream:
    state, config = run.state, run.config
    mixture = Mixture(train.samples, config.seed, state.position if state else 0)
    return PromptStream(mixture, processor, config.data.max_prompt_tokens, state.skipped if state else skipped)


def _validator(config: TrainConfig, task: Task, processor: Processor, held_out: Corpus) -> Validator:
    return Validator(
        task=task,
        processor=processor,
        samples=held_out.samples[: config.data.max_validation_samples],
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_new_tokens=config.rollout.max_new_tokens,
    )


def _tracker(run: Run) -> Tracker:
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
        total_steps=run.config.trainer.steps,
        resume_step=run.step if run.resumed else None,
        config=OmegaConf.to_container(OmegaConf.structured(run.config)),  # type: ignore[arg-type]
    )


def _beginning(parts: Parts, teacher: LocalTeacher) -> Progress:
    """Student and teacher, measured before the first step on the same questions."""
    before = parts.validate(parts.engine, "student before")
    expert = parts.validate(HFRollout(teacher.backbone, parts.processor.vocabulary), "teacher")
    _name_skipped(before.skipped)
    asked = sum(before.asked.values())
    note(f"on {asked} held-out questions: student {before.overall:.3f}, teacher {expert.overall:.3f}")
    return Progress(before=before, teacher=expert)


def _generates(student: Backbone, processor: Processor) -> dict[str, Any]:
    return {"backbone": student, "vocabulary": processor.vocabulary}
