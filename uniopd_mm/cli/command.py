"""From a command line to a typed configuration, and from errors to one clear line and an exit status.

0 done, 2 for what the user can mend (no traceback), 1 for a run that ended without learning and for a fault of ours
(with its traceback), 130, 143 and 129 after Ctrl-C, SIGTERM and SIGHUP. Hydra composes the configuration and runs
`--multirun`; options, overrides, help and errors are ours.
"""

import errno
import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import hydra
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from uniopd_mm import __version__
from uniopd_mm.cli.arguments import Arguments, read_arguments
from uniopd_mm.cli.errors import explained, visible
from uniopd_mm.cli.groups import CONFIGS, composed_groups, documented_keys
from uniopd_mm.cli.help import help_text
from uniopd_mm.cli.overrides import Vocabulary, hydra_overrides, vocabulary
from uniopd_mm.cli.signals import ending_signals, last_word
from uniopd_mm.config import resolvers
from uniopd_mm.types import UserError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
FRUITLESS, REFUSED = 1, 2  # exit statuses


class Fruitless(Exception):
    """A job came to its end and wrote `folder`, but not to its aim; the message is one line (exit status 1)."""

    def __init__(self, message: str, folder: Path) -> None:
        super().__init__(message)
        self.folder = folder


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One job of a command that ended. `folder` is what it wrote, None where it was refused; `error` says why it was,
    or why it was `Fruitless`."""

    config: Any
    overrides: tuple[str, ...]
    folder: Path | None
    error: str = ""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """A command of this package.

    Args:
        name: `python -m uniopd_mm.<name>`, composed from `configs/<name>.yaml`.
        summary: one line for `--help`.
        schema: the dataclass of its configuration.
        run: does the work, from configuration and overrides; returns the folder that it wrote, if that is a run's.
        refused: keys that the schema has for other commands' sake, with the reason (see `Vocabulary`).
        flags: switches of its own, with the override that each stands for.
        bare: the key that an argument without a = stands for.
        resume_hint: what to type after Ctrl-C, SIGTERM or SIGHUP.
        finish: called after the last job of `--multirun`.
    """

    name: str
    summary: str
    schema: type
    run: Callable[[Any, Sequence[str]], Path | None]
    refused: Mapping[str, str] = field(default_factory=dict)
    flags: Mapping[str, str] = field(default_factory=dict)
    bare: str | None = None
    resume_hint: str = ""
    finish: Callable[[Sequence[Job]], None] | None = None


def run_command(command: Command) -> None:
    """Run the command on `sys.argv`. Does not return where something was refused: the exit status says so."""
    if os.getcwd() not in sys.path and "" not in sys.path:
        sys.path.insert(0, os.getcwd())  # console scripts find the user's modules, as `python -m` does
    try:
        keys = [key for key, _ in documented_keys(command.schema)] + composed_groups(command.name)
        arguments = read_arguments(sys.argv[1:], command.flags, keys, command.bare)
        if "--help" in arguments:
            print(help_text(command.schema, command.name, command.summary, arguments.config_dir))
        elif "--version" in arguments:
            print(f"uniopd_mm {__version__}")
        else:
            with ending_signals():
                _run(command, arguments)
    except UserError as error:
        _stop(str(error))
    except KeyboardInterrupt as error:
        word, status = last_word(error)
        with suppress(OSError):  # after SIGHUP the terminal may be gone
            print(f"{word}{f'; {command.resume_hint}' if command.resume_hint else ''}", file=sys.stderr)
        sys.exit(status)
    except BrokenPipeError:  # `--help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def composed(command: Command, arguments: Sequence[str]) -> Any:
    """The typed configuration of a command line without options. Runs nothing. Within a running command, its
    --config-dir counts too.

    Raises:
        UserError: what `run_command` would refuse while it composes.
    """
    words = vocabulary(command.name, command.schema, command.refused)
    overrides = hydra_overrides(arguments, words)
    _prepare(command)
    running = GlobalHydra.instance().is_initialized()
    with nullcontext() if running else initialize_config_dir(str(CONFIGS), version_base="1.3"):
        try:
            return OmegaConf.to_object(compose(command.name, overrides))
        except (HydraException, OmegaConfBaseException) as error:
            raise UserError(explained(error, words, arguments)) from error


def _prepare(command: Command) -> None:
    """Make schema and resolvers known to Hydra."""
    ConfigStore.instance().store(name=f"{command.name}_schema", node=command.schema)
    resolvers.register()


def _run(command: Command, arguments: Arguments) -> None:
    words = vocabulary(command.name, command.schema, command.refused, arguments.config_dir)
    multirun = "--multirun" in arguments
    overrides = hydra_overrides(arguments.overrides, words, multirun=multirun)
    _prepare(command)
    logging.getLogger("hydra").addHandler(logging.NullHandler())  # its errors are raised too
    threading.excepthook = _thread_failed
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra then raises its errors instead of printing them and exiting with 1
    jobs: list[Job] = []

    @hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name=command.name)
    def main(config: DictConfig) -> None:
        overrides = tuple(HydraConfig.get().overrides.task)
        try:
            folder, reason = _job(command, config, overrides, words, arguments)
            jobs.append(Job(config=config, overrides=overrides, folder=folder, error=reason))
        except BaseException as error:
            jobs.append(Job(config=config, overrides=overrides, folder=None, error=repr(error)))
            raise

    sys.argv[1:] = [*overrides, *Arguments(overrides=(), options=arguments.options).hydra_argv]
    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        _stop(explained(error, words, arguments.overrides))
    except OSError as error:
        if jobs:
            raise
        _stop(f"{error.filename}: {error.strerror}; choose a folder you can write to")  # Hydra's folder of a multirun
    finally:
        if multirun and command.finish and jobs and _is_main():
            command.finish(jobs)
    if errors := [f"{' '.join(job.overrides)}: {job.error}" if multirun else job.error for job in jobs if job.error]:
        _stop("\n".join(errors), REFUSED if any(job.error and job.folder is None for job in jobs) else FRUITLESS)


def _job(
    command: Command, config: DictConfig, overrides: Sequence[str], words: Vocabulary, arguments: Arguments
) -> tuple[Path | None, str]:
    """Run one job; returns its folder, and why it was refused or fruitless. Raised through Hydra, what the user can
    mend would be announced with a line of Hydra's own."""
    try:
        return command.run(OmegaConf.to_object(config), overrides), ""
    except UserError as error:
        return None, str(error)
    except Fruitless as error:
        return error.folder, str(error)
    except OmegaConfBaseException as error:
        return None, explained(error, words, arguments.overrides)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        return None, f"{error.filename or 'disk'}: {error.strerror}; free some space and try again"


def _is_main() -> bool:
    """Of processes that a launcher started together, one speaks."""
    return os.environ.get("RANK", "0") == "0"


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    """A writer's thread (TensorBoard's) that meets a full disk says nothing: its owner raises the same."""
    if not (isinstance(failure.exc_value, OSError) and failure.exc_value.errno in DISK_FULL):
        threading.__excepthook__(failure)


def _stop(message: str, status: int = REFUSED) -> None:
    if _is_main():
        print(f"error: {visible(message)}", file=sys.stderr)
    sys.exit(status)
