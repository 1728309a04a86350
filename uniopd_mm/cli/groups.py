"""The YAML files that a command line can choose from, and the keys of a command's schema."""

from collections.abc import Iterator, Sequence
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def groups(config_dir: str | None = None) -> dict[str, list[str]]:
    """The choices of every group: those of the package and those of `--config-dir`."""
    found: dict[str, set[str]] = {}
    for root in (CONFIGS, *([Path(config_dir)] if config_dir else [])):
        for file in root.glob("*/*.yaml"):
            found.setdefault(file.parent.name, set()).add(file.stem)
    return {group: sorted(found[group]) for group in sorted(found)}


def composed_groups(name: str) -> list[str]:
    """The groups that `configs/<name>.yaml` composes, without those that follow from others (`zoo`)."""
    defaults: Any = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"{name}.yaml"))
    return [
        key
        for entry in defaults["defaults"]
        if isinstance(entry, dict)
        for key in entry
        if not key.startswith(("optional ", "override "))
    ]


def documented_keys(schema: type, prefix: str = "") -> Iterator[tuple[str, Field[Any]]]:
    """Every key of a schema with its field, depth first."""
    for entry in fields(schema):
        if is_dataclass(entry.type):
            yield from documented_keys(entry.type, f"{prefix}{entry.name}.")  # type: ignore[arg-type]
        else:
            yield prefix + entry.name, entry


def sections(keys: Sequence[str]) -> set[str]:
    """The dotted prefixes of keys: `run` and `run.root` of ["run.root.x"]."""
    return {".".join(key.split(".")[:depth]) for key in keys for depth in range(1, key.count(".") + 1)}


def is_open(entry: Field[Any]) -> bool:
    """Whether keys of any name may stand below this one: components, whose targets name them, and mappings."""
    return entry.type is Any or str(entry.type).startswith("dict")


def is_list(entry: Field[Any]) -> bool:
    return str(entry.type).startswith("list")
