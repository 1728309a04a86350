"""From a command line to a typed configuration, and from errors to one clear line and an exit status.

0 done, 2 for what the user can mend (no traceback), 1 for a fault of ours (with its traceback). Hydra composes the
configuration; `--help` is written from the schema's documented fields.
"""

import difflib
import errno
import logging
import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException

from uniopd_mm.config import resolvers
from uniopd_mm.types import UserError

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


def run_command(function: Callable[[Any, Sequence[str]], None], schema: type, name: str) -> None:
    """Compose `configs/<name>.yaml` onto `schema` with the command line, and call `function(config, overrides)`."""
    if {"--help", "-h"} & set(sys.argv[1:]):
        print(help_text(schema, name))
        return
    ConfigStore.instance().store(name=f"{name}_schema", node=schema)
    resolvers.register()
    logging.getLogger("hydra").addHandler(logging.NullHandler())  # its errors are raised too, and told in one line
    threading.excepthook = _thread_failed
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing them and exiting with 1

    refused: list[UserError] = []

    @hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=name)
    def main(config: DictConfig) -> None:
        try:
            function(OmegaConf.to_object(config), list(HydraConfig.get().overrides.task))
        except UserError as error:
            refused.append(error)  # raised through Hydra it would be announced with a line of Hydra's own
        except OmegaConfBaseException as error:
            refused.append(UserError(_refused(error, schema)))
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            refused.append(UserError(f"{error.filename or 'disk'}: {error.strerror}; free some space and try again"))

    try:
        main()
    except MissingConfigException as error:
        _stop(_no_such_choice(error))
    except (HydraException, OmegaConfBaseException) as error:
        _stop(_refused(error, schema))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    if refused:
        _stop("\n".join(str(error) for error in refused))


def help_text(schema: type, name: str) -> str:
    """Usage, the choices of every group, and each key with its default and meaning."""
    lines = [
        f"python -m uniopd_mm.{name} [GROUP=CHOICE ...] [KEY=VALUE ...] [--cfg job] [--config-dir DIR] [--multirun]",
        "",
        "Groups (a choice is a YAML file in uniopd_mm/configs or in --config-dir):",
        *(_group_lines(group, choices) for group, choices in groups().items() if group in chosen(name)),
        "",
        "Keys (with their values before a group's YAML is applied; --cfg job prints what comes out):",
    ]
    for key, entry in documented_keys(schema):
        named = f"  {key + '=' + _default(entry):44} "
        lines.append(textwrap.fill(entry.metadata["help"], 150, initial_indent=named, subsequent_indent=" " * 47))
    return "\n".join(lines)


def _group_lines(group: str, choices: Sequence[str]) -> str:
    return textwrap.fill(
        ", ".join(choices), 110, initial_indent=f"  {group:10} ", subsequent_indent=" " * 13, break_on_hyphens=False
    )


def chosen(name: str) -> set[str]:
    """The groups from which `configs/<name>.yaml` composes."""
    defaults = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"{name}.yaml"))["defaults"]  # type: ignore[call-overload,index]
    return {key.removeprefix("optional ") for entry in defaults if isinstance(entry, dict) for key in entry}


def groups() -> dict[str, list[str]]:
    """The choices that come with the package, by group."""
    folders = sorted(path for path in CONFIGS.iterdir() if any(path.glob("*.yaml")))
    return {folder.name: sorted(path.stem for path in folder.glob("*.yaml")) for folder in folders}


def documented_keys(schema: type, prefix: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """Every key of a schema with its field, depth first."""
    for entry in fields(schema):
        if is_dataclass(entry.type):
            yield from documented_keys(entry.type, f"{prefix}{entry.name}.")  # type: ignore[arg-type]
        else:
            yield prefix + entry.name, entry


def _default(entry: Field[Any]) -> str:
    if entry.default_factory is not MISSING:
        return str(entry.default_factory()).replace(" ", "")
    if isinstance(entry.default, Enum):
        return entry.default.name  # as it is written on the command line
    return {"None": "null", "True": "true", "False": "false"}.get(str(entry.default), str(entry.default))


def _no_such_choice(error: MissingConfigException) -> str:
    if not error.missing_cfg_file or "/" not in error.missing_cfg_file:
        return _first_line(error)
    group, _, choice = error.missing_cfg_file.rpartition("/")
    known = ", ".join(error.options or groups().get(group, []))
    return f"{group}={choice}: no such choice; there are {known}, or add {group}/{choice}.yaml in a --config-dir"


def _refused(error: Exception, schema: type) -> str:
    """One line for what Hydra or OmegaConf refused: key, value, reason, and the nearest key there is."""
    if isinstance(error, OverrideParseException):
        return f"{error.override}: not KEY=VALUE in Hydra's grammar; quote what holds commas, brackets or equals signs"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    key = getattr(cause, "full_key", None)
    if not key:
        return _first_line(error)
    given = _given(key)
    key = given.partition("=")[0]
    near = difflib.get_close_matches(key, [known for known, _ in documented_keys(schema)], n=1)
    reason = "no such key" if "not in" in str(cause) else _first_line(cause)
    if isinstance(cause, InterpolationKeyError):
        remedy = "choose groups that fit each other (task=, model=, teacher=), or set this key"
    elif part := next((name for name in component_keys(schema) if key.startswith(f"{name}.")), None):
        remedy = f"--cfg job prints what {part} has; a parameter that its YAML does not name is written +{given}"
    elif near and near[0] != key:
        remedy = f"did you mean {near[0]}?"
    else:
        remedy = "--help lists every key and its type"
    return f"{given}: {reason}; {remedy}"


def _given(key: str) -> str:
    """The last argument that sets `key` or something below it, without a leading + or ~."""
    arguments = [argument.lstrip("+~") for argument in sys.argv[:0:-1]]
    return next((a for a in arguments if a.partition("=")[0] == key or a.startswith(f"{key}.")), key)


def component_keys(schema: type) -> list[str]:
    """The keys whose values are components, with parameters that only their targets know."""
    return [key for key, entry in documented_keys(schema) if entry.type is Any or str(entry.type).startswith("dict")]


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """A writer's thread (TensorBoard's) that meets a full disk says nothing: its owner raises the same."""
    if not (isinstance(failure.exc_value, OSError) and failure.exc_value.errno in DISK_FULL):
        threading.__excepthook__(failure)


def _stop(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
