"""README, CONTRIBUTING, docs/ and the comments of configs/ tell the truth: commands parse and compose, names exist.

All commands compose in this process, through the `main` that the user runs. That they also work is what the jobs' tests
and test_readme.py run.
"""

import importlib
import io
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from docs_parts import FENCED, GROUPS, PAGES, ROOT, Line, in_comments, on_page, unquoted
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from uniopd_mm.__main__ import COMMANDS as NAMES
from uniopd_mm.cli.groups import CONFIGS, documented_keys, is_open, sections
from uniopd_mm.config import balance, evaluate, grade, report, serve
from uniopd_mm.run.checks import check, check_components

SCHEMAS = {name: importlib.import_module(f"uniopd_mm.{name}").COMMAND.schema for name in NAMES}
CHECKS: dict[str, Callable[[Any], None]] = {
    "train": check,
    "balance": balance.validate,
    "grade": grade.validate,
    "serve": serve.validate,
    "evaluate": evaluate.validate,
    "report": report.validate,
}
IN_PAGES = [line for page, text in PAGES.items() for line in on_page(page, text)]
IN_YAML = [line for path in sorted(CONFIGS.rglob("*.yaml")) for line in in_comments(path)]
LINES = list({(line.text, line.context): line for line in [*IN_PAGES, *IN_YAML]}.values())
COMMANDS = [line for line in LINES if line.whole]
SETTINGS = [line for line in LINES if not line.whole and not line.text.endswith("=")]


def named(lines: Sequence[Line]) -> Any:
    return pytest.mark.parametrize("line", lines, ids=[f"{line.place} {line.text}" for line in lines])


@pytest.mark.parametrize("text", ["a 'b=[c]'", 'a "b={c: 1}"', "a b=c~d#e", r"a b=\[c\]", "a \"$(b 'c*')\" > d"])
def test_quoted_words_are_safe(text: str) -> None:
    assert not unquoted(text)


@pytest.mark.parametrize(
    "text", ["a b=[c]", "a b={c: 1}", "a *", "a b?", "a ~data", "a =b", "a 'b'[c]", "a # b", "(a)"]
)
def test_unquoted_words_are_found(text: str) -> None:
    assert unquoted(text)


def test_every_page_and_the_comments_have_lines() -> None:
    assert {line.place.partition(":")[0] for line in IN_PAGES} == set(PAGES)
    assert len(IN_YAML) > 20 and any(line.whole for line in IN_YAML)


def test_zsh_takes_every_line_as_bash_does() -> None:
    faults = [f"{line.place}: quote {unquoted(line.text)} in {line.text}" for line in LINES if unquoted(line.text)]
    assert not faults, "\n".join(faults)


def test_bash_parses_every_line() -> None:
    script = "\n".join(line.text for line in LINES)
    outcome = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=60)
    assert not outcome.stderr, outcome.stderr


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with the files that the pages show; importable, as where `python -m` runs."""
    folder = tmp_path_factory.mktemp("docs")
    for kind, path, _, content in (block for text in PAGES.values() for block in FENCED.findall(text)):
        headed = re.match(r"# (\S+/\S+\.yaml)\n", content)
        if shown := path if kind == "file" else headed and headed[1]:
            (folder / shown).parent.mkdir(parents=True, exist_ok=True)
            (folder / shown).write_text(content, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        yield folder


def composed(command: str, arguments: Sequence[str]) -> Any:
    """What `python -m uniopd_mm.<command> ARGUMENTS --cfg job` prints, as the command's typed configuration.

    Raises:
        ValueError: the command refuses the arguments, or prints what is no such configuration.
    """
    printed, said, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed), redirect_stderr(said):
        patch.setattr(sys, "argv", [command, *arguments, "--cfg=job"])
        try:
            importlib.import_module(f"uniopd_mm.{command}").main()
        except SystemExit as stopped:
            status = stopped.code  # type: ignore[assignment]
    if status:
        raise ValueError(said.getvalue().strip())
    try:
        return OmegaConf.to_object(OmegaConf.merge(SCHEMAS[command], OmegaConf.create(printed.getvalue())))
    except OmegaConfBaseException as error:
        raise ValueError(str(error)) from error


def single(words: Sequence[str]) -> list[str]:
    """The arguments of one run: of a multirun's values the first, and no `--cfg job`, which `composed` adds."""
    kept = [word for word in words if word not in ("--multirun", "--cfg", "job")]
    return [re.sub(r",.*", "", word) if "--multirun" in words else word for word in kept]


def module_of(line: Line) -> tuple[str, list[str]]:
    """The module of ours that a command runs, "" if none, and its arguments."""
    words = line.words
    place = words.index("-m") + 1 if "-m" in words else 0
    return (words[place], words[place + 1 :]) if words[place].startswith("uniopd_mm") else ("", [])


@named([line for line in COMMANDS if module_of(line)[0]])
def test_a_command_composes(line: Line) -> None:
    module, arguments = module_of(line)
    command = module.rpartition(".")[2]
    if command not in SCHEMAS or {"--help", "--version"} & set(arguments):
        assert find_spec(module)
    elif arguments:
        CHECKS[command](composed(command, single(arguments)))


def is_choice(line: Line) -> bool:
    """Whether it only selects a YAML that is there, which test_job_configs.py composes."""
    group, _, choice = line.text.partition("=")
    return choice in GROUPS.get(group, [])


@named([line for line in SETTINGS if not is_choice(line)])
def test_settings_compose(line: Line) -> None:
    """With one of the commands, on top of the YAML in whose comments they are or alone."""
    contexts = [[line.context], []] if line.context else [[]]
    refused = []
    for command, context in [(command, context) for context in contexts for command in SCHEMAS]:
        try:
            config = composed(command, [*context, *single(line.words)])
        except ValueError as error:
            refused.append(str(error))
            continue
        if command == "train":
            check_components(config)
        return
    pytest.fail(f"{line.place}: {line.text}: " + "; ".join(refused))


def test_keys_are_there() -> None:
    """Keys with dots, and keys whose value is left open (`gpus=`)."""
    entries = [entry for schema in SCHEMAS.values() for entry in documented_keys(schema)]
    known = {key for key, _ in entries}
    known |= sections(list(known)) | set(GROUPS)
    parts = tuple(f"{key}." for key, entry in entries if is_open(entry))
    left_open = [line.text.removesuffix("=") for line in LINES if line.text.endswith("=")]
    spans = [span for text in PAGES.values() for span in re.findall(r"`([a-z_]+(?:\.[a-z_0-9]+)+)`", text)]
    roots = {key.partition(".")[0] for key in known}
    dotted = [span for span in spans if span.partition(".")[0] in roots and not re.search(r"\.(jsonl?|py|html)$", span)]
    assert len(left_open) > 5 and len(dotted) > 10
    assert not {key for key in (*left_open, *dotted) if key not in known and not key.startswith(parts)}


def test_files_are_there() -> None:
    """Those of this repository that a page names, and those that a command runs."""
    spans = [(page, span) for page, text in PAGES.items() for span in re.findall(r"`([\w.]+/[\w./]*|\w+\.py)`", text)]
    folders = re.compile(r"(tests|processors|benchmarks|uniopd_mm|tasks|configs|tools|docs|\.ci)/")
    files = [span for page, span in spans if folders.match(span) or page == "CONTRIBUTING.md"]
    files += [line.words[1] for line in COMMANDS if len(line.words) > 1 and line.words[1].endswith((".py", ".ci/run"))]
    assert len(files) > 30
    assert not [name for name in files if not (ROOT / name).exists() and not (ROOT / "uniopd_mm" / name).exists()]


def test_make_targets_are_there() -> None:
    targets = {word for line in COMMANDS if line.words[0] == "make" for word in line.words[1:] if "=" not in word}
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert {"demo", "test", "lint"} <= targets <= set(re.findall(r"^(\w+):.*##", makefile, re.MULTILINE))


def test_links_lead_somewhere() -> None:
    for page, text in PAGES.items():
        headings = re.findall(r"^#+ (.*)$", FENCED.sub("", text), re.MULTILINE)
        anchors = {"#" + re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
        links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link and link not in anchors]
        assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]


def test_every_suite_is_named() -> None:
    table = PAGES["docs/evaluation.md"].partition("| `suite=` |")[2].partition("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE)) == set(GROUPS["suite"])


def test_layers_are_those_of_the_contract() -> None:
    shown = next(block[3] for block in FENCED.findall(PAGES["CONTRIBUTING.md"]) if "\ntrainer\n" in block[3])
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert [row.split() for row in shown.splitlines()] == [re.findall(r"\w+", layer) for layer in layers]
