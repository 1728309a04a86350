"""Build the components that a configuration names: a `_target_` with its parameters, checked first."""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass, make_dataclass
from importlib import import_module
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.errors import HydraException, InstantiationException
from hydra.utils import get_object, instantiate
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from uniopd_mm.config.signatures import declared_parameters
from uniopd_mm.types import UserError

CHECKED = (bool, int, float, str)
PLAIN = (*CHECKED, bytes, Mapping, Sequence, Path)


class Component:
    """The type of a parameter whose value is another component."""


def build(node: Mapping[str, Any], key: str, **runtime: Any) -> Any:
    """Build the component that `node` describes. `runtime` are further arguments, known only to the program.

    Raises:
        UserError: the target does not exist, or a parameter is unknown, missing or of the wrong type; also whatever
            the target itself raises.
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
    """Check a node, and the components nested in it, against the parameters of their targets. Builds nothing."""
    if "_target_" not in node:
        raise UserError(f"{key}: no `_target_`; name a class, as in configs/{key.split('.')[0]}/*.yaml")
    _check_parameters(node, key, _parameters(_target(str(node["_target_"]), key)))


def check_declared(node: Mapping[str, Any], key: str) -> None:
    """Check a node against its target's source alone, in no time; what the source does not say is not checked.

    Raises:
        UserError: a parameter is unknown or of the wrong type.
    """
    if declared := declared_parameters(str(node.get("_target_"))):
        _check_parameters(node, key, declared)


def _check_parameters(node: Mapping[str, Any], key: str, hints: Mapping[Any, Any]) -> None:
    values = {name: value for name, value in node.items() if not str(name).startswith("_")}
    for name, value in values.items():
        if name not in hints and None not in hints:
            raise UserError(f"{key}.{name}={value}: no such parameter; {_nearest(str(name), hints)}")
        if isinstance(value, Mapping) and "_target_" in value:
            check_component(value, f"{key}.{name}")
        elif isinstance(value, Mapping) and hints.get(str(name)) is Component:
            raise UserError(f"{key}.{name}={dict(value)}: no `_target_`; name its class as {key}.{name}._target_=CLASS")
        else:
            _check_value(name, value, hints.get(str(name), Any), key)


def _nearest(name: str, hints: Mapping[str | None, Any]) -> str:
    known = sorted(filter(None, hints))
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}? It takes {', '.join(known)}" if near else f"it takes {', '.join(known)}"


def _check_complete(node: Mapping[str, Any], key: str, runtime: Mapping[str, Any]) -> None:
    for name, parameter in inspect.signature(_target(str(node["_target_"]), key)).parameters.items():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if parameter.default is parameter.empty and not variadic and name not in {*node, *runtime}:
            raise UserError(f"{key}.{name}: missing; {node['_target_']} needs it")


def _target(name: str, key: str) -> Callable[..., Any]:
    """The class or function of this dotted name.

    Raises:
        UserError: there is none, or another package fails while its module is imported.
    """
    try:
        return get_object(name)
    except (HydraException, ImportError, ValueError) as error:
        _check_imports(name, key)
        reason = " ".join(str(error).split())
        raise UserError(f"{key}._target_={name}: {reason}; give the dotted name of an importable class") from error


def _check_imports(name: str, key: str) -> None:
    """Raises UserError where the target's module is there, but a package that it imports fails to load."""
    parts = name.split(".")
    for depth in range(1, len(parts)):
        module = ".".join(parts[:depth])
        try:
            import_module(module)
        except Exception as error:  # whatever a module of somebody else's raises when it is imported
            missing = error.name if isinstance(error, ModuleNotFoundError) else None
            if missing and f"{module}.".startswith(f"{missing}."):
                return  # the target's own module
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            remedy = f"install {missing.partition('.')[0]}" if missing else "repair or uninstall the package that fails"
            raise UserError(f"{key}._target_={name}: {module} cannot be imported: {reason}; {remedy}") from error


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
    """bool, int, float, str and their unions with None stay; another class, or one or None, is a Component; the rest is
    Any."""
    optional = get_origin(hint) in (Union, UnionType)
    kinds = [kind for kind in get_args(hint) if kind is not NoneType] if optional else [hint]
    if len(kinds) != 1 or not isinstance(kinds[0], type):
        return Any
    if kinds[0] in CHECKED:
        return hint
    return Any if issubclass(kinds[0], PLAIN) or is_dataclass(kinds[0]) else Component


def _check_value(name: str, value: Any, hint: Any, key: str) -> None:
    """OmegaConf's own conversion rules, on a schema of this one parameter."""
    schema = make_dataclass("Parameter", [(name, Any if hint is Component else hint)])
    try:
        OmegaConf.merge(OmegaConf.structured(schema), {name: value})
    except OmegaConfBaseException as error:
        raise UserError(f"{key}.{name}={value}: {str(error).strip().splitlines()[0]}") from error
