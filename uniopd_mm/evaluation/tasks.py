"""Tasks of lmms-eval, ours and its own, loaded with data that may lie in a folder of the user's."""

import difflib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub.constants import HF_HOME

from uniopd_mm.evaluation.available import require_lmms_eval
from uniopd_mm.evaluation.library import HUB, our_tasks, takes_several
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.runtime.rng import untouched_rng
from uniopd_mm.types import UserError

if TYPE_CHECKING:
    from lmms_eval.api.task import ConfigurableMessagesTask
    from lmms_eval.tasks import TaskManager

DATA_ROOT = "UNIOPD_MM_DATA_ROOT"  # where tasks of ours look for files beside their rows


def load_task(
    name: str,
    *,
    data_root: Path | None = None,
    num_samples: int | None = None,
    max_new_tokens: int | None = None,
) -> "ConfigurableMessagesTask":
    """A task by its name, its rows read.

    Args:
        data_root: folder that has data sets as the hub has them, as DATA_ROOT/OWNER/NAME; those it lacks come from the
            hub. Also put into the environment, for tasks that read further files.
        num_samples: responses to each question, of a task that scores several; None for the task's own number.
        max_new_tokens: of a response; None for the task's own limit.

    Raises:
        UserError: there is no such task, or its data cannot be loaded.
    """
    require_lmms_eval()
    if data_root is not None:
        data_root = Path(data_root).absolute()
        os.environ[DATA_ROOT] = str(data_root)
    with untouched_rng():
        config = _config(name)
        task = _loaded(name, changed(config, data_root, num_samples), config.get("dataset_path"))
    if max_new_tokens is not None:  # only now: a task may have generation_kwargs by the kind of model, too
        task.set_config(key="generation_kwargs", value={"max_new_tokens": max_new_tokens}, update=True)
    return task


def require_metric(task: "ConfigurableMessagesTask", metric: str, prefix: str = "") -> None:
    """Raises UserError where a task will not have the metric that counts, before it is asked anything."""
    name, metrics = task.config.task, [str(entry["metric"]) for entry in task.config.metric_list or ()]
    if metrics and metric.partition(",")[0] not in metrics:
        raise UserError(
            f"{prefix}{name} has no metric {metric}, but {', '.join(metrics)}; give it as {name}:{metrics[0]}:1, "
            "where 1 is the full mark, or 100"
        )


def changed(config: Mapping[str, Any], data_root: Path | None, num_samples: int | None) -> dict[str, Any]:
    """A task's configuration with the user's choices of data and of responses to a question in it."""
    config = dict(config)
    if data_root is not None:
        config |= _relocated(config, data_root)
    if num_samples is not None and takes_several(config):
        config |= {"repeats": num_samples, "filter_list": _taking(config["filter_list"], num_samples)}
    return config


def _config(name: str) -> dict[str, Any]:
    """What the task's YAML says. Ours is read by itself: it takes ten seconds to look through lmms-eval's."""
    from lmms_eval.utils import load_yaml_config

    if name in our_tasks():
        return load_yaml_config(str(our_tasks()[name]), mode="full")
    os.environ.setdefault("HF_HOME", HF_HOME)  # some of its tasks cannot be read without
    manager = _manager()
    entry = manager.task_index.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, [*our_tasks(), *manager.all_tasks], n=3)
        meant = f"did you mean {', '.join(near)}?" if near else "`lmms-eval tasks list` prints those there are"
        raise UserError(f"task {name}: there is no such task; {meant}")
    if entry["type"] not in ("task", "python_task"):
        raise UserError(f"task {name}: it is a {entry['type']} of several tasks; name each of them")
    return load_yaml_config(entry["yaml_path"], mode="full")


@cache
def _manager() -> "TaskManager":
    from lmms_eval.tasks import TaskManager

    return TaskManager("ERROR")


def _loaded(name: str, config: dict[str, Any], place: str | None) -> "ConfigurableMessagesTask":
    """`place` is where the hub has its data."""
    from lmms_eval.api.task import ConfigurableMessagesTask

    try:
        if "class" in config:  # a task that is a class of its own
            return _manager().load_task_or_group([config], "chat")[name]
        return ConfigurableMessagesTask(config=config)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # of datasets, of the hub, or of a task's own code
        reason = in_short(_cause(error)) or type(error).__name__
        raise UserError(
            f"task {name}: its data {place} cannot be loaded: {reason}; put it into data_root=DIR as DIR/{place}, or "
            "see that the hub can be reached"
        ) from error


def _cause(error: BaseException) -> BaseException:
    """lmms-eval tries five times, and then says no more than that."""
    attempt = getattr(error, "last_attempt", None)
    return (attempt.exception() if attempt is not None else None) or error


def _relocated(config: Mapping[str, Any], root: Path) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    place = config.get("dataset_path")
    if isinstance(place, str) and not Path(place).is_absolute() and (root / place).is_dir():
        changes["dataset_path"] = str(root / place)
    options = config.get("dataset_kwargs") or {}
    if "data_files" in options:
        changes["dataset_kwargs"] = {**options, "data_files": _local_files(options["data_files"], root)}
    return changes


def _local_files(files: Any, root: Path) -> Any:
    """`hf://datasets/OWNER/NAME/FILE` in texts, lists and mappings, as files below the root if OWNER/NAME is there."""
    if isinstance(files, Mapping):
        return {split: _local_files(entry, root) for split, entry in files.items()}
    if isinstance(files, (list, tuple)):
        return [_local_files(entry, root) for entry in files]
    if not str(files).startswith(HUB):
        return files
    owner, name, file = str(files).removeprefix(HUB).split("/", 2)
    return str(root / owner / name / file) if (root / owner / name).is_dir() else files


def _taking(pipelines: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The filters of a task, with `number` in the place of each k that take_first_k has."""
    return [
        {
            **pipeline,
            "filter": [
                {**function, "k": number} if function["function"] == "take_first_k" else function
                for function in pipeline["filter"]
            ],
        }
        for pipeline in pipelines
    ]
