"""What every adapter has in common: samples by split, from the user's rows or from a synthetic source."""

from collections.abc import Callable, Collection
from functools import cached_property
from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.tasks.reading.rows import Reading, Row, read_samples
from uniopd_mm.tasks.reading.sources import RowSource
from uniopd_mm.tasks.reading.splits import check_fraction, corpus_of
from uniopd_mm.types import Corpus, Sample, UserError


@final
class TaskCorpus:
    """A SampleSource. Where `rows` has a path they are read, once, at the first call of `samples`; otherwise it hands
    on `synthetic`.

    Args:
        rows: where rows are and how their columns are called.
        synthetic: where samples come from when there are no rows.
        parse: makes a sample of a row, with the split that the row declares if any; raises BadSample where it cannot.
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
            raise UserError("data.path=null: no rows and no synthetic source; give data.path=FILE.jsonl")
        check_fraction(rows.validation_fraction)
        self._rows = rows
        self._synthetic = synthetic
        self._parse = parse
        self._fields = fields

    def samples(self, split: str) -> Corpus:
        """The usable samples of a split in the rows' order; `skipped` lists what all rows lost, whatever the split.

        Raises:
            UserError: the rows cannot be read, none of them can be used, or the split is unknown or empty.
        """
        if self._rows.path is None:
            assert self._synthetic is not None
            return self._synthetic.samples(split)
        return corpus_of(self.reading, split, self._rows.validation_fraction)

    @cached_property
    def reading(self) -> Reading:
        """All that the rows held."""
        return read_samples(self._rows, parse=self._parse, fields=self._fields)
