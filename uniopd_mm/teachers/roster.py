"""The roster: all teachers of a run, loaded and checked against the student, and which samples each one teaches."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import final

from uniopd_mm.config.checks import teacher_plans
from uniopd_mm.config.parts import Reads, TeacherConfig
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.data.cache import CachedProcessor
from uniopd_mm.interfaces import Processor, RolloutEngine, Teacher
from uniopd_mm.teachers.engines import EngineRouter, OwnPromptEngine
from uniopd_mm.teachers.loading import ScoreOptions, TeacherLoader, TeacherModel
from uniopd_mm.teachers.local import check_vocabulary
from uniopd_mm.teachers.own_prompt import OwnPrompts, OwnPromptTeacher
from uniopd_mm.teachers.router import TeacherRouter
from uniopd_mm.teachers.routes import Routes, build_routes
from uniopd_mm.teachers.translation import TextTranslation, TokenTranslation, Translation
from uniopd_mm.types import UserError

ONE_TEACHER = (
    "the recipe can use the distribution of only one teacher; give each prompt one teacher, or choose recipe=opd"
)


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class RosterEntry:
    """One teacher. `scorer` and `engine` use the student's tokens, `model` the teacher's own. `prompts` is None if it
    reads the student's prompts."""

    plan: TeacherConfig
    model: TeacherModel
    prompts: OwnPrompts | None
    scorer: Teacher
    engine: RolloutEngine


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Roster:
    """All teachers by name, which samples they teach, and what the recipe needs of their scores."""

    entries: Mapping[str, RosterEntry]
    routes: Routes
    options: ScoreOptions

    @property
    def router(self) -> TeacherRouter:
        """Scores each rollout with its teachers."""
        scorers = {name: entry.scorer for name, entry in self.entries.items()}
        return TeacherRouter(scorers, self.routes, self.options.temperature)

    @property
    def engine(self) -> EngineRouter:
        """Answers each prompt with its teacher."""
        return EngineRouter({name: entry.engine for name, entry in self.entries.items()}, self.routes)


def load_roster(config: TrainConfig, student: Processor, domains: Iterable[str], options: ScoreOptions) -> Roster:
    """Load every teacher of the configuration.

    Raises:
        UserError: a checkpoint is missing, a teacher cannot read the student's responses, or a route names an unknown
            teacher.
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
    """Raises UserError if distributions would be over other ids than the student's, or of several teachers."""
    for key, plan in plans.items():
        if plan.reads is not Reads.IDS:
            raise UserError(
                f"{key}.reads={plan.reads.name}: the recipe compares distributions over the student's own ids, which "
                "cannot be translated; set reads=IDS, or choose recipe=opd"
            )
    for weights in (*routes.domains.values(), *(rule.teachers for rule in routes.rules)):
        if len(weights) > 1:
            raise UserError(f"routing: {' and '.join(weights)} teach the same prompts, and {ONE_TEACHER}")


def _entry(name: str, plan: TeacherConfig, model: TeacherModel, student: Processor, cache_mb: int) -> RosterEntry:
    if plan.reads is Reads.IDS:
        check_vocabulary(student.vocabulary, model.processor.vocabulary, name)
        return RosterEntry(plan=plan, model=model, prompts=None, scorer=model.scorer, engine=model.engine)
    translation: Translation
    if plan.reads is Reads.TOKENS:
        translation = TokenTranslation(student, model.processor, name)
    else:
        translation = TextTranslation(student, model.processor)
    prompts = OwnPrompts(processor=CachedProcessor(model.processor, cache_mb << 20), media=plan.media)
    return RosterEntry(
        plan=plan,
        model=model,
        prompts=prompts,
        scorer=OwnPromptTeacher(model.scorer, prompts, translation),
        engine=OwnPromptEngine(model.engine, prompts, translation),
    )
