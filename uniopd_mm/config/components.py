"""Making the parts a configuration names: a `_target_` and its parameters, checked before anything is built."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import make_dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from uniopd_mm.types import UserError

CHECKED = (bool, int, float, str)


def build(node: Mapping[str, Any], key: str, **runtime: Any) -> Any:
    """The component that `node` describes, with what only the program knows passed by keyword.

    Raises:
        UserError: no such target, a parameter it does not take, one of another type or one that is missing, or what
            the target itself raised.
    """
    check_component(node, key)
    _check_complete(node, key, runtime)
    try:
        # Converted, because in Hydra's own containers a component that is a dataclass would become a configuration.
        target = instantiate({**node, "_partial_": True, "_convert_": "all"})
    except InstantiationException as error:
        raise error.__cause__ or error from None  # a nested target's own error, which Hydra wraps
    return target(**runtime)  # not through Hydra, which would make plain values of a dataclass


def check_component(node: Mapping[str, Any], key: str) -> None:
    """Compare a node, and the components nested in it, with the parameters of their targets. Builds nothing."""
    if "_target_" not in node:
        raise UserError(f"{key}: no `_target_`; name a class, as in configs/{key.split('.')[0]}/*.yaml")
    hints = _parameters(_target(str(node["_target_"]), key))
    values = {name: value for name, value in node.items() if not str(name).startswith("_")}
    for name, value in values.items():
        if name not in hints and None not in hints:
            raise UserError(
                f"{key}.{name}={value}: no such parameter; it takes {', '.join(sorted(filter(None, hints)))}"
            )
        if isinstance(value, Mapping) and "_target_" in value:
            check_component(value, f"{key}.{name}")
        else:
            _check_value(name, value, hints.get(str(name), Any), key)


def _check_complete(node: Mapping[str, Any], key: str, runtime: Mapping[str, Any]) -> None:
    for name, parameter in inspect.signature(_target(str(node["_target_"]), key)).parameters.items():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not variadic and name not in {*node, *runtime}:
            raise UserError(f"{key}.{name}: missing; {node['_target_']} needs it")


def _target(name: str, key: str) -> Callable[..., Any]:
    try:
        return get_object(name)
    except (HydraException, ImportError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(f"{key}._target_={name}: {reason}; give an importable class") from error


def _parameters(target: Callable[..., Any]) -> dict[str | None, Any]:
    """Parameter names and types; a type that OmegaConf cannot check counts as Any, `**name` stands as None."""
    function = target.__init__ if inspect.isclass(target) else target
    hints = get_type_hints(function)
    parameters = inspect.signature(target).parameters.values()
    return {
        None if parameter.kind is parameter.VAR_KEYWORD else parameter.name: _checkable(hints.get(parameter.name, Any))
        for parameter in parameters
    }


def _checkable(hint: Any) -> Any:
    """bool, int, float, str and their unions with None stay; everything else is Any."""
    if hint in CHECKED:
        return hint
    kinds = [kind for kind in get_args(hint) if kind is not NoneType]
    optional = get_origin(hint) in (Union, UnionType) and len(kinds) == 1 and kinds[0] in CHECKED
    return hint if optional else Any


def _check_value(name: str, value: Any, hint: Any, key: str) -> None:
    """OmegaConf's own conversion rules, on a schema of this one parameter."""
    schema = make_dataclass("Parameter", [(name, hint)])
    try:
        OmegaConf.merge(OmegaConf.structured(schema), {name: value})
    except OmegaConfBaseException as error:
        raise UserError(f"{key}.{name}={value}: {str(error).strip().splitlines()[0]}") from error
