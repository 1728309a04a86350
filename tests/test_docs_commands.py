"""docs/engines.md and docs/evaluation.md tell the truth: commands compose; keys, suites and files are there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from uniopd_mm.cli.groups import documented_keys, groups
from uniopd_mm.config.evaluate import EvaluateConfig
from uniopd_mm.config.serve import ServeConfig
from uniopd_mm.config.train import TrainConfig

ROOT = Path(__file__).parent.parent
ENGINES, EVALUATION = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("engines.md", "evaluation.md"))


def commands(text: str) -> list[str]:
    return re.findall(r"^(python -m uniopd_mm\.\w+ .*)$", text, re.MULTILINE)


@pytest.mark.parametrize("command", [*commands(ENGINES), *commands(EVALUATION)])
def test_a_command_composes(command: str, tmp_path: Path) -> None:
    """That they also work is what the jobs' tests run."""
    words = command.split()
    outcome = subprocess.run(
        [sys.executable, *words[1:], "--cfg", "job"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert outcome.returncode == 0, outcome.stderr


def test_there_are_commands() -> None:
    assert (len(commands(ENGINES)), len(commands(EVALUATION))) == (3, 2)


def test_keys_are_there() -> None:
    known = {key for schema in (TrainConfig, ServeConfig, EvaluateConfig) for key, _ in documented_keys(schema)}
    engines = set(re.findall(r"`((?:teacher|routing|server)\.[\w.]+)(?:=[^`]*)?`", ENGINES))
    alone = "limit|num_samples|offline|data_root|gpus|tasks"
    evaluation = set(re.findall(rf"\b((?:benchmarks|vllm)\.\w+|{alone})=", EVALUATION))
    assert engines and engines <= known
    assert evaluation and evaluation <= known


def test_every_suite_is_named() -> None:
    table = EVALUATION.partition("| `suite=` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(groups()["suite"])


@pytest.mark.parametrize("text", [ENGINES, EVALUATION], ids=["engines", "evaluation"])
def test_files_are_there(text: str) -> None:
    files = re.findall(r"`((?:tests|processors|benchmarks|uniopd_mm)/[\w./]*)`", text)
    assert files and all((ROOT / name).exists() for name in files)
