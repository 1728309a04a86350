"""The YAML files of our own lmms-eval tasks: their names, their metadata, and a hash of all that defines a task.

Does not import lmms-eval, which takes half a minute.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "benchmarks"
HUB = "hf://datasets/"  # prefix of a hub data set's file in a YAML


class _Loader(yaml.SafeLoader):
    """A YAML loader that reads `!function a.b.c` as the text a.b.c."""


_Loader.add_constructor("!function", lambda loader, node: loader.construct_scalar(node))


@cache
def our_tasks() -> Mapping[str, Path]:
    """The YAML file of each task of ours, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("uniopd_*.yaml"))}


@cache
def task_yaml(name: str) -> Mapping[str, Any]:
    """The full content of a task's YAML, with its includes. Functions are their dotted names."""
    return _merged(our_tasks()[name])


def task_metadata(name: str) -> Mapping[str, Any]:
    """`title`, `metric` (what the score is), `questions` and `download_gb`."""
    return task_yaml(name)["metadata"]


def settings_of(name: str) -> Mapping[str, Any]:
    """A task's metadata, `repeats` and `max_new_tokens`; empty for a task that is not ours."""
    if name not in our_tasks():
        return {}
    entries = task_yaml(name)
    length = entries["generation_kwargs"]["max_new_tokens"]
    return {**entries["metadata"], "repeats": entries.get("repeats", 1), "max_new_tokens": length}


def scores_several_responses(entries: Mapping[str, Any]) -> bool:
    """Whether a task scores several responses to each question, so that their number can be changed."""
    return any(
        function["function"] == "take_first_k"
        for pipeline in entries.get("filter_list") or ()
        for function in pipeline["filter"]
    )


def task_hash(name: str) -> str:
    """A hash of the task's YAML, the YAMLs it includes, the modules it names, and the modules of `uniopd_mm.tasks` that
    these use. Any change of prompt, setting or scorer changes it."""
    content = hashlib.sha256()
    for path in (*_files(our_tasks()[name]), *_modules(task_yaml(name))):
        content.update(path.read_bytes())
    return content.hexdigest()


def _merged(path: Path) -> dict[str, Any]:
    entries = yaml.load(path.read_text(), _Loader)
    base: dict[str, Any] = {}
    for included in _included(entries):
        base |= _merged(path.parent / included)
    return {**base, **{key: value for key, value in entries.items() if key != "include"}}


def _included(entries: Mapping[str, Any]) -> list[str]:
    include = entries.get("include") or []
    return [include] if isinstance(include, str) else list(include)


def _files(path: Path) -> Iterator[Path]:
    yield path
    for included in _included(yaml.load(path.read_text(), _Loader)):
        yield from _files(path.parent / included)


def _modules(entries: Mapping[str, Any]) -> list[Path]:
    """The source files of all functions that a YAML names, and of what they use, without duplicates and in a fixed
    order."""
    found: dict[str, Path] = {}
    pending = [text.rpartition(".")[0] for text in _strings(entries) if text.startswith("uniopd_mm.")]
    while pending:
        name = pending.pop()
        if name not in found and (path := _source(name)):
            found[name] = path
            pending += _used(path.read_text())
    return [found[name] for name in sorted(found)]


def _source(name: str) -> Path | None:
    """The file of a module of this package, without importing it; None for any other name."""
    place = Path(__file__).parents[1].joinpath(*name.split(".")[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


# Imports, and strings that name a module, for code that starts a module as a process.
_NAMED = re.compile(r"\b(uniopd_mm\.tasks(?:\.\w+)*)(?: import (?:\(([^)]*)\)|([\w ,]+)))?")


def _used(source: str) -> set[str]:
    """Names below `uniopd_mm.tasks` in a source text; some of them are not modules."""
    found = [(match[1], re.findall(r"\w+", match[2] or match[3] or "")) for match in _NAMED.finditer(source)]
    return {name for module, members in found for name in (module, *(f"{module}.{member}" for member in members))}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from _strings(entry)
    elif isinstance(value, list):
        for entry in value:
            yield from _strings(entry)
