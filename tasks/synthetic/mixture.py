"""Several synthetic sets as one, for a model that learns from all of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import final

from uniopd_mm.interfaces import SampleSource
from uniopd_mm.types import Corpus


@final
@dataclass(frozen=True, kw_only=True)
class SyntheticMixture:
    """Samples of the sources by turns, so that the first n samples have about equally many of each.

    Args:
        sources: by any names.
    """

    sources: Mapping[str, SampleSource]

    def samples(self, split: str) -> Corpus:
        """See `SampleSource.samples`."""
        corpora = [source.samples(split) for source in self.sources.values()]
        turns = chain.from_iterable(zip_longest(*(corpus.samples for corpus in corpora)))
        return Corpus(
            samples=tuple(sample for sample in turns if sample is not None),
            skipped=tuple(chain.from_iterable(corpus.skipped for corpus in corpora)),
        )
