"""Loads a teacher into the engine that runs it: transformers or vLLM in this process, or remote servers."""

from dataclasses import dataclass, field
from typing import Any, final

from uniopd_mm.config.components import build
from uniopd_mm.config.parts import Engine, Reads, TeacherConfig
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.inference.options import with_dtype
from uniopd_mm.interfaces import Processor, RolloutEngine, Teacher
from uniopd_mm.models.backbone import Backbone, load_backbone
from uniopd_mm.models.compatibility import compare, refuse
from uniopd_mm.models.identity import Identity, identity_of
from uniopd_mm.models.loading import checkpoint, load_processor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.local import LocalTeacher, check_vocabulary
from uniopd_mm.types import UserError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherModel:
    """A loaded teacher, in its own token ids: `scorer` scores them, `engine` generates them, `processor` encodes and
    decodes them. `vocab_size` is the number of the model's ids. `identity` is None if a server cannot report it."""

    scorer: Teacher
    engine: RolloutEngine
    processor: Processor
    vocab_size: int
    identity: Identity | None


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreOptions:
    """What a recipe needs beside log-probs: the likeliest tokens, or the hidden states of whole distributions; and the
    temperature of the distributions that it compares with the student's."""

    top_k: int = 0
    keep_hidden: bool = False
    temperature: float = 1.0

    @property
    def distributions(self) -> bool:
        """Whether it compares distributions, whole or of the likeliest tokens."""
        return self.keep_hidden or self.top_k > 0


@final
@dataclass(frozen=True, slots=True)
class TeacherLoader:
    """Loads teachers. Teachers of the same checkpoint, engine and dtype share its weights.

    Args:
        student: the processor whose ids and media teachers with `reads=IDS` get; None in a server.
    """

    options: ScoreOptions
    student: Processor | None = None
    _loaded: dict[tuple[Engine, str, str], Any] = field(default_factory=dict)

    def load(self, plan: TeacherConfig, key: str) -> TeacherModel:
        """Load the teacher of `plan`; `key` is its configuration key, for errors.

        Raises:
            UserError: it cannot be loaded or reached, or its engine does not return what the options need.
        """
        if self.options.keep_hidden and plan.engine is not Engine.hf:
            raise UserError(
                f"{key}.engine={plan.engine.name}: the recipe needs whole distributions, which only engine=hf gives; "
                "set recipe.objective.top_k to compare the likeliest tokens, or choose recipe=opd"
            )
        if plan.engine is Engine.remote:
            return self._on_servers(plan, key)
        path = checkpoint(plan, key)
        processor = load_processor(plan, key, path)
        if plan.engine is Engine.vllm:
            return self._in_vllm(plan, key, path, processor)
        return self._in_transformers(plan, key, path, processor)

    def _in_transformers(self, plan: TeacherConfig, key: str, path: str, processor: Processor) -> TeacherModel:
        loaded_as = (Engine.hf, path, plan.dtype)
        if loaded_as not in self._loaded:
            self._loaded[loaded_as] = load_backbone(path, f"{key}.path", dtype=plan.dtype)
        backbone: Backbone = self._loaded[loaded_as]
        scorer = LocalTeacher(
            plan.name,
            backbone,
            processor.vocabulary,
            max_tokens=plan.max_tokens,
            top_k=self.options.top_k,
            keep_hidden=self.options.keep_hidden,
        )
        return TeacherModel(
            scorer=scorer,
            engine=HFRollout(backbone, processor),
            processor=processor,
            vocab_size=backbone.vocab_size,
            identity=identity_of(processor, backbone.vocab_size),
        )

    def _in_vllm(self, plan: TeacherConfig, key: str, path: str, processor: Processor) -> TeacherModel:
        from uniopd_mm.inference.engine import VLLMEngine  # vLLM is optional
        from uniopd_mm.rollout.vllm import VLLMRollout
        from uniopd_mm.teachers.vllm import VLLMTeacher

        options = with_dtype(plan.vllm, plan.dtype)
        loaded_as = (Engine.vllm, path, str(options))
        if loaded_as not in self._loaded:
            shared = self.student is not None  # a server has the GPU to itself
            self._loaded[loaded_as] = VLLMEngine(
                path, options, key=f"{key}.vllm", max_logprobs=max(1, self.options.top_k), sleeps=shared
            )
        engine: VLLMEngine = self._loaded[loaded_as]
        return TeacherModel(
            scorer=VLLMTeacher(plan.name, engine, top_k=self.options.top_k),
            engine=VLLMRollout(engine, processor.vocabulary),
            processor=processor,
            vocab_size=engine.vocab_size,
            identity=identity_of(processor, engine.vocab_size, preprocesses=True),
        )

    def _on_servers(self, plan: TeacherConfig, key: str) -> TeacherModel:
        """Prompts are encoded here: by the student's processor, or by the teacher's own if it reads its own prompts."""
        from uniopd_mm.teachers.remote import RemoteTeacher

        own = plan.reads is not Reads.IDS or self.student is None
        processor = load_processor(plan, key, str(plan.path)) if own else self.student
        assert processor is not None
        teacher = RemoteTeacher.connect(plan, key, top_k=self.options.top_k, vocabulary=processor.vocabulary)
        return TeacherModel(
            scorer=teacher,
            engine=teacher,
            processor=processor,
            vocab_size=teacher.vocab_size,
            identity=teacher.identity,
        )


def load_base(config: TrainConfig, student: Processor) -> LocalTeacher:
    """The base model of reward extrapolation: `recipe.base_path`, or the student before its first step."""
    path = config.recipe.base_path or checkpoint(config.model, "model")
    try:
        processor: Processor = build(config.model.processor, "model.processor", path=path)
        check_vocabulary(student.vocabulary, processor.vocabulary, path)
        expected, found = identity_of(student, 0), identity_of(processor, 0)
        differences = compare(expected, found, Reads.IDS, expected.kinds)
        refuse(path, differences, remedy="choose a model of the student's family")
    except UserError as error:
        raise UserError(f"recipe.base_path={path}: {error}") from error
    backbone = load_backbone(path, "recipe.base_path", dtype=config.teacher.dtype)
    return LocalTeacher("base", backbone, processor.vocabulary, max_tokens=config.teacher.max_tokens)
