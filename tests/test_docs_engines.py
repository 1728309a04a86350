"""docs/engines.md tells the truth: its commands compose, its keys and files are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from uniopd_mm.cli import documented_keys
from uniopd_mm.config import TrainConfig
from uniopd_mm.serve_config import ServeConfig

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "engines.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(python -m uniopd_mm\.\w+ .*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_composes(command: str, tmp_path: Path) -> None:
    """That they also work is what the jobs' tests run."""
    words = command.split()
    outcome = subprocess.run(
        [sys.executable, *words[1:], "--cfg", "job"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert outcome.returncode == 0, outcome.stderr


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 3


def test_keys_and_files_are_there() -> None:
    known = {key for schema in (TrainConfig, ServeConfig) for key, _ in documented_keys(schema)}
    named = set(re.findall(r"`((?:teacher|routing|server)\.[\w.]+)(?:=[^`]*)?`", TEXT))
    assert named and named <= known
    files = re.findall(r"`((?:tests|processors|benchmarks)/[\w./]*)`", TEXT)
    assert files and all((ROOT / name).exists() for name in files)
