"""The program that a sandbox is given in place of a model's: it calls functions and reports what they return.

Graders send this file's text, and on its standard input one line of JSON that says what to do:

    call     {"source", "function", "calls", "go_on"}      runs a model's program and calls its function; writes one
             JSON line for each call, {"value": ...}, {"odd": type} for what is no plain data, {"raised": name}
    compare  {"expected", "wrapped"}                       compares such lines with expected values
    collect  {"test", "helpers", "function"}               runs test code with a function that only notes its arguments
    replay   {..., "calls"}                                runs test code with a function that gives such answers

After their line, `compare` and `replay` are sent what a run of `call` wrote, as it is. So a model's program and what is
expected of it are never in one process, be the tests data or code, and what the program wrote is read in a process with
limits. It can write something itself where answers are expected, but nothing that it could not return.
Values travel as `code_values` writes them, whose text is sent before this one. The standard library only, and of that
no more than is needed: each program waits for it.
"""

import builtins
import importlib
import json
import os
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from uniopd_mm.tasks.grading.code_values import answers_of, decode, encode, expected_value

# What programs use without importing it, because the sites they were written for did. Imported where named.
_USUAL = {
    "typing": "Any Callable Deque Dict FrozenSet Generator Iterable Iterator List Mapping Optional Sequence Set Tuple "
    "Type Union",
    "collections": "Counter OrderedDict defaultdict deque namedtuple",
    "functools": "cache cmp_to_key lru_cache partial reduce",
    "itertools": "accumulate chain combinations combinations_with_replacement groupby islice pairwise permutations "
    "product zip_longest",
    "heapq": "heapify heappop heappush heappushpop heapreplace nlargest nsmallest",
    "bisect": "bisect bisect_left bisect_right insort insort_left insort_right",
    "math": "ceil comb factorial floor gcd inf isqrt lcm log2 perm prod sqrt",
}
_MODULES = frozenset((*_USUAL, "operator", "random", "re", "string", "sys"))
UNFORESEEN = 77  # exit code where test code makes calls that cannot be noted, or others than were noted
_RECURSION = 10_000  # those sites allow more than Python's 1,000
_SHOWN = 100  # characters of a wrong value


def call(request: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Run the program as a module, so that what it does as a script is left out, then make the calls, each on a new
    `Solution()` where the function is a method of it."""
    main = types.ModuleType("program")
    sys.modules["__main__"] = sys.modules["program"] = main
    sys.setrecursionlimit(_RECURSION)
    code = compile(request["source"], "program.py", "exec")
    _import_usual(code, main.__dict__)
    exec(code, main.__dict__)
    for arguments in decode(request["calls"]):
        try:
            value = _function(main.__dict__, request["function"])(*arguments)
        except Exception as error:
            if not request["go_on"]:
                raise
            report({"raised": type(error).__name__})
            continue
        try:
            answer = {"value": encode(value)}
        except TypeError as error:
            answer = {"odd": str(error)}
        report(answer)


def compare(request: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Report the number of answers, and the first that is not the expected one: its place, "value" or "odd", and the
    beginning of its text."""
    answers = answers_of(request["answers"])
    for place, (answer, expected) in enumerate(zip(answers, request["expected"], strict=False)):
        shown = answer.get("odd")
        if shown is None and expected_value(answer.get("value"), expected, request["wrapped"]):
            continue
        kind = "value" if shown is None else "odd"
        text = str(answer.get("value")) if shown is None else shown
        report({"count": len(answers), "wrong": place, "kind": kind, "shown": text[:_SHOWN]})
        return
    report({"count": len(answers)})


def _function(namespace: Mapping[str, Any], name: str) -> Callable[..., Any]:
    solution = namespace.get("Solution")
    if name not in namespace and isinstance(solution, type):
        return getattr(solution(), name)
    if name not in namespace:
        raise NameError(f"name '{name}' is not defined")
    return namespace[name]


def _import_usual(code: types.CodeType, namespace: dict[str, Any]) -> None:
    names = _names(code)
    for module in _MODULES & names:
        namespace[module] = importlib.import_module(module)
    for module, members in _USUAL.items():
        for member in names.intersection(members.split()):
            namespace[member] = getattr(importlib.import_module(module), member)


def _names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def collect(request: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Report the arguments of every call that test code makes, whatever it makes of the answers."""

    def noted(*arguments: Any, **named: Any) -> "Anything":
        if named:
            os._exit(UNFORESEEN)
        try:
            report({"value": [encode(argument) for argument in arguments]})
        except TypeError:  # which the tests would take for an answer
            os._exit(UNFORESEEN)
        return Anything()

    _run_tests(_lenient(request["test"]), request, noted)


def _lenient(test: str) -> types.CodeType:
    """Test code that goes on after an assertion or a call that fails."""
    import ast

    def attempt(node: ast.stmt) -> ast.stmt:
        statement = ast.Expr(node.test) if isinstance(node, ast.Assert) else node
        handler = ast.ExceptHandler(type=ast.Name("Exception", ast.Load()), name=None, body=[ast.Pass()])
        return ast.Try(body=[statement], handlers=[handler], orelse=[], finalbody=[])

    tree = ast.parse(test)
    for node in list(ast.walk(tree)):
        for name, statements in ast.iter_fields(node):
            if isinstance(statements, list):
                changed = [attempt(item) if isinstance(item, ast.Assert | ast.Expr) else item for item in statements]
                setattr(node, name, changed)
    return compile(ast.fix_missing_locations(tree), "tests.py", "exec")


def replay(request: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Run test code on answers that were given before; a test that fails raises. Reports first how many answers there
    are and the first exception among them, at the end "passed"."""
    answers = answers_of(request["answers"])
    raised = next((answer["raised"] for answer in answers if "raised" in answer), None)
    report({"count": len(answers), "raised": raised and raised[:_SHOWN]})
    if len(answers) != len(request["calls"]):
        return
    foreseen = iter(zip(request["calls"], answers, strict=True))

    def given(*arguments: Any) -> Any:
        call, answer = next(foreseen, (None, None))
        if answer is None or (encode(list(arguments)) != call and decode(call) != list(arguments)):
            os._exit(UNFORESEEN)
        if "raised" in answer:
            raise _exception(answer["raised"])
        if "odd" in answer:
            raise AssertionError(f"returned a {answer['odd']}")
        return answer["value"]

    _run_tests(compile(request["test"], "tests.py", "exec"), request, given)
    report({"passed": True})


def _exception(name: str) -> Exception:
    """The built-in exception of this name; another one in place of those that end a process or, quietly, a loop."""
    kind = getattr(builtins, name, None)
    if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, StopIteration | UnicodeError):
        return kind()
    return RuntimeError(name)


def _run_tests(code: types.CodeType, request: Mapping[str, Any], function: Callable[..., Any]) -> None:
    """`helpers` is code that the tests rely on; the function in question may be a stub there."""
    import random

    _import_lazily("numpy")
    random.seed(0)
    namespace: dict[str, Any] = {"__name__": "tests"}
    exec(compile(request["helpers"], "helpers.py", "exec"), namespace)
    namespace[request["function"]] = namespace["candidate"] = function
    exec(code, namespace)


def _import_lazily(name: str) -> None:
    """Tests name numpy for the few that compare approximately, and it takes longer than all the others."""
    import importlib.util

    spec = importlib.util.find_spec(name)
    if spec is not None and spec.loader is not None:
        spec.loader = importlib.util.LazyLoader(spec.loader)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])


class Anything:
    """Stands for an answer that is not known yet, and is whatever tests want it to be, so that they go on."""

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *arguments: Any, **named: Any) -> "Anything":
        return self

    def __getitem__(self, key: Any) -> "Anything":
        if isinstance(key, int) and key >= 2:
            raise IndexError(key)
        return self

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        raise TypeError("not known yet")

    def __len__(self) -> int:
        return 0

    def __bool__(self) -> bool:
        return True

    def __float__(self) -> float:
        return 0.0

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def __lt__(self, other: object) -> bool:
        return True

    __gt__ = __le__ = __ge__ = __lt__
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __mod__ = __pow__ = __getitem__
    __neg__ = __abs__ = __call__


def main(modes: Mapping[str, Callable[..., None]], arguments: Sequence[str] = ()) -> None:
    """Do what standard input says. Whatever a program prints goes nowhere."""
    sys.set_int_max_str_digits(0)  # CPU time is limited, and functions may return long numbers
    first, _, rest = sys.stdin.read().partition("\n")
    request = json.loads(first) | {"answers": rest}
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def report(answer: Mapping[str, Any]) -> None:
        view = memoryview(json.dumps(answer).encode() + b"\n")
        while view:
            view = view[os.write(answers, view) :]

    modes[request["mode"]](request, report)


if __name__ == "__main__":
    main({"call": call, "compare": compare, "collect": collect, "replay": replay})
