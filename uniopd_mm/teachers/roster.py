"""The teachers of a run: loaded, checked against the student, and told who teaches what."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from uniopd_mm.config.checks import teacher_plans
from uniopd_mm.config.parts import Reads, TeacherConfig
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.data.cache import CachedProcessor
from uniopd_mm.interfaces import Processor, RolloutEngine, Teacher
from uniopd_mm.teachers.answers import OwnPromptAnswers, TeacherAnswers
from uniopd_mm.teachers.loading import ScoreOptions, TeacherLoader, TeacherModel
from uniopd_mm.teachers.local import check_vocabulary
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
class RosterEntry:
    """One teacher: `scorer` and `writer` speak in the student's tokens, `model` in its own. `prompts` is None where it
    reads the student's."""

    plan: TeacherConfig
    model: TeacherModel
    prompts: OwnPrompt | None
    scorer: Teacher
    writer: RolloutEngine


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """All teachers by name, who teaches what, and what they are asked."""

    entries: Mapping[str, RosterEntry]
    routes: Routes
    options: ScoreOptions

    @property
    def router(self) -> TeacherRouter:
        return TeacherRouter({name: entry.scorer for name, entry in self.entries.items()}, self.routes)

    @property
    def answers(self) -> TeacherAnswers:
        return TeacherAnswers({name: entry.writer for name, entry in self.entries.items()}, self.routes)


def load_roster(config: TrainConfig, student: Processor, domains: Iterable[str], options: ScoreOptions) -> Roster:
    """Every teacher of the configuration.

    Raises:
        UserError: a checkpoint that is not there, a teacher that cannot read the student, or a route to nobody.
    """
    plans = teacher_plans(config)
    routes = build_routes(config.routing, tuple(plans), domains)  # before anything is loaded
    keys = {name: f"teachers.{name}" if config.teachers else "teacher" for name in plans}
    if options.distributions:
        _check_distributions({keys[name]: plan for name, plan in plans.items()}, routes)
    loader = TeacherLoader(options, student)
    entries = {
        name: _entry(name, plan, loader.load(plan, keys[name]), student, config.data.prompt_cache_mb)
        for name, plan in plans.items()
    }
    return Roster(entries=entries, routes=routes, options=options)


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


def _entry(name: str, plan: TeacherConfig, model: TeacherModel, student: Processor, cache_mb: int) -> RosterEntry:
    if plan.reads is Reads.IDS:
        check_vocabulary(student.vocabulary, model.processor.vocabulary, name)
        return RosterEntry(plan=plan, model=model, prompts=None, scorer=model.scorer, writer=model.writer)
    own = OwnPrompt(processor=CachedProcessor(model.processor, cache_mb << 20), media=plan.media)
    translation = _translation(plan, name, student, model.processor)
    return RosterEntry(
        plan=plan,
        model=model,
        prompts=own,
        scorer=OwnPromptTeacher(model.scorer, own, translation),
        writer=OwnPromptAnswers(model.writer, own, translation),
    )


def _translation(plan: TeacherConfig, name: str, student: Processor, teacher: Processor) -> Translation:
    if plan.reads is Reads.TOKENS:
        return TokenTranslation(student, teacher, name)
    return TextTranslation(student, teacher)
