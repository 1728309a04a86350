"""The bar on a real terminal, and plain lines into a pipe."""

import os
import pty
import re
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from uniopd_mm.tracking.console import Bar, ConsoleTracker, note, progress, status_line, warning
from uniopd_mm.tracking.records import StepMetrics

RUN = """
from uniopd_mm.tracking.console import ConsoleTracker, note, progress
from uniopd_mm.tracking.records import StepMetrics

tracker = ConsoleTracker(200)
tracker.log_step(StepMetrics(step=0, values={"eval/accuracy": 0.25}))
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
"""


def test_a_pipe_gets_a_plain_line_every_few_steps() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii", "FORCE_COLOR": ""}
    result = subprocess.run([sys.executable, "-c", RUN], capture_output=True, check=True, env=environment)
    assert result.stderr == b""
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", result.stdout)
    lines = result.stdout.decode().splitlines()
    steps = [line for line in lines if line.startswith("step ")]
    assert 20 <= len(steps) <= 23
    assert steps[0].startswith("step 0/200  eval 0.250  ETA -:--:--")
    expected = "accuracy 0.500  KL 0.125  consistency 0.875  reward 0.750  entropy 1.500  length 12.0  eval 0.250"
    assert steps[-1].startswith(f"step 200/200  {expected}  1234 tok/s  took 0:00:0")
    assert "ETA 0:00:0" in steps[5]
    assert r"caf\xe9 [bold] \x1b[31m clip\x0d.mp4" in lines
    assert "evaluating 1/3" in result.stdout.decode()


def test_a_terminal_gets_a_live_bar_with_notes_above_it() -> None:
    reader, writer = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    environment.pop("NO_COLOR", None)
    shown = b""
    with subprocess.Popen([sys.executable, "-c", RUN], stdout=writer, stderr=writer, env=environment) as run:
        os.close(writer)
        while chunk := _read(reader):
            shown += chunk
    os.close(reader)
    text = shown.decode()
    assert run.returncode == 0
    assert "\x1b[2K" in text and "200/200" in text and "tok/s" in text
    assert "café [bold] \\x1b[31m clip\\x0d.mp4" in text
    assert text.rstrip().endswith("\x1b[?25h"), "the cursor is shown again"


def _read(reader: int) -> bytes:
    try:
        return os.read(reader, 65536)
    except OSError:  # Linux's end of file for a closed terminal
        return b""


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
    assert status_line({"reward": 0.5, "grad_norm": 2.0}, None) == "reward 0.500"
