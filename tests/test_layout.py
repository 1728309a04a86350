"""The shape of the repository: links, packaging tables, file names, and the sizes CONTRIBUTING.md promises.

That a wheel builds and runs is checked by `.ci/run`, and who imports whom by `test_imports.py`.
"""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LINKS = ("tasks", "processors", "configs")
CODE = ("uniopd_mm", "tasks", "processors", "tools", "benchmarks", "tests")
MAX_FILE_LINES = 300
# Without __init__.py and __main__.py. A new command adds a module to the first, nothing else does.
MAX_ROOT_MODULES = {"uniopd_mm": 10, "tasks": 8}
MAX_FUNCTION_LINES = 60
SHADOWING_ALLOWED = {"uniopd_mm/types.py"}  # never run as a script, and always imported by its full name


def python_files(folders: tuple[str, ...] = CODE) -> list[Path]:
    """Every source file once: the links inside uniopd_mm are left out."""
    files = (file for folder in folders for file in sorted((ROOT / folder).rglob("*.py")))
    return [file for file in files if not set(file.relative_to(ROOT).parts[1:2]) & set(LINKS)]


def packaging() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


@pytest.mark.parametrize("name", LINKS)
def test_link_is_relative_and_leads_to_the_folder(name: str) -> None:
    link = ROOT / "uniopd_mm" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    assert (link / "__init__.py").is_file() or name == "configs"


@pytest.mark.parametrize("name", LINKS)
def test_git_keeps_the_link_as_a_link(name: str) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--stage", f"uniopd_mm/{name}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert listed.stdout.startswith("120000 "), "git stores a symbolic link under mode 120000"


def test_the_wheel_takes_the_folders_in_place_of_the_links() -> None:
    build = packaging()["tool"]["hatch"]["build"]
    assert set(build["exclude"]) == {f"/uniopd_mm/{name}" for name in LINKS}
    assert build["targets"]["wheel"]["packages"] == ["uniopd_mm"]
    assert build["targets"]["wheel"]["force-include"] == {name: f"uniopd_mm/{name}" for name in LINKS}


def test_every_console_script_names_a_function() -> None:
    for target in packaging()["project"]["scripts"].values():
        module, function = target.split(":")
        tree = ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("name", ["tasks", "processors"])
def test_adapters_have_one_name_only(name: str) -> None:
    """Imported as `tasks` beside `uniopd_mm.tasks`, every class would exist twice."""
    refused = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
    assert refused.returncode != 0
    assert f"uniopd_mm.{name}" in refused.stderr.splitlines()[-1]


def test_no_file_shadows_the_standard_library() -> None:
    """Python puts the folder of a script first on its path, so a `math.py` beside it is everybody's `math`."""
    shadowing = {str(f.relative_to(ROOT)) for f in python_files() if f.stem in sys.stdlib_module_names}
    assert shadowing <= SHADOWING_ALLOWED


def test_every_package_folder_has_an_init() -> None:
    """Without it a folder is left out by tools that look for packages, and may be another package's namespace."""
    folders = {file.parent for file in python_files(("uniopd_mm", "tasks", "processors"))}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_files_and_functions_stay_short() -> None:
    too_long = [place for file in python_files() for place in oversized(file)]
    assert too_long == []


def oversized(file: Path) -> Iterator[str]:
    text = file.read_text()
    name = file.relative_to(ROOT)
    if (lines := len(text.splitlines())) > MAX_FILE_LINES:
        yield f"{name}: {lines} lines"
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for node in functions:
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > MAX_FUNCTION_LINES:
            yield f"{name}:{node.lineno} {node.name}: {lines} lines"


@pytest.mark.parametrize("folder", MAX_ROOT_MODULES)
def test_a_root_holds_few_modules(folder: str) -> None:
    """A newcomer opens it first: commands and the shared language in one, adapters in the other."""
    modules = [file.name for file in (ROOT / folder).glob("*.py") if not file.name.startswith("__")]
    assert len(modules) <= MAX_ROOT_MODULES[folder], modules


def test_no_two_folders_import_each_other() -> None:
    arrows = {
        (room_of(file), imported_room)
        for file in python_files(("uniopd_mm", "tasks", "processors"))
        for imported_room in map(room_of_module, imported_modules(file))
        if imported_room != room_of(file)
    }
    assert len(arrows) > 50
    assert [arrow for arrow in arrows if arrow[::-1] in arrows] == []


def room_of(file: Path) -> str:
    """A folder, or a module of a root: `uniopd_mm/data`, `uniopd_mm/types`, `tasks/grading`."""
    place = file.relative_to(ROOT)
    return str(place.with_suffix("") if len(place.parts) == 2 else Path(*place.parts[:2]))


def room_of_module(name: str) -> str:
    parts = name.split(".")
    if parts[1] in LINKS:
        parts = parts[1:]
    return "/".join(parts[:2])


def imported_modules(file: Path) -> set[str]:
    """The modules of this project that a file imports, at its top or inside of functions."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {f"{n.module}.{alias.name}" for n in nodes if isinstance(n, ast.ImportFrom) for alias in n.names}
    return {name for name in plain | named if name.startswith("uniopd_mm.") and name != "uniopd_mm.__version__"}
