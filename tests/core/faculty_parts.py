"""Teachers as a configuration names them, and the student that they are compared with."""

from typing import Any

from uniopd_mm.backbone import Backbone
from uniopd_mm.config import DataConfig, TrainConfig
from uniopd_mm.config_parts import RoutingConfig, TeacherConfig
from uniopd_mm.experts import Asked
from uniopd_mm.faculty import Faculty, load_faculty
from uniopd_mm.identity import identity_of
from uniopd_mm.probe import Student
from uniopd_mm.processors.qwen_vl import QwenVLProcessor
from uniopd_mm.rollout.hf import HFRollout

VL = {"_target_": "uniopd_mm.processors.qwen_vl.QwenVLProcessor", "video_num_frames": 6}
TEXT = {"_target_": "uniopd_mm.processors.text.TextProcessor"}


def faculty(student: QwenVLProcessor, teachers: dict[str, Any], asked: Asked | None = None, **routing: Any) -> Faculty:
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
    return load_faculty(config, student, ("video_qa", "math"), asked or Asked())


def pupil(processor: QwenVLProcessor, backbone: Backbone, **limits: int) -> Student:
    return Student(
        processor=processor,
        engine=HFRollout(backbone, processor),
        identity=identity_of(processor, backbone.vocab_size),
        **{"max_prompt_tokens": 4096, "max_new_tokens": 12, **limits},
    )
