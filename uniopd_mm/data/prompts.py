"""Prompts ready for the student: samples encoded once, and the ones that cannot be used skipped, counted and named."""

from collections.abc import Iterator, Sequence
from typing import final

from uniopd_mm.data.mixture import Mixture
from uniopd_mm.interfaces import Processor
from uniopd_mm.types import BadSample, Prompt, Sample, Skip, UserError


@final
class PromptStream:
    """Draws samples from a mixture and encodes them.

    Args:
        max_prompt_tokens: a longer prompt is skipped.
        skipped: what an earlier part of the run has skipped already.
    """

    def __init__(
        self, mixture: Mixture, processor: Processor, max_prompt_tokens: int, skipped: Sequence[Skip] = ()
    ) -> None:
        self.mixture = mixture
        self.processor = processor
        self.max_prompt_tokens = max_prompt_tokens
        self.skipped = list(skipped)

    def next(self, num_prompts: int) -> list[Prompt]:
        """The next usable prompts.

        Raises:
            UserError: a whole pass through the corpus without a usable sample.
        """
        prompts: list[Prompt] = []
        failures, whole_pass = 0, 2 * len(self.mixture.samples) - 1  # so many draws hold an epoch, wherever they begin
        while len(prompts) < num_prompts:
            encoded = encode(self.processor, self.mixture.next(), self.max_prompt_tokens)
            if isinstance(encoded, Prompt):
                prompts.append(encoded)
                failures = 0
                continue
            self._note(encoded)
            failures += 1
            if failures == whole_pass:
                raise UserError(f"data.path: no sample can be used; the last: {encoded.where}: {encoded.reason}")
        return prompts

    def _note(self, skip: Skip) -> None:
        """Remember it once, though every epoch comes upon it again."""
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
