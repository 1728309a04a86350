"""Plain data on its way into a sandbox and out of it, and whether a value is the expected one.

Values travel as JSON, with {"t": type, "v": content} for what JSON lacks. Part of the program that `code_driver` says
more about. The standard library only.
"""

import json
import math
from typing import Any

TOLERANCE = 1e-6


def encode(value: Any) -> Any:
    """The value as JSON can hold it. Raises TypeError where it is no plain data."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, tuple):
        return {"t": "tuple", "v": [encode(item) for item in value]}
    if isinstance(value, set | frozenset):
        return {"t": "set", "v": [encode(item) for item in value]}
    if isinstance(value, dict):
        return {"t": "dict", "v": [[encode(key), encode(item)] for key, item in value.items()]}
    if isinstance(value, bytes | bytearray):
        return {"t": "bytes", "v": value.hex()}
    if isinstance(value, complex):
        return {"t": "complex", "v": [value.real, value.imag]}
    if type(value).__module__ == "numpy":
        return encode(value.tolist())
    raise TypeError(type(value).__name__)


def decode(value: Any) -> Any:
    """What `encode` was given, subclasses as their base. Raises ValueError or TypeError for anything else."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind, content = value.get("t"), value.get("v")
    if kind == "bytes":
        return bytes.fromhex(str(content))
    if not isinstance(content, list):
        raise ValueError(f"no value: {kind}")
    items = decode(content)
    if kind == "complex":
        return complex(*items)
    return {"tuple": tuple, "set": set, "dict": dict}[str(kind)](items)


def answers_of(lines: str) -> list[dict[str, Any]]:
    """The answers that `call` wrote, with their values as `decode` makes them. Lines that were cut off, or written by
    the program, are left out."""
    return [answer for line in lines.split("\n") if (answer := _answer(line)) is not None]


def _answer(line: str) -> dict[str, Any] | None:
    try:
        answer = json.loads(line)
        if isinstance(answer, dict) and len(answer) == 1 and set(answer) <= {"value", "odd", "raised"}:
            return {name: decode(value) if name == "value" else str(value) for name, value in answer.items()}
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return None


def expected_value(value: Any, expected: Any, wrapped: bool) -> bool:
    """Whether a value is the expected one, which may stand in a list of its own if it is `wrapped`."""
    if same_value(value, expected):
        return True
    return wrapped and isinstance(expected, list) and len(expected) == 1 and same_value(value, expected[0])


def same_value(value: Any, expected: Any) -> bool:
    """Whether plain data is the expected JSON value, as `code_answers` says."""
    if isinstance(expected, list | tuple):
        same_length = isinstance(value, list | tuple) and len(value) == len(expected)
        return same_length and all(map(same_value, value, expected))
    if isinstance(expected, dict):
        if not isinstance(value, dict):
            return False
        named, wanted = ({str(key): item for key, item in pairs.items()} for pairs in (value, expected))
        return named.keys() == wanted.keys() and all(same_value(named[key], wanted[key]) for key in wanted)
    if isinstance(expected, float) or isinstance(value, float):
        numbers = isinstance(value, int | float) and isinstance(expected, int | float)
        return numbers and (close_to(value, expected) or (value != value and expected != expected))
    return type(value) in (type(expected), bool, int) and value == expected


def close_to(one: float, other: float) -> bool:
    """Whether two numbers are equal within TOLERANCE, relatively or absolutely."""
    try:
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except OverflowError:  # an int that no float can hold
        return False
