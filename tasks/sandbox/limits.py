"""What a sandbox is asked and what it answers: limits, a finished run, and the seam between graders and sandboxes."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SandboxFault(Exception):
    """The sandbox itself failed (it did not start, did not answer): this says nothing about the program."""


class Status(StrEnum):
    """How a program ended: by itself with exit code 0, with another one or by a signal, or over one of its limits."""

    OK = "ok"
    ERROR = "error"
    TIME = "time"
    MEMORY = "memory"
    OUTPUT = "output"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What one program may use for one input.

    `cpu_seconds` (whole ones) are of one process, `wall_seconds` of all that it starts. `memory_bytes` is address
    space. `output_bytes` is stdout and stderr, each. `file_bytes` is the largest file, and where the folder is a file
    system of its own the size of all. With `processes` 1 a program can start threads but no other process.
    """

    cpu_seconds: int = 10
    wall_seconds: float = 20.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 20
    file_bytes: int = 16 << 20
    processes: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One finished run. `exit_code` is negative for a signal. Outputs are cut at their limit; bytes that are no UTF-8
    are replaced. `seconds` is CPU time where it is known, else 0."""

    status: Status
    exit_code: int
    stdout: str
    stderr: str
    seconds: float = 0.0


class Sandbox(Protocol):
    """Anything that runs a Python program. Safe to call from several threads."""

    @property
    def level(self) -> str:
        """How strictly programs are kept apart, in the implementation's own words. Raises UserError where they cannot
        be at all."""
        ...

    def runs(self, source: str, inputs: Iterable[str], limits: Limits) -> Generator[Run, None, None]:
        """One run of the program for each text on its standard input, in order, each in a process of its own and an
        empty folder. Lazy: a caller that has seen enough closes the generator, and nothing more is run.

        Raises:
            SandboxFault: the sandbox failed, not the program.
        """
        ...
