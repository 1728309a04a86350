"""docs/evaluation.md tells the truth: its commands compose, its keys, suites and files are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from uniopd_mm.cli import documented_keys, groups
from uniopd_mm.config import TrainConfig
from uniopd_mm.evaluate_config import EvaluateConfig

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(python -m uniopd_mm\.evaluate .*)$", TEXT, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_composes(command: str, tmp_path: Path) -> None:
    """That they also work is what the jobs' tests run."""
    words = command.split()
    outcome = subprocess.run(
        [sys.executable, *words[1:], "--cfg", "job"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert outcome.returncode == 0, outcome.stderr


def test_there_are_commands() -> None:
    assert len(COMMANDS) == 2


def test_keys_are_there() -> None:
    known = {key for schema in (TrainConfig, EvaluateConfig) for key, _ in documented_keys(schema)}
    named = set(re.findall(r"\b((?:benchmarks|vllm)\.\w+|limit|num_samples|offline|data_root|gpus|tasks)=", TEXT))
    assert named and named <= known


def test_every_suite_is_named() -> None:
    table = TEXT.partition("| `suite=` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(groups()["suite"])


def test_files_are_there() -> None:
    files = re.findall(r"`((?:tests|uniopd_mm)/[\w./]*)`", TEXT)
    assert files and all((ROOT / name).exists() for name in files)
