"""Raw rows that the `datasets` library reads: from the hub, from a folder with the hub's layout, or saved by it.

    hub:OWNER/NAME                  a data set of the hub
    hub:OWNER/NAME/FOLDER/*.parquet some of its files
    hub:FOLDER, hub:FOLDER/FILE     the same in a copy
    OWNER/NAME:train:17             the 17th row of that split, counted from 1

Rows are read from Arrow tables, so that images and videos stay the stored bytes or paths. Left out: data sets made by
a script, which the library no longer runs.
"""

import os
from collections.abc import Iterator
from typing import Any

from uniopd_mm.tasks.reading.files import RawRow
from uniopd_mm.tasks.reading.formats import ROWS_PER_BATCH
from uniopd_mm.types import UserError

HUB = "hub:"
SAVED = ("dataset_dict.json", "state.json")


def is_saved(path: str) -> bool:
    """Whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote this folder."""
    return any(os.path.isfile(os.path.join(os.path.expanduser(path), name)) for name in SAVED)


def read_hub(path: str, *, subset: str | None, split: str, streaming: bool) -> Iterator[RawRow]:
    """The rows of one split. Several subsets ("a+b") are read one after the other.

    Raises:
        UserError: there is no such data set, subset or split, or it cannot be reached or read.
    """
    import datasets  # takes a second, so it is imported only where it is needed

    name, files = _located(os.path.expanduser(path.removeprefix(HUB)))
    folder = name if os.path.isdir(name) else None
    for part in subset.split("+") if subset else [None]:
        try:
            table = datasets.load_dataset(name, name=part, split=split, data_files=files, streaming=streaming)
        except Exception as error:  # outside data: the library passes on any error of its many file readers
            raise _refused(path, part, split, error) from error
        place = ":".join(filter(None, (path.removeprefix(HUB), part, split)))
        yield from _rows(table, place, path, folder)


def _located(name: str) -> tuple[str, str | None]:
    """(data set, which of its files). The second is None for all files of the split."""
    if os.path.isfile(name):
        return os.path.dirname(name) or ".", os.path.basename(name)
    owner, _, rest = name.partition("/")
    data_set, _, files = rest.partition("/")
    if files and not os.path.isdir(name) and not os.path.isabs(name):
        return f"{owner}/{data_set}", files
    return name, None


def read_saved(path: str, *, split: str) -> Iterator[RawRow]:
    """The rows of a folder that `save_to_disk` wrote. `split` matters only if it holds several.

    Raises:
        UserError: there is no such split, or it cannot be read.
    """
    import datasets

    folder = os.path.expanduser(path)
    try:
        table = datasets.load_from_disk(folder)
    except Exception as error:  # outside data, see above
        raise UserError(f"data.path={path}: cannot be loaded ({_line(error)}); save it again") from error
    if isinstance(table, datasets.DatasetDict):
        if split not in table:
            raise UserError(f"data.source_split={split}: {path} has no such split; choose from {', '.join(table)}")
        table = table[split]
    return _rows(table, f"{path}:{split}", path, folder)


def _rows(table: Any, place: str, path: str, folder: str | None) -> Iterator[RawRow]:
    number = 0
    try:
        for part in table.with_format("arrow").iter(batch_size=ROWS_PER_BATCH):
            for content in part.to_pylist():
                number += 1
                yield RawRow(where=f"{place}:{number}", content=content, folder=folder)
    except (GeneratorExit, UserError):
        raise
    except Exception as error:  # outside data, perhaps over a network, see above
        raise UserError(f"data.path={path}: unreadable after row {number} ({_line(error)}); mend or copy it") from error


def _refused(path: str, subset: str | None, split: str, error: Exception) -> UserError:
    """Names the key at fault, what the library says about it (often the possible values), and the remedy."""
    import datasets

    said = _line(error)
    name, files = _located(path.removeprefix(HUB))
    given = f"hub:FOLDER/{files}" if files else "hub:FOLDER"
    copy = f"copy it with `hf download {name} --repo-type dataset --local-dir FOLDER` and give data.path={given}"
    if isinstance(error, datasets.exceptions.DatasetNotFoundError):
        return UserError(f"data.path={path}: {said}; check the name, or log in with `hf auth login`")
    if "BuilderConfig" in said or "Config name is missing" in said:
        return UserError(f"data.subset={subset}: {said}; choose one of these subsets of {name}")
    if "split" in said.lower() and isinstance(error, ValueError):
        return UserError(f"data.source_split={split}: {said}; choose one of these splits of {name}")
    if "save_to_disk" in said:
        return UserError(f"data.path={path}: this folder was saved by `datasets`; give data.path={name}")
    if isinstance(error, ConnectionError):
        return UserError(f"data.path={path}: {said}; without a network, {copy}")
    if isinstance(error, FileNotFoundError):
        return UserError(f"data.path={path}: {said}; give hub:OWNER/NAME, or hub:FOLDER for a copy")
    return UserError(f"data.path={path}: cannot be loaded ({said}); mend it, or {copy}")


def _line(error: Exception) -> str:
    """The library's message on one line, without its example code."""
    said = " ".join(str(error).split("Example of usage")[0].split()) or type(error).__name__
    return said[:300].rstrip(" .")
