"""Where a task's rows are: the record that every adapter takes, and reading the rows it names.

    rows.jsonl, rows.parquet    one file
    FOLDER, "FOLDER/*.parquet"  all such files of a folder, or all that match a glob
    FOLDER                      written by `save_to_disk` of the `datasets` library
    hub:OWNER/NAME, hub:FOLDER  a data set of the hub, or a copy of its files

The adapter decides what a row means.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

from uniopd_mm.tasks.reading.columns import check_columns, flattened
from uniopd_mm.tasks.reading.files import RawRow, read_files
from uniopd_mm.tasks.reading.hub import HUB, is_saved, read_hub, read_saved
from uniopd_mm.types import UserError

SOURCE_SPLIT = "train"


@final
@dataclass(frozen=True, kw_only=True)
class RowSource:
    """Where the rows are and what their columns are called.

    Args:
        path: see above; None if there are no rows.
        columns: from the task's names to the rows' own: a column, a place inside one (`reward_model.ground_truth`),
            a text around columns (`videos/{video_id}.mp4`), or a list of columns (`[a0, a1]`).
        where: read only rows whose columns have these values. A list allows any of its values.
        recognise: also read columns by the names that the field gives them, see `shapes`.
        ignore: columns to drop. All others are kept in the samples' metadata.
        subset: configuration name of a hub data set; several as "a+b".
        source_split: the split of a hub or saved data set to read. `validation_fraction` divides it further.
        streaming: read a hub data set without copying it first.
        media_root: folder where relative media paths start; by default the folder of the row's file.
        validation_fraction: share of the rows without a `split` that is held out.
        max_rows: the most rows to read; None for all.
        fetch: fetch media whose place is an http or https address, and keep them in the cache folder.
        graded_only: the rows' responses are graded and nothing is asked, so that rows may lack their media, and
            several rows may be of one question.
    """

    path: str | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    ignore: Sequence[str] = ()
    recognise: bool = True
    subset: str | None = None
    source_split: str = SOURCE_SPLIT
    streaming: bool = False
    media_root: str | None = None
    validation_fraction: float = 0.1
    max_rows: int | None = None
    fetch: bool = False
    graded_only: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "where", dict(flattened(self.where)))  # the record is frozen
        check_columns(self.columns)
        if self.max_rows is not None and self.max_rows < 1:
            raise UserError(f"data.max_rows={self.max_rows}: must be at least 1, or null for all rows")
        if self.path is not None:
            self._refuse_void(self.path)

    def raw_rows(self) -> Iterator[RawRow]:
        """All rows under their own column names, in a fixed order. `where` and `max_rows` are not applied.

        Raises:
            UserError: the rows cannot be read.
        """
        if self.path is None:
            raise UserError("data.path=null: there are no rows; give data.path=FILE.jsonl")
        root = self._media_folder()
        if self.path.startswith(HUB):
            rows = read_hub(self.path, subset=self.subset, split=self.source_split, streaming=self.streaming)
        elif is_saved(self.path):
            rows = read_saved(self.path, split=self.source_split)
        else:
            rows = read_files(self.path)
        return (replace(row, content=self._kept(row.content), folder=root or row.folder) for row in rows)

    def _kept(self, content: Mapping[str, Any] | str) -> Mapping[str, Any] | str:
        if isinstance(content, str):
            return content
        return {name: value for name, value in content.items() if name not in self.ignore}

    def _media_folder(self) -> str | None:
        if self.media_root is None:
            return None
        folder = os.path.expanduser(self.media_root)
        if not os.path.isdir(folder):
            raise UserError(
                f"data.media_root={self.media_root}: there is no such folder; give the one where media paths start"
            )
        return folder

    def _refuse_void(self, path: str) -> None:
        """Raises UserError for settings that have no effect on files."""
        on_hub = path.startswith(HUB)
        if not on_hub and (self.subset is not None or self.streaming):
            given = f"data.subset={self.subset}" if self.subset is not None else "data.streaming=true"
            raise UserError(f"{given}: data.path={path} is read as files; leave it out, or give data.path=hub:{path}")
        if not on_hub and self.source_split != SOURCE_SPLIT and not is_saved(path):
            remedy = f"give data.path=hub:{path}, or name the files of that split"
            raise UserError(f"data.source_split={self.source_split}: data.path={path} is read as files; {remedy}")
