"""Which classes and functions a resumed configuration may name: the run folder may be a stranger's, and Hydra calls
whatever stands behind a `_target_`.

Allowed are the components that our own YAML files name, and what the user's packages define that `trust=[my_package]`
names on the command line. Everything is refused before a module is imported. Leaves out: what an allowed component does
with its parameters (docs/security.md).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from inspect import isclass, isroutine
from pathlib import Path
from typing import Any

from hydra.utils import get_object

from uniopd_mm.types import UserError

CONFIGS = Path(__file__).parents[1] / "configs"
WITHOUT_YAML = ("uniopd_mm.tasks.grading.judge.Judge", "uniopd_mm.tasks.sandbox.remote.RemoteSandbox")
ENGINE = "vllm"
LONGEST = 200  # characters of a value that are shown


def check_trust(saved: Any, trust: Sequence[str], where: str) -> None:
    """Refuse a saved configuration, as plain values with interpolations unresolved, that could run code of others.

    Args:
        trust: packages, modules or classes by their dotted names.
        where: the file, for errors.

    Raises:
        UserError: a component that is not allowed, an interpolation, positional arguments, or arguments of vLLM, which
            may name classes.
    """
    for place, value in _walk(saved):
        key, name = _shown(place), place.rpartition(".")[2]
        if isinstance(value, str) and "${" in value:
            raise UserError(
                f"{where}: {key}={_shown(value)}: a run's own config.yaml has no interpolation; write its value"
            )
        if name == "_args_":
            raise UserError(f"{where}: {key}: positional arguments are not resumed; name each parameter")
        if name == "args" and value and not _is_trusted(ENGINE, trust):
            raise UserError(f"{where}: {key}={_shown(value)}: vLLM's arguments may name code; add trust=[{ENGINE}]")
        if name == "_target_":
            _check_target(key, value, trust, where)


def trusted_object(target: str, trust: Sequence[str], where: str) -> Callable[..., Any]:
    """Import the target of a configuration that `check_trust` accepted.

    Raises:
        UserError: a trusted package has it, but only imports it from elsewhere.
        HydraException, ImportError, ValueError: there is no such object.
    """
    found = get_object(target)
    defined = getattr(found, "__module__", None) if isclass(found) or isroutine(found) else None
    if target not in own_components() and not _is_trusted(f"{defined}.{target.rpartition('.')[2]}", trust):
        raise UserError(
            f"{where}: _target_={target}: not a class or function of trust=[{','.join(trust)}] but of {defined}; start "
            "a new run"
        )
    return found


def resume_command(folder: Path, config: Mapping[str, Any]) -> str:
    """What to type to go on with a run of one's own, with the packages of its configuration to trust."""
    named = {str(value) for key, value in _walk(config) if key.rpartition(".")[2] == "_target_"} - own_components()
    packages = sorted({target.partition(".")[0] for target in named})
    trust = f" 'trust=[{','.join(packages)}]'" if packages else ""
    return f"python -m uniopd_mm.train resume={folder}{trust}"


@cache
def own_components() -> frozenset[str]:
    """Every class and function that our YAML files name, and the few that only the command line does."""
    texts = [file.read_text(encoding="utf-8") for file in CONFIGS.rglob("*.yaml")]
    named = [target for text in texts for target in re.findall(r"_target_: *([\w.]+)", text)]
    return frozenset([*named, *WITHOUT_YAML])


def _check_target(key: str, target: Any, trust: Sequence[str], where: str) -> None:
    if isinstance(target, str) and (target in own_components() or _is_trusted(target, trust)):
        return
    package = str(target).partition(".")[0]
    ours = package == "uniopd_mm"
    remedy = _shown(target if ours else package)
    said = "no component of this version of uniopd_mm" if ours else "code from outside of uniopd_mm"
    raise UserError(
        f"{where}: {key}={_shown(target)}: {said}; if you trust this folder and that code, add "
        f"trust=[{remedy}]; otherwise start a new run, or resume with the version that wrote it"
    )


def _is_trusted(name: str, trust: Sequence[str]) -> bool:
    return any(f"{name}.".startswith(f"{entry}.") for entry in trust)


def _shown(value: Any) -> str:
    """On one line, whatever a stranger wrote."""
    return " ".join(str(value).split())[:LONGEST]


def _walk(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value below a node with its key, depth first."""
    children = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for name, entry in children:
        inner = f"{key}.{name}".lstrip(".")
        yield inner, entry
        yield from _walk(entry, inner)
