"""Raw rows from files: one file, all files of a folder, or the files that match a glob.

    train.jsonl:17       line 17 of the file, counted from 1
    train.parquet:row 3  the third row, counted from 1; also of .json, .csv, .tsv and .tar

`formats.py` reads the contents. All but .parquet and .tar may be compressed, as .jsonl.gz. In a folder with files of
several formats, those of the first one in `FORMATS` are read: a folder of .jsonl files may have a config.json.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from uniopd_mm.tasks.reading.formats import Content, read_csv, read_json, read_jsonl, read_parquet, read_tsv
from uniopd_mm.tasks.reading.shards import read_tar
from uniopd_mm.types import UserError

# By suffix: how a file is read. The groups are tried in turn for a folder.
FORMATS: tuple[Mapping[str, Callable[[str, Path], Iterator[tuple[str, Content]]]], ...] = (
    {".jsonl": read_jsonl, ".ndjson": read_jsonl, ".parquet": read_parquet, ".pq": read_parquet},
    {".csv": read_csv, ".tsv": read_tsv},
    {".tar": read_tar},
    {".json": read_json},
)
_READERS = {suffix: reader for group in FORMATS for suffix, reader in group.items()}
_UNCOMPRESSED = (".parquet", ".pq", ".tar")
_SPLIT_IN_NAME = re.compile(r"(?:^|[-_./])(train|valid|val|dev|test)(?:ing|ation|idation)?(?=[-_./0-9]|$)")


@dataclass(frozen=True, kw_only=True, slots=True)
class RawRow:
    """A row under the user's own column names, or the reason why it cannot be read. Its relative paths start at
    `folder`; None if there is no such folder."""

    where: str
    content: Content
    folder: str | None


def read_files(path: str) -> Iterator[RawRow]:
    """All rows, streamed in order of the files' names.

    Raises:
        UserError: there is no file, or one has an unknown suffix, cannot be read or is empty.
    """
    for name in _files(path):
        file = _checked_file(path, name)
        for where, content in _READERS[_suffix(file) or ""](name, file):
            yield RawRow(where=where, content=content, folder=str(file.parent))


def _suffix(file: Path | str) -> str | None:
    """The suffix that says how a file is read, without that of compression; None if it is none of ours."""
    name = os.path.basename(file).lower()
    suffix = os.path.splitext(name.removesuffix(".gz"))[1]
    return suffix if suffix in _READERS and not (name.endswith(".gz") and suffix in _UNCOMPRESSED) else None


def _in_folder(folder: str) -> list[str]:
    names = sorted(name for name in glob("**/*", root_dir=folder, recursive=True))
    groups = ([name for name in names if _suffix(name) in group] for group in FORMATS)
    return next((found for found in groups if found), [])


def _files(path: str) -> list[str]:
    """The files that a path stands for. A folder with files of several splits is refused: test rows could end up in
    training."""
    expanded = os.path.expanduser(path)
    if os.path.isdir(expanded):
        names = _in_folder(expanded)
        splits = {match[1][:3] for name in names if (match := _SPLIT_IN_NAME.search(os.path.splitext(name)[0]))}
        if len(splits) > 1:
            remedy = f"give data.path=hub:{path} with data.source_split, or a glob such as {path}/train*"
            shown = f"{names[0]} and {names[-1]}"
            raise UserError(f"data.path={path}: its files belong to several splits, such as {shown}; {remedy}")
        return [os.path.join(path, name) for name in names] or [path]
    if any(sign in path for sign in "*?[") and not os.path.exists(expanded):
        names = sorted(name for name in glob(expanded, recursive=True) if os.path.isfile(name))
        if not names:
            raise UserError(f"data.path={path}: no file matches this glob; check it")
        return names
    return [path]


def _checked_file(path: str, name: str) -> Path:
    """The file, checked before it is opened: a pipe or a device would block or never end."""
    file = Path(name).expanduser()
    known = "file with rows, such as .jsonl"
    try:
        if not file.exists():
            raise UserError(f"data.path={name}: there is no such file; give a {known}")
        if not file.is_file():
            raise UserError(f"data.path={path}: neither a regular file nor a folder of such files; give a {known}")
        if _suffix(file) is None:
            raise UserError(f"data.path={name}: unknown suffix {file.suffix or 'none'}; give {', '.join(_READERS)}")
        if file.stat().st_size == 0:
            raise UserError(f"data.path={name}: the file is empty; give a file with rows")
    except OSError as error:
        raise UserError(f"data.path={name}: cannot be read ({error.strerror}); check the path") from error
    return file
