"""What lmms-eval finds of this package: its models `uniopd_hf` and `uniopd_vllm`."""

from lmms_eval.models.registry_v2 import ModelManifest

CLASSES = {"uniopd_hf": "UniopdHF", "uniopd_vllm": "UniopdVLLM"}


def manifests() -> list[ModelManifest]:
    """Both are chat models; a class is imported when it is chosen."""
    return [
        ModelManifest(model_id=name, chat_class_path=f"uniopd_mm.evaluation.lmms_model.{cls}")
        for name, cls in CLASSES.items()
    ]
