"""Decoding options of an lmms-eval task: exactly what its `generation_kwargs` ask for, or an error."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from uniopd_mm.types import Sampling, UserError

MAX_NEW_TOKENS = 1024  # if a task sets no limit
# lmms-eval's default for a missing `until`: the delimiter of few-shot examples. No task asked for it, and it would end
# a response after its first paragraph.
DEFAULT_UNTIL = ("\n\n",)
# Values that turn an option off. With any other value our engines would sample from another distribution.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "num_beams": (None, 1),
    "repetition_penalty": (None, 1.0),
    "presence_penalty": (None, 0.0),
    "frequency_penalty": (None, 0.0),
    "no_repeat_ngram_size": (None, 0),
    "stop_sequences": (None, []),
}
NEUTRAL_WHEN_SAMPLING: Mapping[str, tuple[Any, ...]] = {
    "top_p": (None, 1.0),
    "top_k": (None, 0, -1),
    "min_p": (None, 0.0),
    "typical_p": (None, 1.0),
}


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """Temperature 0 is greedy. A response ends at the first of `stop_strings`, which is removed. `num_samples` is the
    number of responses per question."""

    temperature: float
    max_new_tokens: int
    stop_strings: tuple[str, ...]
    num_samples: int

    @property
    def num_drawn(self) -> int:
        """Number of responses to compute per question: greedy ones are all the same."""
        return self.num_samples if self.temperature else 1

    def sampling(self, seed: int, policy_step: int) -> Sampling:
        return Sampling(
            temperature=self.temperature,
            max_new_tokens=self.max_new_tokens,
            seed=seed,
            policy_step=policy_step,
            stop_strings=self.stop_strings,
        )

    def cut(self, text: str) -> str:
        """The text before the first stop string."""
        return text[: min((place for stop in self.stop_strings if (place := text.find(stop)) >= 0), default=len(text))]


def decoding_of(task: str, options: Mapping[str, Any], num_samples: int) -> Decoding:
    """The decoding that a task's `generation_kwargs` ask for. Options unrelated to decoding are ignored.

    Raises:
        UserError: an option that neither engine supports.
    """
    temperature = _temperature(options)
    neutral = {**NEUTRAL, **(NEUTRAL_WHEN_SAMPLING if temperature else {})}
    for name, values in neutral.items():
        if options.get(name) not in values:
            raise UserError(
                f"{task}: generation_kwargs.{name}={options[name]}: not supported; these engines decode "
                f"greedily or at a temperature; set {values[-1]}, or use another model class of lmms-eval for this task"
            )
    limit = options.get("max_new_tokens")
    return Decoding(
        temperature=temperature,
        max_new_tokens=MAX_NEW_TOKENS if limit is None else int(limit),
        stop_strings=_stop_strings(options.get("until")),
        num_samples=num_samples,
    )


def _temperature(options: Mapping[str, Any]) -> float:
    """As lmms-eval's own models read it: greedy without a temperature, with do_sample=False or with top_k=1."""
    greedy = options.get("do_sample") is False or options.get("top_k") == 1
    return 0.0 if greedy else float(options.get("temperature") or 0.0)


def _stop_strings(until: Any) -> tuple[str, ...]:
    strings = (until,) if isinstance(until, str) else tuple(until or ())
    return () if strings == DEFAULT_UNTIL else tuple(string for string in strings if string)
