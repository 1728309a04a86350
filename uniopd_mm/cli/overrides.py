"""Overrides as people write them, made into those that Hydra takes; a key that does not exist is refused.

data.columns.question=prompt    ->  ++data.columns.question=prompt     open keys need no +
+trainer.steps=3                ->  trainer.steps=3                    and a + does not make a key
checkpoints=runs/a              ->  checkpoints=[runs/a]               one value of a list
model=Qwen/Qwen3-VL-2B-Instruct ->  model=checkpoint model.path=...    a hub name or folder
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, Quote, QuotedString
from hydra.errors import HydraException

from uniopd_mm.cli.groups import composed_groups, documented_keys, groups, is_list, is_open, sections
from uniopd_mm.cli.habits import remedy_for
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.types import UserError

CHECKPOINT = "checkpoint"  # the choice of `model` and `teacher` for a hub name or folder
MODELS = ("model", "teacher")
OPTIONAL = ("data", "experiment")
KEY = re.compile(r"[+~]{0,2}[\w./@:-]+")
BUILT = re.compile(r"(model|teacher|teachers\.[^.]+)\.path")


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Vocabulary:
    """What the overrides of one command may name.

    Args:
        name: of the command.
        choices: the YAML files of every group, `composed` the groups that this command composes.
        keys: the schema's keys and sections; any name may stand below one of `open_keys`; `lists` have lists as values.
        refused: keys that the command does not use, with the reason. `task=mixture` refuses one choice.
    """

    name: str
    choices: Mapping[str, Sequence[str]]
    composed: frozenset[str]
    keys: frozenset[str]
    open_keys: frozenset[str]
    lists: frozenset[str]
    refused: Mapping[str, str]

    def is_open(self, key: str) -> bool:
        """Whether the key stands below an open one."""
        return any(key.startswith(f"{name}.") for name in self.open_keys)

    def is_group(self, key: str) -> bool:
        return key.partition("@")[0] in self.choices or key.startswith("hydra/")


def vocabulary(name: str, schema: type, refused: Mapping[str, str], config_dir: str | None = None) -> Vocabulary:
    """What the overrides of `python -m uniopd_mm.<name>` may name."""
    documented = dict(documented_keys(schema))
    return Vocabulary(
        name=name,
        choices=groups(config_dir),
        composed=frozenset(composed_groups(name)),
        keys=frozenset(documented) | sections(list(documented)),
        open_keys=frozenset(key for key, entry in documented.items() if is_open(entry)),
        lists=frozenset(key for key, entry in documented.items() if is_list(entry)),
        refused=refused,
    )


def hydra_overrides(arguments: Sequence[str], words: Vocabulary, *, multirun: bool = False) -> list[str]:
    """The overrides that Hydra is given.

    Raises:
        UserError: an argument that is not KEY=VALUE, a key that does not exist or that the command does not use, or
            several values without --multirun.
    """
    parsed = [parse(argument) for argument in arguments]
    for override in parsed:
        _check_use(override, words)
    chosen = [text for override in parsed for text in _written(override, words, multirun)]
    return [*_presets(parsed, words), *chosen]


def parse(argument: str) -> Override:
    """One override. A value outside of Hydra's grammar, such as a path with an umlaut, is taken as a text.

    Raises:
        UserError: it is not KEY=VALUE.
    """
    key, equals, value = argument.partition("=")
    as_text = equals and KEY.fullmatch(key) and not value.startswith(("[", "{", "'", '"'))
    for line in (argument, f"{key}={_quoted(value)}") if as_text else (argument,):
        with suppress(HydraException):
            return OverridesParser.create().parse_override(line)
    remedy = "write KEY=VALUE, and quote a value that holds commas, brackets or quotes"
    raise UserError(f"{argument}: not KEY=VALUE in Hydra's grammar; {remedy}")


def _quoted(text: str) -> str:
    return QuotedString(text=text, quote=Quote.single).with_quotes()


def _check_use(override: Override, words: Vocabulary) -> None:
    """Raises UserError where the command does not use the key."""
    key, line = override.key_or_group, str(override.input_line)
    for refused, remedy in words.refused.items():
        if refused == line.lstrip("+") or f"{key}.".startswith(f"{refused}."):
            raise UserError(f"{line}: {remedy}")
    if override.is_hydra_override() or words.is_open(key) or key in words.keys:
        return
    if words.is_group(key) and (key.partition("@")[0] in words.composed or override.is_add()):
        return
    trained = {name for name, _ in documented_keys(TrainConfig)} | set(composed_groups("train"))
    if words.name != "train" and (key in trained or key in sections(list(trained))):
        raise UserError(f"{line}: python -m uniopd_mm.{words.name} does not use it; leave it out")
    raise UserError(f"{line.lstrip('+')}: no such key; {remedy_for(key, words.keys)}")


def _written(override: Override, words: Vocabulary, multirun: bool) -> Iterator[str]:
    """The override for Hydra; several where a hub name stands for a choice and its path."""
    key, line = override.key_or_group, str(override.input_line)
    if override.is_hydra_override() or override.is_delete():
        yield line
    elif words.is_group(key) and not isinstance(override.value(), dict):
        yield from _choice(override, words, multirun)
    else:
        value = _value(override, words, multirun)
        force = words.is_open(key) or isinstance(override.value(), dict)
        yield f"{'++' if force else ''}{key}={value}"


def _choice(override: Override, words: Vocabulary, multirun: bool) -> Iterator[str]:
    """A choice of a group, by the name of its YAML, or by a hub name or folder where the group is of models."""
    group, value = override.key_or_group, override.value()
    line = str(override.input_line)
    if value is None and group in OPTIONAL:
        return
    if value is None:
        known = ", ".join(words.choices.get(group, []))
        raise UserError(f"{line}: one is needed; choose from {known}, or leave it out for the default")
    if override.is_sweep_override() and not multirun:
        raise UserError(f"{line}: several choices; add --multirun for one run of each")
    if group in MODELS and isinstance(value, str) and value not in words.choices[group] and _is_place(value):
        yield f"{group}={CHECKPOINT}"
        yield f"{group}.path={_quoted(value)}"
    else:
        yield line.lstrip("+") if group in words.composed else line


def _is_place(value: str) -> bool:
    """Whether it is a hub name or a path rather than the name of a YAML file."""
    return "/" in value or value.startswith((".", "~")) or Path(value).is_dir()


def _value(override: Override, words: Vocabulary, multirun: bool) -> str:
    """The value as it was written; a list where the key has one."""
    key, line, value = override.key_or_group, str(override.input_line), override.value()
    text = override.get_value_string()
    if override.is_sweep_override():
        if key in words.lists and isinstance(value, ChoiceSweep) and value.simple_form:
            each = [each.with_quotes() if isinstance(each, QuotedString) else str(each) for each in value.list]
            return ",".join(f"[{item}]" for item in each) if multirun else f"[{text}]"
        if not multirun:
            raise UserError(f"{line}: several values; add --multirun for one run of each, or quote it as one text")
        return text
    if key in words.lists and not isinstance(value, list) and value is not None and not text.startswith("${"):
        return f"[{text}]"
    return text


def _presets(parsed: Sequence[Override], words: Vocabulary) -> Iterator[str]:
    """What a path implies: the settings for real checkpoints where nothing else chose any, and no builder beside it."""
    given = {override.key_or_group: override for override in parsed if not override.is_delete()}
    if "resume" in given:
        return
    for part in MODELS:
        path = given.get(f"{part}.path")
        if part in words.composed and path and path.value() is not None and not {part, "experiment"} & given.keys():
            yield f"{part}={CHECKPOINT}"
    for key, override in given.items():
        builder = f"{key.removesuffix('.path')}.builder"
        if BUILT.fullmatch(key) and override.value() is not None and builder not in given:
            yield f"{'++' if words.is_open(key) else ''}{builder}=null"
