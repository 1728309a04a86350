"""The bar on a real terminal, and plain lines into a pipe."""

import os
import pty
import re
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from uniopd_mm.tracking.console import Bar, ConsoleTracker, note, progress, warning
from uniopd_mm.tracking.records import StepMetrics

RUN = """
import fcntl, struct, sys, termios
from uniopd_mm.tracking.console import ConsoleTracker, note, progress
from uniopd_mm.tracking.records import StepMetrics

def run():
    tracker = ConsoleTracker(200)
    tracker.log_step(StepMetrics(step=0, values={"eval/accuracy": 0.25, "benchmark/mean": 47.75}))
    for step in range(1, 201):
        values = {"accuracy": 0.5, "reverse_kl": 0.125, "reward": 0.75, "entropy": 1.5, "response_length": 12}
        values |= {"order_consistency": 0.875, "domain/video_qa/accuracy": 0.5}
        tracker.log_step(StepMetrics(step=step, values=values, timing={"tokens_per_second": 1234.4}))
        if step == 100:
            note("caf\\u00e9 [bold] \\x1b[31m clip\\r.mp4")
            with progress("evaluating", 3) as bar:
                for _ in range(3):
                    bar.advance(status="accuracy 0.9")
    tracker.close()

widths = sys.argv[1:]
for width in widths:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, int(width), 0, 0))
    run()
    print("end of", width, flush=True)
if not widths:
    run()
"""
FIRST = r"accuracy 0\.500  held-out 0\.250  KL 0\.125  length 12\.0"
OPTIONAL = r"benchmarks 47\.8  reward 0\.750  consistency 0\.875  entropy 1\.500  1234 tok/s"
TOOK = r"took 0:0\d:\d\d"
LAST_LINES = {
    160: [f"{FIRST}  {TOOK}  {OPTIONAL}"],
    120: [rf"{FIRST}  {TOOK}  benchmarks 47\.8  reward 0\.750  consistency 0\.875"],
    80: [f"{FIRST}  {TOOK}  1234 tok/s"],
    60: [FIRST, rf"{TOOK}  benchmarks 47\.8  reward 0\.750  entropy 1\.500"],
    40: [r"accuracy 0\.500  held-out 0\.250  KL 0\.125", rf"length 12\.0  {TOOK}  reward 0\.750"],
}


@pytest.fixture(scope="module")
def screens() -> dict[int, str]:
    """What the run writes to a terminal of each of these widths."""
    reader, writer = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS", "LINES"}}
    environment |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", RUN, *map(str, LAST_LINES)]
    shown = b""
    with subprocess.Popen(command, stdin=writer, stdout=writer, stderr=writer, env=environment) as run:
        os.close(writer)
        while chunk := _read(reader):
            shown += chunk
    os.close(reader)
    assert run.returncode == 0, shown.decode()
    parts = re.split(r"end of (\d+)\s+", shown.decode())
    return {int(width): part for part, width in zip(parts[::2], parts[1::2], strict=False)}


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except OSError:  # Linux's end of file for a closed terminal
        return b""


def test_a_pipe_gets_a_plain_line_every_few_steps() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "FORCE_COLOR": ""}
    result = subprocess.run([sys.executable, "-c", RUN], capture_output=True, check=True, env=environment)
    assert result.stderr == b""
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", result.stdout)
    lines = result.stdout.decode().splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    assert 20 <= len(steps) <= 23
    assert steps[0] == "step 0/200  held-out 0.250  ETA -:--:--  benchmarks 47.8"
    assert re.fullmatch(rf"step 50/200  {FIRST}  ETA 0:0\d:\d\d  {OPTIONAL}", steps[6])
    assert re.fullmatch(rf"step 200/200  {FIRST}  took 0:0\d:\d\d  {OPTIONAL}", steps[-1])
    assert r"caf\xe9 [bold] \x1b[31m clip\x0d.mp4" in lines
    assert "evaluating 1/3" in result.stdout.decode()


def test_a_terminal_gets_a_live_bar_with_notes_above_it(screens: dict[int, str]) -> None:
    text = screens[120]
    assert "\x1b[2K" in text and "200/200" in text and "elapsed 0:0" in text
    assert "café [bold] \\x1b[31m clip\\x0d.mp4" in text
    assert text.rstrip().endswith("\x1b[?25h"), "the cursor is shown again"


@pytest.mark.parametrize("width", LAST_LINES)
def test_a_terminal_of_any_width_shows_whole_values(screens: dict[int, str], width: int) -> None:
    """The first values and the ETA are always there; others are shown whole if they fit."""
    printed = re.split(r"[\r\n]+", re.sub(r"\x1b\[[?0-9;]*[A-Za-z]", "", screens[width]))
    lines = [line.rstrip() for line in printed if line.strip() and "clip" not in line]
    assert max(map(len, lines)) <= width
    bar, *values = lines[-1 - len(LAST_LINES[width]) :]
    assert re.fullmatch("step ━+ 200/200", bar)
    for line, pattern in zip(values, LAST_LINES[width], strict=True):
        assert re.fullmatch(pattern, line), line


def test_a_resumed_run_starts_where_it_stopped() -> None:
    file = StringIO()
    tracker = ConsoleTracker(10, 8, console=Console(file=file))
    for step in (9, 10):
        tracker.log_step(StepMetrics(step=step, values={}))
    tracker.close()
    assert [line.split("  ")[0] for line in file.getvalue().splitlines()] == ["step 9/10", "step 10/10"]


def test_time_left_counts_only_what_this_process_did() -> None:
    bar = Bar("step", 300, completed=100, console=Console(file=StringIO()))
    assert bar.seconds_left() is None
    bar.advance(100)
    left = bar.seconds_left()
    assert left is not None and left < 60.0


def test_a_block_that_raises_gives_the_terminal_back() -> None:
    file = StringIO()
    with pytest.raises(KeyError), progress("zoo", 4, console=Console(file=file)) as bar:
        bar.advance(status="loss 2.0")
        raise KeyError
    assert file.getvalue().startswith("zoo 1/4  loss 2.0  ETA")


def test_notes_and_warnings_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    note("x" * 300)
    warning("[red]no markup[/red]")
    assert capsys.readouterr().out.splitlines() == ["x" * 300, "warning: [red]no markup[/red]"]


def test_values_that_were_not_measured_are_left_out() -> None:
    file = StringIO()
    tracker = ConsoleTracker(10, console=Console(file=file))
    tracker.log_step(StepMetrics(step=1, values={"reward": 0.5, "grad_norm": 2.0}))
    assert file.getvalue() == "step 1/10  ETA 0:00:00  reward 0.500\n"
