"""Teachers as a configuration names them, and the student that they are compared with."""

from typing import Any

from uniopd_mm.config.parts import RoutingConfig, TeacherConfig
from uniopd_mm.config.train import DataConfig, TrainConfig
from uniopd_mm.models.backbone import Backbone
from uniopd_mm.models.identity import identity_of
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout
from uniopd_mm.teachers.loading import ScoreOptions
from uniopd_mm.teachers.probe import StudentModel
from uniopd_mm.teachers.roster import Roster, load_roster

VL = {"_target_": "uniopd_mm.processors.qwen_vl.QwenVLProcessor", "video_num_frames": 6}
TEXT = {"_target_": "uniopd_mm.processors.text.TextProcessor"}


def roster(
    student: QwenVLProcessor, teachers: dict[str, Any], options: ScoreOptions | None = None, **routing: Any
) -> Roster:
    config = TrainConfig(
        task={},
        model=None,  # type: ignore[arg-type]
        teacher=TeacherConfig(name="common", processor=VL),
        teachers=teachers,
        rollout=None,  # type: ignore[arg-type]
        recipe=None,  # type: ignore[arg-type]
        routing=RoutingConfig(**routing),
        data=DataConfig(),
    )
    return load_roster(config, student, ("video_qa", "math"), options or ScoreOptions())


def student_model(processor: QwenVLProcessor, backbone: Backbone, **limits: int) -> StudentModel:
    return StudentModel(
        processor=processor,
        engine=HFRollout(backbone, processor),
        identity=identity_of(processor, backbone.vocab_size),
        **{"max_prompt_tokens": 4096, "max_new_tokens": 12, **limits},
    )
