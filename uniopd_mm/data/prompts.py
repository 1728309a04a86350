"""Encodes samples as prompts, once each. Samples that cannot be used are skipped, counted and named."""

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import final

from uniopd_mm.data.mixture import Mixture
from uniopd_mm.interfaces import Processor
from uniopd_mm.runtime.world import World
from uniopd_mm.types import BadSample, Media, Prompt, Sample, Skip, UserError

MAX_THREADS = 8


@final
class PromptStream:
    """Draws samples from a mixture and encodes each one on one of the processes.

    Args:
        max_prompt_tokens: longer prompts are skipped.
        world: the processes that share the work. The prompts of a step do not depend on their number.
        skipped: the samples that an earlier part of the run has skipped.
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
        self._failures = dict.fromkeys(mixture.sizes, 0)  # consecutive unusable samples by domain

    def next(self, num_prompts: int) -> Mapping[int, Prompt]:
        """This process's part of the next usable prompts, by their place in the step, 0 .. num_prompts - 1.

        A sample that cannot be used is replaced by the next one of its domain, so that domains keep their shares.

        Raises:
            UserError: no sample of a whole pass through a domain can be used.
        """
        prompts: dict[int, Prompt] = {}
        owners = [rank for rank, count in enumerate(self.world.sizes(num_prompts)) for _ in range(count)]
        slots = [_Slot(index, owner, self.mixture.next_domain()) for index, owner in enumerate(owners)]
        while slots:
            entries = list(zip(slots, self._encoded(slots), strict=True))
            prompts |= {slot.index: entry for slot, entry in entries if isinstance(entry, Prompt)}
            for slot, entry in entries:
                self._record(slot.domain, entry)
            slots = [slot for slot, entry in entries if isinstance(entry, Skip)]
        return {index: replace(prompts[index], place=index) for index in sorted(prompts)}

    def _encoded(self, slots: Sequence["_Slot"]) -> list[Prompt | Skip | None]:
        """One entry per slot: a Skip, or the prompt of the next sample. It is None if another process encodes it,
        because media never leave their process."""
        samples = [self.mixture.next_of(slot.domain) for slot in slots]
        places = [index for index, slot in enumerate(slots) if slot.owner == self.world.rank]
        entries = encode_together(self.processor, [samples[index] for index in places], self.max_prompt_tokens)
        own = dict(zip(places, entries, strict=True))
        skips = {index: entry for index, entry in own.items() if isinstance(entry, Skip)}
        all_skips = {index: skip for part in self.world.gather(skips) for index, skip in part.items()}
        return [all_skips.get(index) or own.get(index) for index in range(len(slots))]

    def _record(self, domain: str, entry: Prompt | Skip | None) -> None:
        """Record a skip once, although every epoch meets it again. 2 * size - 1 skips in a row contain a full epoch,
        wherever they start, so the whole domain is unusable."""
        self._failures[domain] = self._failures[domain] + 1 if isinstance(entry, Skip) else 0
        if not isinstance(entry, Skip):
            return
        if self._failures[domain] == 2 * self.mixture.sizes[domain] - 1:
            of = f" of domain {domain}" if len(self.mixture.sizes) > 1 else ""
            raise UserError(f"data.path: no sample{of} can be used; the last: {entry.where}: {entry.reason}")
        if entry not in self.skipped:
            self.skipped.append(entry)


@dataclass(frozen=True, slots=True)
class _Slot:
    """The index of a prompt in the step, the process that encodes it, and the domain that it is drawn from."""

    index: int
    owner: int
    domain: str


def encode(processor: Processor, sample: Sample, max_prompt_tokens: int) -> Prompt | Skip:
    """The sample's prompt, or the reason why it cannot be used."""
    try:
        prompt = processor.encode(sample)
    except BadSample as error:
        return Skip(where=sample.source, reason=str(error))
    if len(prompt.token_ids) > max_prompt_tokens:
        reason = f"prompt of {len(prompt.token_ids)} tokens is over data.max_prompt_tokens={max_prompt_tokens}"
        return Skip(where=sample.source, reason=reason)
    return prompt


def encode_together(processor: Processor, samples: Sequence[Sample], max_prompt_tokens: int) -> list[Prompt | Skip]:
    """`encode` of each sample. Samples with media are encoded in threads, because decoders work outside of this
    process."""
    num_threads = min(len(os.sched_getaffinity(0)), MAX_THREADS) if any(map(_has_media, samples)) else 1
    if num_threads == 1 or len(samples) < 2:
        return [encode(processor, sample, max_prompt_tokens) for sample in samples]
    with ThreadPoolExecutor(num_threads) as threads:
        return list(threads.map(lambda sample: encode(processor, sample, max_prompt_tokens), samples))


def _has_media(sample: Sample) -> bool:
    return any(isinstance(item, Media) for message in sample.messages for item in message.content)


def encode_all(
    processor: Processor, samples: Sequence[Sample], max_prompt_tokens: int, chunk: int
) -> Iterator[tuple[list[Prompt], list[Skip]]]:
    """The prompts of `samples` in order, and the skipped ones, `chunk` samples at a time."""
    for start in range(0, len(samples), chunk):
        encoded = encode_together(processor, samples[start : start + chunk], max_prompt_tokens)
        yield [e for e in encoded if isinstance(e, Prompt)], [e for e in encoded if isinstance(e, Skip)]
