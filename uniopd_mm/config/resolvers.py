"""What configurations may compute: the values of an experiment with real checkpoints when it is rehearsed with the zoo.

    data.path: ${real:'hub:zwhe99/DeepMath-103K'}    null where the student is made by a builder (model=tiny)
    teacher.builder: ${stand_in:zoo.expert}          that node there, null with a real student
    name: ${basename:${model.path}}                  the last part of a path or hub name
    subset: ${at_hub:MC}                             null where `path` beside it names files, which have no subsets
    source_split: ${at_hub:test,train}               train where it does
    max_model_len: ${sum:${data.max_prompt_tokens},${rollout.max_new_tokens}}

So `experiment=NAME trainer.steps=2 model=tiny` runs every part of an experiment on synthetic samples in a minute.
"""

from pathlib import PurePath
from typing import Any

from omegaconf import DictConfig, OmegaConf


def register() -> None:
    """Make the resolvers known to OmegaConf."""
    OmegaConf.register_new_resolver("real", _real, replace=True)
    OmegaConf.register_new_resolver("stand_in", _stand_in, replace=True)
    OmegaConf.register_new_resolver("at_hub", _at_hub, replace=True)
    OmegaConf.register_new_resolver("basename", _basename, replace=True)
    OmegaConf.register_new_resolver("sum", lambda *numbers: sum(numbers), replace=True)


def _basename(path: str | None) -> str:
    return PurePath(path).name if path else "checkpoint"


def _real(value: Any, *, _root_: DictConfig) -> Any:
    return None if _is_rehearsal(_root_) else value


def _stand_in(key: str, *, _root_: DictConfig) -> Any:
    return OmegaConf.select(_root_, key) if _is_rehearsal(_root_) else None


def _at_hub(value: Any, otherwise: Any = None, *, _parent_: DictConfig) -> Any:
    path = OmegaConf.select(_parent_, "path")
    return value if path is None or str(path).startswith("hub:") else otherwise


def _is_rehearsal(root: DictConfig) -> bool:
    return OmegaConf.select(root, "model.builder") is not None
