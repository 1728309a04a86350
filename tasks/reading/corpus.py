"""What all adapters share: samples by split, from the user's rows or from a synthetic source."""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.reading.row import Row
from uniopd_mm.tasks.reading.rows import Reading, read_samples
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.reading.splits import check_fraction, corpus_of
from uniopd_mm.types import Corpus, Sample, UserError


@final
class TaskCorpus:
    """A SampleSource. If `rows` has a path, the first call of `samples` reads them all; if not, `synthetic` is used.

    Args:
        rows: where the rows are and what their columns are called.
        synthetic: the source of samples if there are no rows.
        parse: makes a sample of a row, and returns it with the split that the row declares, or None. Raises BadSample
            if the row cannot be used.
        fields: the names that the user's columns may be mapped to.
    """

    def __init__(
        self,
        rows: RowSource,
        synthetic: SampleSource | None,
        parse: Callable[[Row], tuple[Sample, str | None]],
        fields: Collection[str],
    ) -> None:
        if rows.path is None and synthetic is None:
            raise UserError("data.path=null: there are no rows and no synthetic source; give data.path=FILE.jsonl")
        check_fraction(rows.validation_fraction)
        self._rows = rows
        self._synthetic = synthetic
        self._parse = parse
        self._fields = fields

    def samples(self, split: str) -> Corpus:
        """The usable samples of a split, in the rows' order. `skipped` lists the skipped rows of all splits.

        Raises:
            UserError: the rows cannot be read, none of them can be used, or the split is unknown or empty.
        """
        if self._rows.path is None:
            assert self._synthetic is not None
            return self._synthetic.samples(split)
        return corpus_of(self.reading, split, self._rows.validation_fraction)

    @cached_property
    def reading(self) -> Reading:
        """What all rows held, read once."""
        return read_samples(self._rows, parse=self._parse, fields=self._fields)
