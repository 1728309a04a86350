"""One row of a source under the task's names, with what messages say about it."""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.tasks.reading.columns import shown
from uniopd_mm.types import BadSample


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row: its place in the source, and its fields that are not empty, under the task's names.

    `columns` is the map from our names to theirs, so that messages can name the user's column. Relative media paths
    start at `folder`; None if no folder is known. `others` are the user's columns that no field reads. With `fetch`,
    media may be fetched over the network. With `graded_only`, they are not looked at.
    """

    where: str
    fields: Mapping[str, Any]
    columns: Mapping[str, Any] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    folder: str | None = None
    fetch: bool = False
    graded_only: bool = False

    def need(self, name: str) -> Any:
        """The field's value. Raises BadSample if the row has none."""
        if name not in self.fields:
            raise BadSample(f"no {self.label(name)}")
        return self.fields[name]

    def text(self, name: str) -> str:
        """The field as stripped text; a number becomes text. Raises BadSample if it is absent or neither of the two."""
        value = self.need(name)
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise BadSample(f"{self.label(name)} must be text, got {type(value).__name__} {quote(value)}")
        return str(value).strip()

    def share(self, name: str) -> float | None:
        """The field as a number in [0, 1], None if absent. Raises BadSample if it is anything else."""
        value = self.fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise BadSample(f"{self.label(name)} must be a number from 0 to 1, got {quote(value)}")
        return float(value)

    def identity(self, names: Collection[str]) -> str:
        """The row's `id`, or else a hash of the named fields, which depends on nothing else, not even on the file."""
        if "id" in self.fields:
            return self.text("id")
        content = json.dumps(self.standard(names), sort_keys=True, default=_digest)
        return f"row-{hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def standard(self, names: Collection[str]) -> dict[str, Any]:
        """The named fields that the row has, under our names."""
        return {name: self.fields[name] for name in names if name in self.fields}

    def label(self, name: str) -> str:
        """How a message names a field: with the user's own column if that has another name."""
        theirs = shown(self.columns.get(name, name))
        return name if theirs == name else f"{name} (column {quote(theirs)})"


def _digest(value: object) -> str:
    """A short stand-in for media; the text of anything else."""
    content = value.tobytes() if isinstance(value, Image.Image) else value
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else str(value)
