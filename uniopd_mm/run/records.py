"""Records as plain values, and back: what a checkpoint saves of a run is data, never a class that loading calls.

    plain(Best(step=2, measure="eval/accuracy", value=0.5))    {"step": 2, "measure": "eval/accuracy", "value": 0.5}
    restored(Best, {...})                                      the same record, with each value checked by its type

Knows dataclasses, mappings, tuples, unions with None, and plain types.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def plain(value: Any) -> Any:
    """The value without dataclasses and tuples."""
    if is_dataclass(value):
        return {entry.name: plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value


def restored(kind: Any, value: Any) -> Any:
    """The value of type `kind` that `plain` was given.

    Raises:
        TypeError: the value does not have this type's form.
    """
    arguments, origin = get_args(kind), get_origin(kind)
    if kind is Any:
        return value
    if origin in (Union, UnionType):
        (other,) = (each for each in arguments if each is not NoneType)
        return None if value is None else restored(other, value)
    if is_dataclass(kind):
        return _record(kind, value)
    if origin is not None and issubclass(origin, Mapping):
        key, entry = arguments
        return {restored(key, name): restored(entry, each) for name, each in _checked(value, Mapping).items()}
    if origin is tuple:
        return _tuple(arguments, _checked(value, list))
    return _checked(value, int | float if kind is float else kind)


def _record(kind: Any, value: Any) -> Any:
    hints = get_type_hints(kind)
    return kind(**{name: restored(hints[name], entry) for name, entry in _checked(value, Mapping).items()})


def _tuple(kinds: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
    kinds = [kinds[0]] * len(values) if kinds[1:] == (...,) else kinds
    if len(kinds) != len(values):
        raise TypeError(f"{len(values)} values for {len(kinds)}")
    return tuple(restored(each, value) for each, value in zip(kinds, values, strict=True))


def _checked(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} in place of {kind}")
    return value
