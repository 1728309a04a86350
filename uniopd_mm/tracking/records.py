"""The records passed to sinks, and their JSON.

Numbers that are not finite are written as the strings "NaN", "Infinity" and "-Infinity", which every JSON parser
accepts and `float()` converts back. All other floats are written with `repr`, so equal lines mean equal bits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

RESERVED = frozenset({"step", "timing"})
"""Names that the values of a step cannot have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StepMetrics:
    """The measurements of one step. Step 0 is the student before training.

    `values` depend only on the seed and the data, so a resumed run repeats them bit for bit: "loss", "reward",
    "accuracy", "reverse_kl", "entropy", "response_length", "grad_norm", "learning_rate", "eval/accuracy", ...
    `timing` holds wall-clock times in seconds ("seconds", "generate", "score", "update") and "tokens_per_second".

    Raises:
        ValueError: the step is negative, or a value is named "step" or "timing".
    """

    step: int
    values: Mapping[str, float]
    timing: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.step < 0 or RESERVED & self.values.keys():
            raise ValueError(f"step {self.step}: steps count from 0, and no value may be named {sorted(RESERVED)}")

    def to_json(self) -> dict[str, Any]:
        """`{"step": n, **values, "timing": {...}}`; integers stay integers."""
        return {"step": self.step, **_numbers(self.values), "timing": _numbers(self.timing)}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        values = {name: float(value) for name, value in line.items() if name not in RESERVED}
        timing = {name: float(value) for name, value in line["timing"].items()}
        return cls(step=line["step"], values=values, timing=timing)


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutLine:
    """One trajectory in readable form. Lists have one entry per response token (R); log-probs are natural logarithms.

    `teacher` is None if no teacher was asked. If it could not score the response, `teacher_logprobs` is None and
    `teacher_failure` holds the reason. `advantages` is None if the recipe computes none.
    """

    sample_id: str
    domain: str
    source: str
    group_id: int
    policy_step: int
    prompt: str
    answer: str | None
    response: str
    finish_reason: str
    correct: bool | None
    reward: float
    reason: str
    weight: float
    teacher: str | None
    teacher_failure: str | None
    token_ids: list[int]
    tokens: list[str]
    student_logprobs: list[float]
    teacher_logprobs: list[float] | None
    advantages: list[float] | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        lists = {name: _floats(line[name]) for name in ("student_logprobs", "teacher_logprobs", "advantages")}
        return cls(**{**line, **lists, "reward": float(line["reward"]), "weight": float(line["weight"])})


def json_line(record: Mapping[str, Any]) -> bytes:
    """One line of standard JSON in UTF-8, newline included.

    Lone surrogates, which UTF-8 cannot encode, are written as JSON escapes.
    """
    text = json.dumps(standard(record), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", errors="backslashreplace") + b"\n"


def _numbers(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value if isinstance(value, int) else float(value) for name, value in values.items()}


def _floats(entries: list[float | str] | None) -> list[float] | None:
    return None if entries is None else [float(entry) for entry in entries]


def standard(value: Any) -> Any:
    """`value` with mappings as dicts, sequences as lists, and NaN and infinities as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(float(value))]
    if isinstance(value, Mapping):
        return {name: standard(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [standard(entry) for entry in value]
    return value
