"""Who may import whom: the contracts of pyproject.toml hold, and each of them notices a breach.

Also: what the code imports is declared as a dependency, so that a plain install has it.
"""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE_FOLDERS = ("uniopd_mm", "tasks", "processors")


def check_contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code whose three links are links too."""
    for name in PACKAGE_FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "configs").mkdir()
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_contracts_hold() -> None:
    outcome = check_contracts(ROOT)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


@pytest.mark.parametrize(
    ("file", "statement", "breach"),
    [
        ("uniopd_mm/types.py", "import uniopd_mm.interfaces", "uniopd_mm.types -> uniopd_mm.interfaces"),
        ("uniopd_mm/distill/new.py", "import uniopd_mm.data.collate", "uniopd_mm.distill.new -> uniopd_mm.data"),
        ("uniopd_mm/rollout/new.py", "import uniopd_mm.learner", "uniopd_mm.rollout.new -> uniopd_mm.learner"),
        ("uniopd_mm/tracking/new.py", "import uniopd_mm.models.zoo", "uniopd_mm.tracking.new -> uniopd_mm.models"),
        ("uniopd_mm/data/collate.py", "from PIL import Image", "uniopd_mm.data.collate -> PIL"),
        ("uniopd_mm/distill/new.py", "import uniopd_mm.tasks", "uniopd_mm.distill.new -> uniopd_mm.tasks"),
        ("tasks/new.py", "import uniopd_mm.distill", "uniopd_mm.tasks.new -> uniopd_mm.distill"),
        ("processors/new.py", "import uniopd_mm.tasks", "uniopd_mm.processors.new -> uniopd_mm.tasks"),
    ],
)
def test_a_breach_is_noticed(checkout: Path, file: str, statement: str, breach: str) -> None:
    with open(checkout / file, "a") as source:
        source.write(f"\n{statement}\n")
    outcome = check_contracts(checkout)
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert breach in re.sub(r"\s+", " ", outcome.stdout)


def test_a_new_module_must_be_given_its_layer(checkout: Path) -> None:
    (checkout / "uniopd_mm" / "new_module.py").write_text("")
    outcome = check_contracts(checkout)
    assert outcome.returncode == 1
    assert "new_module" in outcome.stdout


def test_adapters_may_import_media_libraries_and_the_contract(checkout: Path) -> None:
    (checkout / "tasks" / "new.py").write_text("import av\nimport PIL\nfrom uniopd_mm.types import Sample\n")
    outcome = check_contracts(checkout)
    assert outcome.returncode == 0, outcome.stdout


def test_imports_are_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [r for name, wanted in project["optional-dependencies"].items() if name != "dev" for r in wanted]
    declared = {distribution_name(requirement) for requirement in [*project["dependencies"], *extras]}
    installed = packages_distributions()
    undeclared = {
        f"{file.relative_to(ROOT)}: {module}"
        for folder in PACKAGE_FOLDERS
        for file in (ROOT / folder).rglob("*.py")
        for module in imported_modules(file)
        if not {distribution_name(name) for name in installed.get(module, [module])} & declared
    }
    assert undeclared == set()


def distribution_name(requirement: str) -> str:
    """`PyYAML>=6` and `pyyaml` are one distribution (PEP 503)."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def imported_modules(file: Path) -> set[str]:
    """Top-level names that a file imports, outside the standard library and this project."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None and node.level == 0:
            names.add(node.module)
    tops = {name.split(".")[0] for name in names}
    return tops - sys.stdlib_module_names - {"uniopd_mm", "__future__"}
