"""The seam between graders and sandboxes: the limits of a run, its result, and the Protocol of a sandbox."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SandboxFault(Exception):
    """The sandbox itself failed, for example to start or to answer. This says nothing about the program."""


PATIENCE = 10.0


class Status(StrEnum):
    """How a program ended: OK with exit code 0, ERROR with another or by a signal, otherwise by reaching a limit.

    TIME is CPU time. SLEPT is time in which the program provably neither computed nor waited for a processor. STALLED
    says nothing about the program: it did not end in time, but may have lacked a processor or a disk.
    """

    OK = "ok"
    ERROR = "error"
    TIME = "time"
    SLEPT = "slept"
    STALLED = "stalled"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one program may use for one input.

    `cpu_seconds` (an integer) limits the CPU time, `wall_seconds` the time asleep. A program that reaches neither limit
    is stopped after PATIENCE × `wall_seconds`, which is enough for all its CPU time on a twentieth of a processor.
    `memory_bytes` limits the address space, `output_bytes` stdout and stderr separately, and `file_bytes` each file and
    all files together. With `processes=1`, a program can start threads but no other process.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 20.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 20
    file_bytes: int = 16 << 20
    processes: int = 1

    @property
    def longest_seconds(self) -> float:
        """How long a run may take on a machine that is as slow as one may be."""
        return PATIENCE * self.wall_seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One finished run. `exit_code` is negative for a signal. Outputs are cut at their limit, and bytes that are not
    UTF-8 are replaced. `seconds` is the CPU time and `asleep` the seconds asleep, or 0 if they are unknown."""

    status: Status
    exit_code: int
    stdout: str
    stderr: str
    seconds: float = 0.0
    asleep: float = 0.0


class Sandbox(Protocol):
    """Anything that runs a Python program. Safe to call from several threads."""

    @property
    def level(self) -> str:
        """How strictly programs are isolated, as the implementation names it. Raises UserError if they cannot be."""
        ...

    def runs(self, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        """One run of the program for each text in `inputs`, given as its standard input, in order. Each run has its own
        process and an empty folder. Lazy: after the caller closes the generator, nothing more is run.

        Raises:
            SandboxFault: the sandbox failed, not the program.
        """
        ...
