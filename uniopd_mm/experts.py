"""A teacher's checkpoint in the engine that runs it: transformers or vLLM in this process, or servers elsewhere."""

from dataclasses import dataclass, field
from typing import Any, final

from uniopd_mm.backbone import Backbone, load_model
from uniopd_mm.config_parts import Engine, Reads, TeacherConfig
from uniopd_mm.identity import Identity, identity_of
from uniopd_mm.inference.options import with_dtype
from uniopd_mm.interfaces import Processor, RolloutEngine, Teacher
from uniopd_mm.loading import checkpoint, load_processor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.local import LocalTeacher
from uniopd_mm.types import UserError


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Expert:
    """One teacher in its own token ids: `scorer` scores them, `writer` writes them, `processor` reads and makes them.
    `vocab_size` is the number of ids that the model knows, `identity` what it says of itself, None where it cannot."""

    scorer: Teacher
    writer: RolloutEngine
    processor: Processor
    vocab_size: int
    identity: Identity | None


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What a recipe asks of scores: the likeliest tokens' log-probs, or the states that make whole distributions."""

    top_k: int = 0
    keep_hidden: bool = False

    @property
    def distributions(self) -> bool:
        return self.keep_hidden or self.top_k > 0


@final
@dataclass(frozen=True, slots=True)
class Experts:
    """Loads experts; those of one checkpoint share its weights.

    Args:
        student: whose ids and media teachers with `reads=IDS` are given; None where none is known yet.
    """

    asked: Asked
    student: Processor | None = None
    _loaded: dict[tuple[Engine, str, str], Any] = field(default_factory=dict)

    def load(self, plan: TeacherConfig, key: str) -> Expert:
        """The expert that `plan` describes; `key` names it in errors.

        Raises:
            UserError: it cannot be loaded or reached, or its engine cannot say what is asked.
        """
        if self.asked.keep_hidden and plan.engine is not Engine.hf:
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

    def _in_transformers(self, plan: TeacherConfig, key: str, path: str, processor: Processor) -> Expert:
        place = (Engine.hf, path, plan.dtype)
        if place not in self._loaded:
            self._loaded[place] = Backbone(load_model(path, f"{key}.path"), dtype=plan.dtype)
        backbone: Backbone = self._loaded[place]
        scorer = LocalTeacher(
            plan.name,
            backbone,
            processor.vocabulary,
            max_tokens=plan.max_tokens,
            top_k=self.asked.top_k,
            keep_hidden=self.asked.keep_hidden,
        )
        return Expert(
            scorer=scorer,
            writer=HFRollout(backbone, processor),
            processor=processor,
            vocab_size=backbone.vocab_size,
            identity=identity_of(processor, backbone.vocab_size),
        )

    def _in_vllm(self, plan: TeacherConfig, key: str, path: str, processor: Processor) -> Expert:
        from uniopd_mm.inference.engine import VLLMEngine  # vLLM's side is for those who have it
        from uniopd_mm.rollout.vllm import VLLMRollout
        from uniopd_mm.teachers.vllm import VLLMTeacher

        options = with_dtype(plan.vllm, plan.dtype)
        place = (Engine.vllm, path, str(options))
        if place not in self._loaded:
            shared = self.student is not None  # a server has the GPU to itself
            self._loaded[place] = VLLMEngine(
                path, options, key=f"{key}.vllm", max_logprobs=max(1, self.asked.top_k), sleeps=shared
            )
        engine: VLLMEngine = self._loaded[place]
        return Expert(
            scorer=VLLMTeacher(plan.name, engine, top_k=self.asked.top_k),
            writer=VLLMRollout(engine, processor.vocabulary),
            processor=processor,
            vocab_size=engine.vocab_size,
            identity=identity_of(processor, engine.vocab_size, preprocesses=True),
        )

    def _elsewhere(self, plan: TeacherConfig, key: str) -> Expert:
        """On servers, whose own processor only they know: what is sent is read with the student's, or with the one that
        makes the teacher's prompts."""
        from uniopd_mm.teachers.remote import RemoteTeacher

        own = plan.reads is not Reads.IDS or self.student is None
        processor = load_processor(plan, key, str(plan.path)) if own else self.student
        assert processor is not None
        teacher = RemoteTeacher.connect(plan, key, top_k=self.asked.top_k, vocabulary=processor.vocabulary)
        return Expert(
            scorer=teacher,
            writer=teacher,
            processor=processor,
            vocab_size=teacher.vocab_size,
            identity=teacher.identity,
        )
