"""SIGTERM and SIGHUP end a command as Ctrl-C does."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEEDED = """
import signal
# A shell's job in the background inherits that they are ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
"""
CODE = """
import os, signal, sys, time
from uniopd_mm.cli.signals import ending_signals, last_word
try:
    with ending_signals():
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        os.wait()
        print("ready", flush=True)
        time.sleep(60)
except KeyboardInterrupt as error:
    word, status = last_word(error)
    print(word)
    sys.exit(status)
finally:
    print("cleaned up")
"""


@pytest.mark.parametrize(
    ("number", "word", "status"),
    [
        (signal.SIGINT, "interrupted", 130),
        (signal.SIGTERM, "ended by SIGTERM", 143),
        (signal.SIGHUP, "ended by SIGHUP", 129),
    ],
)
def test_a_signal_is_a_last_word_and_a_status(number: int, word: str, status: int) -> None:
    command = start(HEEDED + CODE)
    assert command.stdout is not None and command.stdout.readline() == "ready\n"
    command.send_signal(number)
    out, _ = command.communicate(timeout=60)
    assert (out.splitlines(), command.returncode) == ([word, "cleaned up"], status)


def test_an_ignored_signal_stays_ignored() -> None:
    code = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + CODE.replace("60", "0.5")
    command = start(code)
    assert command.stdout is not None and command.stdout.readline() == "ready\n"
    time.sleep(0.05)
    command.send_signal(signal.SIGHUP)
    out, _ = command.communicate(timeout=60)
    assert (out.splitlines(), command.returncode) == (["cleaned up"], 0)


def start(code: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)
