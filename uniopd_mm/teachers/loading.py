"""A teacher's checkpoint in the engine that runs it: transformers or vLLM in this process, or servers elsewhere."""

from dataclasses import dataclass, field
from typing import Any, final

from uniopd_mm.config.components import build
from uniopd_mm.config.parts import Engine, Reads, TeacherConfig
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.inference.options import with_dtype
from uniopd_mm.interfaces import Processor, RolloutEngine, Teacher
from uniopd_mm.models.backbone import Backbone, load_model
from uniopd_mm.models.compatibility import compare, refuse
from uniopd_mm.models.identity import Identity, identity_of
from uniopd_mm.models.loading import checkpoint, load_processor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.local import LocalTeacher, check_vocabulary
from uniopd_mm.types import UserError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class TeacherModel:
    """One teacher in its own token ids: `scorer` scores them, `writer` writes them, `processor` reads and makes them.
    `vocab_size` is the number of ids that the model knows, `identity` what it says of itself, None where it cannot."""

    scorer: Teacher
    writer: RolloutEngine
    processor: Processor
    vocab_size: int
    identity: Identity | None


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreOptions:
    """What a recipe asks of scores: the likeliest tokens' log-probs, or the states that make whole distributions."""

    top_k: int = 0
    keep_hidden: bool = False

    @property
    def distributions(self) -> bool:
        return self.keep_hidden or self.top_k > 0


@final
@dataclass(frozen=True, slots=True)
class TeacherLoader:
    """Loads loader; those of one checkpoint share its weights.

    Args:
        student: whose ids and media teachers with `reads=IDS` are given; None where none is known yet.
    """

    options: ScoreOptions
    student: Processor | None = None
    _loaded: dict[tuple[Engine, str, str], Any] = field(default_factory=dict)

    def load(self, plan: TeacherConfig, key: str) -> TeacherModel:
        """The model that `plan` describes; `key` names it in errors.

        Raises:
            UserError: it cannot be loaded or reached, or its engine cannot say what is asked.
        """
        if self.options.keep_hidden and plan.engine is not Engine.hf:
            raise UserError(
                f"{key}.engine={plan.engine.name}: the recipe needs whole distributions, which only engine=hf gives; "
                "set recipe.objective.top_k to compare the likeliest tokens, or choose recipe=opd"
            )
        if plan.engine is Engine.remote:
            return self._elsewhere(plan, key)
        path = checkpoint(plan, key)
        processor = load_processor(plan, key, path)
        if plan.engine is Engine.vllm:
            return self._in_vllm(plan, key, path, processor)
        return self._in_transformers(plan, key, path, processor)

    def _in_transformers(self, plan: TeacherConfig, key: str, path: str, processor: Processor) -> TeacherModel:
        place = (Engine.hf, path, plan.dtype)
        if place not in self._loaded:
            self._loaded[place] = Backbone(load_model(path, f"{key}.path"), dtype=plan.dtype)
        backbone: Backbone = self._loaded[place]
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
            writer=HFRollout(backbone, processor),
            processor=processor,
            vocab_size=backbone.vocab_size,
            identity=identity_of(processor, backbone.vocab_size),
        )

    def _in_vllm(self, plan: TeacherConfig, key: str, path: str, processor: Processor) -> TeacherModel:
        from uniopd_mm.inference.engine import VLLMEngine  # vLLM's side is for those who have it
        from uniopd_mm.rollout.vllm import VLLMRollout
        from uniopd_mm.teachers.vllm import VLLMTeacher

        options = with_dtype(plan.vllm, plan.dtype)
        place = (Engine.vllm, path, str(options))
        if place not in self._loaded:
            shared = self.student is not None  # a server has the GPU to itself
            self._loaded[place] = VLLMEngine(
                path, options, key=f"{key}.vllm", max_logprobs=max(1, self.options.top_k), sleeps=shared
            )
        engine: VLLMEngine = self._loaded[place]
        return TeacherModel(
            scorer=VLLMTeacher(plan.name, engine, top_k=self.options.top_k),
            writer=VLLMRollout(engine, processor.vocabulary),
            processor=processor,
            vocab_size=engine.vocab_size,
            identity=identity_of(processor, engine.vocab_size, preprocesses=True),
        )

    def _elsewhere(self, plan: TeacherConfig, key: str) -> TeacherModel:
        """On servers, whose own processor only they know: what is sent is read with the student's, or with the one that
        makes the teacher's prompts."""
        from uniopd_mm.teachers.remote import RemoteTeacher

        own = plan.reads is not Reads.IDS or self.student is None
        processor = load_processor(plan, key, str(plan.path)) if own else self.student
        assert processor is not None
        teacher = RemoteTeacher.connect(plan, key, top_k=self.options.top_k, vocabulary=processor.vocabulary)
        return TeacherModel(
            scorer=teacher,
            writer=teacher,
            processor=processor,
            vocab_size=teacher.vocab_size,
            identity=teacher.identity,
        )


def load_base(config: TrainConfig, student: Processor) -> LocalTeacher:
    """The base model of reward extrapolation: `recipe.base_path`, or the student as it is before its first step."""
    path = config.recipe.base_path or checkpoint(config.model, "model")
    try:
        processor: Processor = build(config.model.processor, "model.processor", path=path)
        check_vocabulary(student.vocabulary, processor.vocabulary, path)
        here, there = identity_of(student, 0), identity_of(processor, 0)
        refuse(path, compare(here, there, Reads.IDS, here.kinds), remedy="choose a model of the student's family")
    except UserError as error:
        raise UserError(f"recipe.base_path={path}: {error}") from error
    backbone = Backbone(load_model(path, "recipe.base_path"), dtype=config.teacher.dtype)
    return LocalTeacher("base", backbone, processor.vocabulary, max_tokens=config.teacher.max_tokens)
