"""The entry point through which lmms-eval finds the models `uniopd_hf` and `uniopd_vllm` of this package."""

from lmms_eval.models.registry_v2 import ModelManifest

CLASSES = {"uniopd_hf": "UniopdHF", "uniopd_vllm": "UniopdVLLM"}


def manifests() -> list[ModelManifest]:
    """Both are chat models; a class is imported only when it is chosen."""
    return [
        ModelManifest(model_id=name, chat_class_path=f"uniopd_mm.evaluation.lmms_model.{cls}")
        for name, cls in CLASSES.items()
    ]
