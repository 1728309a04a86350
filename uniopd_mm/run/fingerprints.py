"""Fingerprints of what a run's position points into: rows, teachers, processor and code. A checkpoint keeps them, and a
run that resumes with others is refused, because it would go on differently without a word.

A row is fingerprinted by what its sample holds: id, texts, answer and metadata; a file by its name and size, so that
data may move to another folder. Weights are fingerprinted by their files' names and sizes and by 64 blocks of each.
Leaves out: what `config.yaml` says, which a resumed run keeps anyway.
"""

import inspect
import json
import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from hydra.utils import get_object
from omegaconf import OmegaConf
from torch import Tensor

import uniopd_mm
from uniopd_mm.config.parts import Engine
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.models.identity import Identity
from uniopd_mm.models.loading import checkpoint, revision
from uniopd_mm.run.changes import Fingerprints
from uniopd_mm.run.folder import Run
from uniopd_mm.run.recipes import build_recipe
from uniopd_mm.run.saved_config import targets
from uniopd_mm.teachers.roster import Roster, RosterEntry
from uniopd_mm.tracking.console import warning
from uniopd_mm.types import Media, Sample, UserError

PACKAGE = Path(uniopd_mm.__file__).parent
NOT_OF_A_STEP = (
    *("cli", "evaluation", "serving", "tracking", "balance", "evaluate", "grade", "serve", "report", "__main__"),
    *("regrading", "mixed_rows"),
)
LIBRARIES = ("torch", "transformers")
BLOCKS, BLOCK_BYTES = 64, 4096
LONGEST = 40  # characters of a value that are shown as they are


def fingerprints(
    config: TrainConfig, train: Iterable[Sample], validation: Iterable[Sample], student: Identity, roster: Roster | None
) -> Fingerprints:
    """Fingerprints of a run that is assembled; `student` identifies its processor."""
    parts = {"code": code_versions(config), "student": student.described}
    for name, entry in roster.entries.items() if roster else ():
        parts[f"teacher {name}"] = _teacher(entry)
    if build_recipe(config).objective.needs.base:
        place = config.recipe.base_path or checkpoint(config.model, "model")
        parts["base model"] = {"weights": weights_digest(place)}
    named = {f"{part}, {name}": _short(value) for part, each in parts.items() for name, value in each.items()}
    return Fingerprints(train=row_digests(train), validation=row_digests(validation), parts=named)


def check_unchanged(run: Run, now: Fingerprints) -> tuple[str, ...]:
    """What has changed since the checkpoint that a run resumes from, with its step.

    Raises:
        UserError: something has, without `resume_with_changes`.
    """
    changes = now.changes_since(run.state.fingerprints) if run.state else []
    if changes and not run.config.resume_with_changes:
        raise UserError(
            f"resume={run.folder}: changed since step {run.step}: {'; '.join(changes)}; restore what it was, or add "
            "resume_with_changes=true to go on with the change"
        )
    for change in changes:
        warning(f"changed since step {run.step}: {change}")
    return tuple(f"step {run.step}: {change}" for change in changes)


def row_digests(samples: Iterable[Sample]) -> Tensor:
    """Digests i64[N, 2] of each sample's id, and of everything it holds that a step depends on."""
    pairs = [(_number(sample.sample_id), _number(_content(sample))) for sample in samples]
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2)


def code_versions(config: TrainConfig) -> dict[str, str]:
    """The versions of the code that computes a step: ours, with a digest of its source; the modules of other packages'
    components; and the libraries."""
    foreign = {name for name in targets(OmegaConf.to_container(OmegaConf.structured(config))) if not _is_own(name)}
    modules = {name: _digest([_source(get_object(name))]) for name in sorted(foreign)}
    return {"uniopd_mm": own_version(), **modules, **{name: version(name) for name in LIBRARIES}}


def own_version() -> str:
    """Our version, with a digest of the source files that a step depends on."""
    return f"{uniopd_mm.__version__} {_digest(path.read_bytes() for path in sorted(_sources(PACKAGE)))}"


def weights_digest(path: str) -> str:
    """Of a checkpoint folder, without hidden files and Markdown; or the commit of a hub name."""
    folder = Path(path)
    if not folder.is_dir():
        return str(revision(path, offline=True))
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix != ".md")
    named = {str(file.relative_to(folder)): file for file in files}
    shown = {name: file for name, file in named.items() if not any(part.startswith(".") for part in Path(name).parts)}
    return _digest(part for name, file in shown.items() for part in (name.encode(), *_blocks(file)))


def _teacher(entry: RosterEntry) -> dict[str, str]:
    """A teacher's settings, and its weights where they are on this machine."""
    identity, plan = entry.model.identity, entry.plan
    settings = identity.described if identity else {}
    if plan.engine is Engine.remote:
        return settings
    return {**settings, "weights": weights_digest(checkpoint(plan, f"teachers.{plan.name}"))}


def _content(sample: Sample) -> str:
    turns = [(message.role, [_part(part) for part in message.content]) for message in sample.messages]
    held = (sample.sample_id, sample.domain, turns, sample.answer, sample.demonstration, dict(sample.metadata))
    return json.dumps(held, default=repr)


def _part(part: str | Media) -> Any:
    """A text, or what stands for a medium: a file's name and size, encoded bytes' digest, an object's type."""
    if isinstance(part, str):
        return part
    return part.kind, _stands_for(part.source), dict(part.options), part.caption


def _stands_for(source: Any) -> Any:
    if isinstance(source, bytes):
        return _digest([source])
    if isinstance(source, str | os.PathLike):
        return _file(str(source))
    if isinstance(source, tuple):  # the frames of a video
        return [_stands_for(frame) for frame in source]
    return type(source).__name__


def _file(path: str) -> tuple[str, int]:
    try:
        return os.path.basename(path), os.stat(path).st_size
    except OSError:  # a URL, or data in the text itself
        return path, 0


def _sources(folder: Path) -> Iterator[Path]:
    """The source files that a step depends on, those behind links included."""
    for path in folder.iterdir():
        if path.is_dir() and path.name not in NOT_OF_A_STEP:
            yield from _sources(path)
        elif path.suffix == ".py" and path.stem not in NOT_OF_A_STEP:
            yield path


def _is_own(target: str) -> bool:
    return target.startswith("uniopd_mm.")


def _source(component: Any) -> bytes:
    """The file that defines a class or function."""
    try:
        return Path(str(inspect.getsourcefile(component))).read_bytes()
    except (TypeError, OSError):  # no Python source
        return repr(component).encode()


def _blocks(file: Path) -> Iterator[bytes]:
    """A file's size and blocks of it, evenly spaced from the first to the last; all of a small file."""
    size = file.stat().st_size
    yield str(size).encode()
    with file.open("rb") as content:
        if size <= BLOCKS * BLOCK_BYTES:
            yield content.read()
            return
        for number in range(BLOCKS):
            content.seek((size - BLOCK_BYTES) * number // (BLOCKS - 1))
            yield content.read(BLOCK_BYTES)


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else _digest([value.encode()])


def _digest(parts: Iterable[bytes]) -> str:
    whole = blake2b(digest_size=8)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


def _number(text: str) -> int:
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)
