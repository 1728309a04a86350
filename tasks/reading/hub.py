"""Raw rows from data sets of the `datasets` library: on the hub, in a folder with the hub's layout, or saved by it.

    hub:OWNER/NAME                  a data set of the hub
    hub:OWNER/NAME/FOLDER/*.parquet some of its files
    hub:FOLDER, hub:FOLDER/FILE     the same in a copy
    OWNER/NAME:train:17             the 17th row of that split, counted from 1

Rows come out of Arrow tables, so that images and videos stay the bytes or paths that are stored. Left out: data sets
that are made by a script, which the library itself no longer runs.
"""

import os
from collections.abc import Iterator
from typing import Any

from uniopd_mm.tasks.reading.files import ROWS_PER_BATCH, RawRow
from uniopd_mm.types import UserError

HUB = "hub:"
SAVED = ("dataset_dict.json", "state.json")


def is_saved(path: str) -> bool:
    """Whether `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote this folder."""
    return any(os.path.isfile(os.path.join(os.path.expanduser(path), name)) for name in SAVED)


def read_hub(path: str, *, subset: str | None, split: str, streaming: bool) -> Iterator[RawRow]:
    """The rows of one split; of several subsets one after the other ("a+b").

    Raises:
        UserError: no such data set, subset or split, it cannot be reached, or it is damaged.
    """
    import datasets  # a second to import, which only those pay who need it

    name, files = _located(os.path.expanduser(path.removeprefix(HUB)))
    folder = name if os.path.isdir(name) else None
    for part in subset.split("+") if subset else [None]:
        try:
            table = datasets.load_dataset(name, name=part, split=split, data_files=files, streaming=streaming)
        except Exception as error:  # data from outside: the library lets errors of its many file readers through
            raise _refused(path, part, split, error) from error
        place = ":".join(filter(None, (path.removeprefix(HUB), part, split)))
        yield from _rows(table, place, path, folder)


def _located(name: str) -> tuple[str, str | None]:
    """(data set, which of its files), the latter None for all that belong to the split."""
    if os.path.isfile(name):
        return os.path.dirname(name) or ".", os.path.basename(name)
    owner, _, rest = name.partition("/")
    data_set, _, files = rest.partition("/")
    if files and not os.path.isdir(name) and not os.path.isabs(name):
        return f"{owner}/{data_set}", files
    return name, None


def read_saved(path: str, *, split: str) -> Iterator[RawRow]:
    """The rows of a folder that `save_to_disk` wrote; `split` chooses where it holds several.

    Raises:
        UserError: no such split, or it is damaged.
    """
    import datasets

    folder = os.path.expanduser(path)
    try:
        table = datasets.load_from_disk(folder)
    except Exception as error:  # data from outside, see above
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
    except Exception as error:  # data from outside or over a network, see above
        raise UserError(f"data.path={path}: unreadable after row {number} ({_line(error)}); mend or copy it") from error


def _refused(path: str, subset: str | None, split: str, error: Exception) -> UserError:
    """Which key is at fault, what the library says (it lists what there is), and the remedy."""
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
        return UserError(f"data.path={path}: {said}; give hub:OWNER/NAME, or hub:FOLDER of a copy")
    return UserError(f"data.path={path}: cannot be loaded ({said}); mend it, or {copy}")


def _line(error: Exception) -> str:
    """What the library says, on one line and without its lines of example code."""
    said = " ".join(str(error).split("Example of usage")[0].split()) or type(error).__name__
    return said[:300].rstrip(" .")
