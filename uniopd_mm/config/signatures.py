"""The parameters of a class as its source declares them: known without the seconds that its imports take."""

import ast
from importlib.machinery import SourceFileLoader
from importlib.util import find_spec
from typing import Any

PLAIN = {"bool": bool, "int": int, "float": float, "str": str}


def declared_parameters(target: str) -> dict[str, Any] | None:
    """Parameter names of the class `module.Class` and their types; a type other than bool, int, float and str, or their
    union with None, counts as Any.

    None where the source alone does not say: no such class, no `__init__` of its own, `**name` among the parameters.
    """
    module, _, name = target.rpartition(".")
    function = _constructor(module, name)
    if function is None or function.args.kwarg is not None:
        return None
    arguments = (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)[1:]
    return {argument.arg: _declared_type(argument.annotation) for argument in arguments}


def _constructor(module: str, name: str) -> ast.FunctionDef | None:
    try:
        spec = find_spec(module)  # imports the packages above the module, which in uniopd_mm are empty
    except (ImportError, ValueError):
        return None
    if spec is None or not isinstance(spec.loader, SourceFileLoader):
        return None
    source = spec.loader.get_source(spec.name)
    classes = [node for node in ast.parse(source or "").body if isinstance(node, ast.ClassDef) and node.name == name]
    own = [node for found in classes for node in found.body if isinstance(node, ast.FunctionDef)]
    return next((function for function in own if function.name == "__init__"), None)


def _declared_type(annotation: ast.expr | None) -> Any:
    names = [part.strip() for part in ast.unparse(annotation).split("|")] if annotation else []
    kinds = [PLAIN[name] for name in names if name in PLAIN]
    if len(kinds) != 1 or len(kinds) + ("None" in names) != len(names):
        return Any
    return kinds[0] | None if "None" in names else kinds[0]
