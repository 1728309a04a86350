"""The teachers of a run: loaded, checked against the student, and told who teaches what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, final

from uniopd_mm.backbone import Backbone, load_model
from uniopd_mm.checks import teacher_plans
from uniopd_mm.config import TrainConfig
from uniopd_mm.config_parts import Reads, TeacherConfig
from uniopd_mm.data.cache import CachedProcessor
from uniopd_mm.interfaces import Processor, RolloutEngine, Teacher
from uniopd_mm.loading import checkpoint, load_processor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.answers import OwnPromptAnswers, TeacherAnswers
from uniopd_mm.teachers.local import LocalTeacher, check_vocabulary
from uniopd_mm.teachers.own_prompt import OwnPrompt, OwnPromptTeacher
from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.teachers.routes import Routes, build_routes
from uniopd_mm.teachers.translation import TextTranslation, TokenTranslation, Translation
from uniopd_mm.types import UserError

ONE_DISTRIBUTION = (
    "the recipe compares distributions with one teacher's; give each prompt one teacher, or choose recipe=opd"
)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One teacher: `scorer` and `writer` speak in the student's tokens, `local` and `processor` in its own. `prompts`
    is None where it reads the student's."""

    plan: TeacherConfig
    local: LocalTeacher
    processor: Processor
    prompts: OwnPrompt | None
    scorer: Teacher
    writer: RolloutEngine


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Faculty:
    """All teachers by name, and who teaches what."""

    members: Mapping[str, Member]
    routes: Routes

    @property
    def router(self) -> TeacherRouter:
        return TeacherRouter({name: member.scorer for name, member in self.members.items()}, self.routes)

    @property
    def tells_distributions(self) -> bool:
        """Whether scores hold whole distributions or those of the likeliest tokens."""
        return any(member.local.top_k or member.local.keep_hidden for member in self.members.values())

    @property
    def answers(self) -> TeacherAnswers:
        return TeacherAnswers({name: member.writer for name, member in self.members.items()}, self.routes)


def load_faculty(config: TrainConfig, student: Processor, domains: Iterable[str], **asked: Any) -> Faculty:
    """Every teacher of the configuration; what a recipe asks of scores is passed on. Teachers of one checkpoint share
    its weights.

    Raises:
        UserError: a checkpoint that is not there, a teacher that cannot read the student, or a route to nobody.
    """
    plans = teacher_plans(config)
    routes = build_routes(config.routing, tuple(plans), domains)  # before anything is loaded
    weights: dict[tuple[str, str], Backbone] = {}
    keys = {name: f"teachers.{name}" if config.teachers else "teacher" for name in plans}
    if any(asked.values()):
        _check_distributions({keys[name]: plan for name, plan in plans.items()}, routes)
    members = {
        name: _member(name, plan, keys[name], student, config.data.prompt_cache_mb, weights, asked)
        for name, plan in plans.items()
    }
    return Faculty(members=members, routes=routes)


def _check_distributions(plans: Mapping[str, TeacherConfig], routes: Routes) -> None:
    """Distributions, whole or of the likeliest tokens, are over the student's own ids, and of one teacher."""
    for key, plan in plans.items():
        if plan.reads is not Reads.IDS:
            raise UserError(
                f"{key}.reads={plan.reads.name}: the recipe compares distributions over the student's own ids, and of "
                "these nothing can be translated; set reads=IDS, or choose recipe=opd"
            )
    for weights in (*routes.domains.values(), *(rule.teachers for rule in routes.rules)):
        if len(weights) > 1:
            raise UserError(f"routing: {' and '.join(weights)} teach the same prompts, and {ONE_DISTRIBUTION}")


def _member(
    name: str,
    plan: TeacherConfig,
    key: str,
    student: Processor,
    cache_mb: int,
    weights: dict[tuple[str, str], Backbone],
    asked: Mapping[str, Any],
) -> Member:
    path = checkpoint(plan, key)
    processor = load_processor(plan, key, path)
    if plan.reads is Reads.IDS:
        check_vocabulary(student.vocabulary, processor.vocabulary, name)
    if (path, plan.dtype) not in weights:
        weights[path, plan.dtype] = Backbone(load_model(path, f"{key}.path"), dtype=plan.dtype)
    backbone = weights[path, plan.dtype]
    local = LocalTeacher(name, backbone, processor.vocabulary, max_tokens=plan.max_tokens, **asked)
    if plan.reads is Reads.IDS:
        writer = HFRollout(backbone, student.vocabulary)
        return Member(plan=plan, local=local, processor=processor, prompts=None, scorer=local, writer=writer)
    own = OwnPrompt(processor=CachedProcessor(processor, cache_mb << 20), media=plan.media)
    translation = _translation(plan, name, student, processor)
    return Member(
        plan=plan,
        local=local,
        processor=processor,
        prompts=own,
        scorer=OwnPromptTeacher(local, own, translation),
        writer=OwnPromptAnswers(HFRollout(backbone, processor.vocabulary), own, translation),
    )


def _translation(plan: TeacherConfig, name: str, student: Processor, teacher: Processor) -> Translation:
    if plan.reads is Reads.TOKENS:
        return TokenTranslation(student, teacher, name)
    return TextTranslation(student, teacher)
