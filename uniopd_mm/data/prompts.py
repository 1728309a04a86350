"""Prompts ready for the student: samples encoded once, and the ones that cannot be used skipped, counted and named."""

from collections.abc import Iterator, Mapping, Sequence
from typing import final

from uniopd_mm.data.mixture import Mixture
from uniopd_mm.interfaces import Processor
from uniopd_mm.types import BadSample, Prompt, Sample, Skip, UserError
from uniopd_mm.world import World


@final
class PromptStream:
    """Draws samples from a mixture and encodes them, each on one of the processes.

    Args:
        max_prompt_tokens: a longer prompt is skipped.
        world: the processes that share the work; which prompts a step has does not depend on their number.
        skipped: what an earlier part of the run has skipped already.
    """

    def __init__(
        self,
        mixture: Mixture,
        processor: Processor,
        max_prompt_tokens: int,
        world: World,
        skipped: Sequence[Skip] = (),
    ) -> None:
        self.mixture = mixture
        self.processor = processor
        self.max_prompt_tokens = max_prompt_tokens
        self.world = world
        self.skipped = list(skipped)

    def next(self, num_prompts: int) -> Mapping[int, Prompt]:
        """This process's part of the next usable prompts, by their places in the step, 0 .. num_prompts - 1.

        Raises:
            UserError: a whole pass through the corpus without a usable sample.
        """
        mine: dict[int, Prompt] = {}
        missing = self.world.sizes(num_prompts)  # of each process; one that met bad samples draws again itself
        place = failures = 0
        while any(missing):
            owners = [rank for rank, count in enumerate(missing) for _ in range(count)]
            for owner, entry in zip(owners, self._encoded(owners), strict=True):
                failures = failures + 1 if isinstance(entry, Skip) else 0
                if isinstance(entry, Skip):
                    self._note(entry, failures)
                    continue
                if isinstance(entry, Prompt):
                    mine[place] = entry
                missing[owner] -= 1
                place += 1
        return mine

    def _encoded(self, owners: Sequence[int]) -> list[Prompt | Skip | None]:
        """One entry a drawn sample: a Skip, or its prompt, which is None where another process owns it: media never
        leave their process."""
        samples = [self.mixture.next() for _ in owners]
        own = {
            index: encode(self.processor, sample, self.max_prompt_tokens)
            for index, (sample, owner) in enumerate(zip(samples, owners, strict=True))
            if owner == self.world.rank
        }
        skips = {index: entry for index, entry in own.items() if isinstance(entry, Skip)}
        everybodys = {index: skip for part in self.world.gather(skips) for index, skip in part.items()}
        return [everybodys.get(index) or own.get(index) for index in range(len(owners))]

    def _note(self, skip: Skip, failures: int) -> None:
        """Remember it once, though every epoch comes upon it again; `failures` in a row are the whole corpus where they
        are as many as surely hold an epoch, wherever they began."""
        if failures == 2 * len(self.mixture.samples) - 1:
            raise UserError(f"data.path: no sample can be used; the last: {skip.where}: {skip.reason}")
        if skip not in self.skipped:
            self.skipped.append(skip)


def encode(processor: Processor, sample: Sample, max_prompt_tokens: int) -> Prompt | Skip:
    """The sample's prompt, or why it cannot be used."""
    try:
        prompt = processor.encode(sample)
    except BadSample as error:
        return Skip(where=sample.source, reason=str(error))
    if len(prompt.token_ids) > max_prompt_tokens:
        reason = f"prompt of {len(prompt.token_ids)} tokens is over data.max_prompt_tokens={max_prompt_tokens}"
        return Skip(where=sample.source, reason=reason)
    return prompt


def encode_all(
    processor: Processor, samples: Sequence[Sample], max_prompt_tokens: int, chunk: int
) -> Iterator[tuple[list[Prompt], list[Skip]]]:
    """Prompts of `samples` in order, `chunk` samples at a time, with what was skipped among them."""
    for start in range(0, len(samples), chunk):
        encoded = [encode(processor, sample, max_prompt_tokens) for sample in samples[start : start + chunk]]
        yield [e for e in encoded if isinstance(e, Prompt)], [e for e in encoded if isinstance(e, Skip)]
