"""`--help` of a command: its groups with their choices, and every key with its type, default and meaning."""

import textwrap
from collections.abc import Sequence
from dataclasses import MISSING, Field
from enum import Enum
from types import NoneType
from typing import Any, get_args

from uniopd_mm.cli.groups import composed_groups, documented_keys, groups
from uniopd_mm.cli.overrides import CHECKPOINT, MODELS

KEY_WIDTH, TYPE_WIDTH, WIDTH = 44, 14, 150


def help_text(schema: type, name: str, summary: str, config_dir: str | None = None) -> str:
    """Usage, the choices of every group, and each key with its default, its type and its meaning."""
    composed = set(composed_groups(name))
    offered = {group: choices for group, choices in groups(config_dir).items() if group in composed}
    lines = [summary, "", *_usage(name, bool(offered)), ""]
    if offered:
        lines += ["Groups (each choice is a YAML file in uniopd_mm/configs or in --config-dir):"]
        lines += [_wrapped(f"  {group:10} ", _choices(group, names), 13) for group, names in offered.items()]
        lines += [""]
    lines += ["Keys, with their defaults before a group's YAML file is applied (--cfg job prints the result):"]
    for key, entry in documented_keys(schema):
        if entry.metadata["help"].startswith("not used"):
            continue
        named = f"  {key + '=' + _default(entry):{KEY_WIDTH}} {type_of(entry):{TYPE_WIDTH}} "
        meaning = entry.metadata["help"].removeprefix("component: ").removeprefix("component that ")
        lines.append(_wrapped(named, meaning, KEY_WIDTH + TYPE_WIDTH + 4))
    return "\n".join(lines)


def _usage(name: str, has_groups: bool) -> list[str]:
    choices = "[GROUP=CHOICE ...] " if has_groups else ""
    return [
        f"python -m uniopd_mm.{name} {choices}[KEY=VALUE ...] [OPTION ...]",
        "",
        "Options, anywhere on the line:",
        "  --cfg job          print the composed configuration and stop",
        "  --multirun         one run for each combination of values: seed=0,1,2 --multirun",
        "  --config-dir DIR   add YAML files of your own: DIR/task/ocr.yaml is task=ocr",
        "  --help, --version",
    ]


def _choices(group: str, names: Sequence[str]) -> str:
    shown = ", ".join(name for name in names if name != CHECKPOINT)
    return f"{shown}, or any checkpoint folder or hub name" if group in MODELS else shown


def _wrapped(first: str, text: str, indent: int) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=" " * indent,
        break_on_hyphens=False,
        break_long_words=False,
    )


def type_of(entry: Field[Any]) -> str:
    """A field's type in words: int, float or null, text, list, one of an enum's names."""
    kinds = get_args(entry.type) if NoneType in get_args(entry.type) else (entry.type,)
    names = [_kind(kind, entry) for kind in kinds if kind is not NoneType]
    return " or ".join([*names, *(["null"] if NoneType in kinds else [])])


def _kind(kind: Any, entry: Field[Any]) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "choice"
    if entry.metadata["help"].startswith("component"):
        return "component"
    named = str(kind).partition("[")[0] if not isinstance(kind, type) else kind.__name__
    return {"str": "text", "bool": "true, false", "dict": "mapping", "typing.Any": "component"}.get(named, named)


def _default(entry: Field[Any]) -> str:
    if entry.default_factory is not MISSING:
        return str(entry.default_factory()).replace(" ", "")
    if isinstance(entry.default, Enum):
        return entry.default.name  # as it is written on the command line
    return {"None": "null", "True": "true", "False": "false"}.get(str(entry.default), str(entry.default))
