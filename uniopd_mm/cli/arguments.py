"""Options and overrides of a command line, in any order: `--cfg job trainer.steps=3`, `trainer.steps=3 --cfg job`."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from uniopd_mm.cli.habits import same_setting
from uniopd_mm.types import UserError

SWITCHES = {"--help": "--help", "-h": "--help", "--version": "--version", "--multirun": "--multirun"}
SWITCHES |= {"-m": "--multirun", "--resolve": "--resolve", "--hydra-help": "--hydra-help"}
WITH_VALUE = {"--cfg": "--cfg", "-c": "--cfg", "--config-dir": "--config-dir", "-cd": "--config-dir"}
WITH_VALUE |= {"--package": "--package", "-p": "--package", "--info": "--info", "-i": "--info"}
CHOICES = {"--cfg": ("job", "hydra", "all"), "--info": ("all", "config", "defaults", "defaults-tree", "searchpath")}
INSTEAD = {
    "--config": "put the file into a folder as experiment/NAME.yaml and write --config-dir FOLDER experiment=NAME",
    "--config-name": "put the file into a folder as experiment/NAME.yaml and write --config-dir FOLDER experiment=NAME",
    "--config-path": "add a folder of your own with --config-dir FOLDER",
}


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Arguments:
    """A command line, sorted: `options` are Hydra's with their values (None for a switch)."""

    overrides: tuple[str, ...]
    options: Mapping[str, str | None]

    def __contains__(self, option: str) -> bool:
        return option in self.options

    @property
    def config_dir(self) -> str | None:
        return self.options.get("--config-dir")

    @property
    def hydra_argv(self) -> list[str]:
        """What Hydra's own parser reads: overrides first, then options."""
        options = [part for name, value in self.options.items() for part in (name, value) if part is not None]
        return [*self.overrides, *options]


def read_arguments(
    argv: Sequence[str], flags: Mapping[str, str], keys: Collection[str], bare: str | None = None
) -> Arguments:
    """Sort a command line. `flags` are a command's own switches, with the override that each stands for; `keys` are its
    keys, for the remedy of an unknown option; an argument without = is the value of `bare`.

    Raises:
        UserError: an option that does not exist, lacks its value, or does not go with another one.
    """
    overrides: list[str] = []
    options: dict[str, str | None] = {}
    waiting = list(argv)
    while waiting:
        argument = waiting.pop(0)
        name, equals, value = argument.partition("=")
        if argument in flags:
            overrides.append(flags[argument])
        elif argument in SWITCHES:
            options[SWITCHES[argument]] = None
        elif name in WITH_VALUE:
            options[WITH_VALUE[name]] = _checked(name, value if equals else _next_value(argument, waiting))
        elif argument.startswith("-"):
            raise UserError(f"{argument}: no such option; {_remedy(argument, waiting, keys)}")
        else:
            overrides.append(argument if equals or bare is None else f"{bare}={argument}")
    if {"--multirun", "--cfg"} <= options.keys():
        raise UserError("--multirun --cfg: the configuration of one run can be shown; leave one of the two out")
    return Arguments(overrides=tuple(overrides), options=options)


def _next_value(option: str, waiting: list[str]) -> str:
    if not waiting or waiting[0].startswith("-"):
        raise UserError(f"{option}: needs a value, as {option} {CHOICES.get(WITH_VALUE[option], ('FOLDER',))[0]}")
    return waiting.pop(0)


def _checked(option: str, value: str) -> str:
    choices = CHOICES.get(WITH_VALUE[option])
    if choices and value not in choices:
        raise UserError(f"{option} {value}: must be one of {', '.join(choices)}")
    return value


def _remedy(argument: str, waiting: Sequence[str], keys: Collection[str]) -> str:
    """What to write for an option in the style of other programs: `--model X`, `--trainer.steps=5`."""
    name, equals, value = argument.partition("=")
    if name in INSTEAD:
        return INSTEAD[name]
    if not equals and waiting and not waiting[0].startswith("-") and "=" not in waiting[0]:
        value = waiting[0]
    key = name.lstrip("-").replace("-", "_")
    key = same_setting(key, keys) or key
    setting = shlex.quote(f"{key}={value or 'VALUE'}")
    return f"settings are written without dashes, as {setting}; --help lists the keys"
