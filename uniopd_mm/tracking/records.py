"""The records that sinks are given, and how they stand in a line of JSON.

A number that is not finite stands as the string "NaN", "Infinity" or "-Infinity": every JSON reader accepts it, and
`float()` of the entry gives the number back. All other floats are written with `repr`, so equal lines mean equal bits.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

_RESERVED = frozenset({"step", "timing"})


@dataclass(frozen=True, kw_only=True, slots=True)
class StepMetrics:
    """What one step measured.

    `values` must be a function of the seed and the data (a resumed run repeats them bit by bit): "loss", "reward",
    "accuracy", "reverse_kl", "entropy", "response_length", "grad_norm", "learning_rate", "eval/accuracy", ...
    `timing` is what the clock says: "seconds", "generate", "score", "update" [s], "tokens_per_second". Step 0 is the
    student before training. Raises ValueError for a negative step or a value named "step" or "timing".
    """

    step: int
    values: Mapping[str, float]
    timing: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.step < 0 or _RESERVED & self.values.keys():
            raise ValueError(f"step {self.step}: steps count from 0, and no value is named {sorted(_RESERVED)}")

    def to_json(self) -> dict[str, Any]:
        """`{"step": n, <values, flat>, "timing": {...}}`; integers stay integers."""
        return {"step": self.step, **_numbers(self.values), "timing": _numbers(self.timing)}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> Self:
        values = {name: float(value) for name, value in line.items() if name not in _RESERVED}
        timing = {name: float(value) for name, value in line["timing"].items()}
        return cls(step=line["step"], values=values, timing=timing)


@dataclass(frozen=True, kw_only=True, slots=True)
class RolloutLine:
    """One trajectory for a person to read. Lists have one entry per response token (R); log-probs are natural.

    `teacher` is None where none was asked. `teacher_logprobs` is None and `teacher_failure` says why where it did not
    score the response; `advantages` is None where the recipe gave none.
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
    """One line of standard JSON in UTF-8 with its newline.

    A lone surrogate, which a data file may hold and UTF-8 cannot, is written as its JSON escape.
    """
    text = json.dumps(standard(record), ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", errors="backslashreplace") + b"\n"


def _numbers(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value if isinstance(value, int) else float(value) for name, value in values.items()}


def _floats(entries: list[float | str] | None) -> list[float] | None:
    return None if entries is None else [float(entry) for entry in entries]


def standard(value: Any) -> Any:
    """`value` with mappings as dicts, sequences as lists and numbers that are not finite as strings."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(float(value))]
    if isinstance(value, Mapping):
        return {name: standard(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [standard(entry) for entry in value]
    return value
