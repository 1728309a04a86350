"""Loads tasks of lmms-eval, ours and its own, with data from a local folder if available."""

import difflib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub.constants import HF_HOME

from uniopd_mm.evaluation.available import require_lmms_eval
from uniopd_mm.evaluation.library import HUB, our_tasks, scores_several_responses
from uniopd_mm.runtime.reasons import in_short
from uniopd_mm.runtime.rng import untouched_rng
from uniopd_mm.types import UserError

if TYPE_CHECKING:
    from lmms_eval.api.task import ConfigurableMessagesTask
    from lmms_eval.tasks import TaskManager

DATA_ROOT = "UNIOPD_MM_DATA_ROOT"  # where our tasks look for files other than their rows


def load_task(
    name: str,
    *,
    data_root: Path | None = None,
    num_samples: int | None = None,
    max_new_tokens: int | None = None,
) -> "ConfigurableMessagesTask":
    """Load a task by name, including its rows.

    Args:
        data_root: folder with data sets in the layout of the hub, as DATA_ROOT/OWNER/NAME. Data sets that it lacks come
            from the hub. Also set in the environment, for tasks that read further files.
        num_samples: responses per question, for tasks that score several; None for the task's own number.
        max_new_tokens: token limit of a response; None for the task's own limit.

    Raises:
        UserError: the task does not exist, or its data cannot be loaded.
    """
    require_lmms_eval()
    if data_root is not None:
        data_root = Path(data_root).absolute()
        os.environ[DATA_ROOT] = str(data_root)
    with untouched_rng():
        config = _config(name)
        task = _loaded(name, changed(config, data_root, num_samples), config.get("dataset_path"))
    if max_new_tokens is not None:  # after loading, because generation_kwargs may depend on the kind of model
        task.set_config(key="generation_kwargs", value={"max_new_tokens": max_new_tokens}, update=True)
    return task


def require_metric(task: "ConfigurableMessagesTask", metric: str, prefix: str = "") -> None:
    """Raise UserError if a task lacks the metric that counts, before any question is answered."""
    name, metrics = task.config.task, [str(entry["metric"]) for entry in task.config.metric_list or ()]
    if metrics and metric.partition(",")[0] not in metrics:
        raise UserError(
            f"{prefix}{name} has no metric {metric}, but {', '.join(metrics)}; choose one as {name}:{metrics[0]}:1, "
            "where 1 is its full mark (1 or 100)"
        )


def changed(config: Mapping[str, Any], data_root: Path | None, num_samples: int | None) -> dict[str, Any]:
    """A task's configuration with the user's data folder and number of responses."""
    config = dict(config)
    if data_root is not None:
        config |= _relocated(config, data_root)
    if num_samples is not None and scores_several_responses(config):
        config |= {"repeats": num_samples, "filter_list": _with_k(config["filter_list"], num_samples)}
    return config


def _config(name: str) -> dict[str, Any]:
    """The content of the task's YAML. Ours are read directly, because scanning lmms-eval's tasks takes ten seconds."""
    from lmms_eval.utils import load_yaml_config

    if name in our_tasks():
        return load_yaml_config(str(our_tasks()[name]), mode="full")
    os.environ.setdefault("HF_HOME", HF_HOME)  # some of its tasks cannot be read without it
    manager = _manager()
    entry = manager.task_index.get(name)
    if entry is None:
        near = difflib.get_close_matches(name, [*our_tasks(), *manager.all_tasks], n=3)
        hint = f"did you mean {', '.join(near)}?" if near else "`lmms-eval tasks list` lists all tasks"
        raise UserError(f"task {name}: there is no such task; {hint}")
    if entry["type"] not in ("task", "python_task"):
        raise UserError(f"task {name}: it is a {entry['type']} of several tasks; name its tasks instead")
    return load_yaml_config(entry["yaml_path"], mode="full")


@cache
def _manager() -> "TaskManager":
    from lmms_eval.tasks import TaskManager

    return TaskManager("ERROR")


def _loaded(name: str, config: dict[str, Any], repository: str | None) -> "ConfigurableMessagesTask":
    """`repository` is the hub repository of its data."""
    from lmms_eval.api.task import ConfigurableMessagesTask

    try:
        if "class" in config:  # the task has its own class
            return _manager().load_task_or_group([config], "chat")[name]
        return ConfigurableMessagesTask(config=config)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # raised by datasets, the hub, or the task's own code
        reason = in_short(_cause(error)) or type(error).__name__
        raise UserError(
            f"task {name}: its data {repository} cannot be loaded: {reason}; put them into DIR/{repository} and set "
            "data_root=DIR, or check that the hub can be reached"
        ) from error


def _cause(error: BaseException) -> BaseException:
    """lmms-eval retries five times and then only reports that; return the last attempt's error."""
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
    """Replace `hf://datasets/OWNER/NAME/FILE` in strings, lists and mappings by a file below the root, if OWNER/NAME
    exists there."""
    if isinstance(files, Mapping):
        return {split: _local_files(entry, root) for split, entry in files.items()}
    if isinstance(files, (list, tuple)):
        return [_local_files(entry, root) for entry in files]
    if not str(files).startswith(HUB):
        return files
    owner, name, file = str(files).removeprefix(HUB).split("/", 2)
    return str(root / owner / name / file) if (root / owner / name).is_dir() else files


def _with_k(pipelines: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """The filters of a task, with `number` as the k of every take_first_k."""
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
