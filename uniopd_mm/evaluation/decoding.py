"""How a task of lmms-eval wants its responses: exactly what its `generation_kwargs` say, or a refusal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from uniopd_mm.types import Sampling, UserError

MAX_NEW_TOKENS = 1024  # of a task that says nothing
# What lmms-eval puts in the place of a missing `until`: the delimiter of few-shot examples, which no task asked for and
# which would end a response after its first paragraph.
UNASKED = ("\n\n",)
# Values with which an option does nothing. With any other our engines would sample from another distribution.
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
    """Temperature 0 is greedy; `stop_strings` end a response and are cut from it; `num_samples` are of one question."""

    temperature: float
    max_new_tokens: int
    stop_strings: tuple[str, ...]
    num_samples: int

    @property
    def num_drawn(self) -> int:
        """Responses to compute: greedy ones are all the same."""
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
        """What stands before the first stop string."""
        return text[: min((place for stop in self.stop_strings if (place := text.find(stop)) >= 0), default=len(text))]


def decoding_of(task: str, options: Mapping[str, Any], num_samples: int) -> Decoding:
    """What `generation_kwargs` of a task ask for. Options that have nothing to do with decoding are none of ours.

    Raises:
        UserError: an option that neither engine has.
    """
    temperature = _temperature(options)
    neutral = {**NEUTRAL, **(NEUTRAL_WHEN_SAMPLING if temperature else {})}
    for name, values in neutral.items():
        if options.get(name) not in values:
            raise UserError(
                f"{task}: generation_kwargs.{name}={options[name]}: these engines decode greedily or at a temperature; "
                f"give {values[-1]}, or evaluate this task with another model class of lmms-eval"
            )
    limit = options.get("max_new_tokens")
    return Decoding(
        temperature=temperature,
        max_new_tokens=MAX_NEW_TOKENS if limit is None else int(limit),
        stop_strings=_stop_strings(options.get("until")),
        num_samples=num_samples,
    )


def _temperature(options: Mapping[str, Any]) -> float:
    """As lmms-eval's own models read it: who gives no temperature, or says that it does not sample, is greedy."""
    greedy = options.get("do_sample") is False or options.get("top_k") == 1
    return 0.0 if greedy else float(options.get("temperature") or 0.0)


def _stop_strings(until: Any) -> tuple[str, ...]:
    strings = (until,) if isinstance(until, str) else tuple(until or ())
    return () if strings == UNASKED else tuple(string for string in strings if string)
