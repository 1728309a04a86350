"""Prompts ready for the student: samples encoded once, and the ones that cannot be used skipped, counted and named."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

from uniopd_mm.data.mixture import Mixture
from uniopd_mm.interfaces import Processor
from uniopd_mm.runtime.world import World
from uniopd_mm.types import BadSample, Prompt, Sample, Skip, UserError


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
        self._failures = dict.fromkeys(mixture.sizes, 0)  # samples in a row that could not be used, by domain

    def next(self, num_prompts: int) -> Mapping[int, Prompt]:
        """This process's part of the next usable prompts, by their places in the step, 0 .. num_prompts - 1.

        A sample that cannot be used is replaced by the next one of its domain, which so keeps its share.

        Raises:
            UserError: a whole pass through a domain without a usable sample.
        """
        mine: dict[int, Prompt] = {}
        owners = [rank for rank, count in enumerate(self.world.sizes(num_prompts)) for _ in range(count)]
        wanted = [_Wanted(place, owner, self.mixture.next_domain()) for place, owner in enumerate(owners)]
        while wanted:
            entries = list(zip(wanted, self._encoded(wanted), strict=True))
            mine |= {one.place: entry for one, entry in entries if isinstance(entry, Prompt)}
            for one, entry in entries:
                self._note(one.domain, entry)
            wanted = [one for one, entry in entries if isinstance(entry, Skip)]
        return {place: mine[place] for place in sorted(mine)}

    def _encoded(self, wanted: Sequence["_Wanted"]) -> list[Prompt | Skip | None]:
        """One entry a drawn sample: a Skip, or its prompt, which is None where another process owns it: media never
        leave their process."""
        samples = [self.mixture.next_of(one.domain) for one in wanted]
        own = {
            index: encode(self.processor, sample, self.max_prompt_tokens)
            for index, (sample, one) in enumerate(zip(samples, wanted, strict=True))
            if one.owner == self.world.rank
        }
        skips = {index: entry for index, entry in own.items() if isinstance(entry, Skip)}
        everybodys = {index: skip for part in self.world.gather(skips) for index, skip in part.items()}
        return [everybodys.get(index) or own.get(index) for index in range(len(wanted))]

    def _note(self, domain: str, entry: Prompt | Skip | None) -> None:
        """Remember a skip once, though every epoch comes upon it again. So many in a row that they surely hold an
        epoch, wherever they began, are the whole domain."""
        self._failures[domain] = self._failures[domain] + 1 if isinstance(entry, Skip) else 0
        if not isinstance(entry, Skip):
            return
        if self._failures[domain] == 2 * self.mixture.sizes[domain] - 1:
            of = f" of domain {domain}" if len(self.mixture.sizes) > 1 else ""
            raise UserError(f"data.path: no sample{of} can be used; the last: {entry.where}: {entry.reason}")
        if entry not in self.skipped:
            self.skipped.append(entry)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A place in the step, the process that encodes its prompt, and the domain it is drawn from."""

    place: int
    owner: int
    domain: str


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
