"""From a configuration to its checkpoints: the student, and the base model of a recipe, with their processors."""

from uniopd_mm.backbone import Backbone, load_model
from uniopd_mm.compatibility import compare, refuse
from uniopd_mm.components import build
from uniopd_mm.config import DataConfig, ModelConfig, TrainConfig
from uniopd_mm.config_parts import Reads, TeacherConfig
from uniopd_mm.data.cache import CachedProcessor
from uniopd_mm.identity import identity_of
from uniopd_mm.interfaces import Processor
from uniopd_mm.teachers.local import LocalTeacher, check_vocabulary
from uniopd_mm.types import UserError


def load_student(node: ModelConfig, data: DataConfig, folder: str | None = None) -> tuple[Backbone, Processor]:
    """The student and its processor, which remembers prompts. `folder` is a run's own checkpoint, None for the
    model's.

    Raises:
        UserError: there is no such checkpoint, or its processor cannot be built.
    """
    path = folder or checkpoint(node, "model")
    processor = CachedProcessor(load_processor(node, "model", path), data.prompt_cache_mb << 20)
    model = load_model(path, "model.path")
    if node.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    backbone = Backbone(model, banned_ids=processor.vocabulary.banned_ids, dtype=node.dtype)
    _check_ids(backbone, processor, path)
    return backbone, processor


def _check_ids(backbone: Backbone, processor: Processor, path: str) -> None:
    """Raises UserError where ids that end a response, or that must not be drawn, are none of the model's."""
    highest = max((*processor.vocabulary.stop_ids, *processor.vocabulary.banned_ids))
    if highest >= backbone.vocab_size:
        raise UserError(
            f"model.path={path}: its tokenizer's id {highest} is beyond the {backbone.vocab_size} ids of its model; "
            "give a checkpoint whose tokenizer is its own"
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


def load_processor(node: ModelConfig | TeacherConfig, key: str, path: str) -> Processor:
    """Raises UserError where the checkpoint's folder lacks what the processor needs."""
    try:
        return build(node.processor, f"{key}.processor", path=path)
    except UserError as error:
        raise UserError(f"{key}.path={path}: {error}") from error


def checkpoint(node: ModelConfig | TeacherConfig, key: str) -> str:
    """Where the checkpoint lies, after its builder has made it if there is one."""
    if node.builder is None:
        return str(node.path)
    return build(node.builder, f"{key}.builder")
