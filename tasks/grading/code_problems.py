"""Programming problems as they are published, read into one record.

    Eurus-2-RL, PRIME   reward_model.ground_truth   {"inputs", "outputs", "fn_name"} as JSON text
    APPS, TACO          input_output                the same
    LiveCodeBench       public_test_cases, private_test_cases, metadata
    HumanEval+          prompt, entry_point, test
    LeetCodeDataset     the same; its entry_point is a method, `Solution().NAME`
    MBPP, MBPP+         code, test_list and test_imports or test_setup_code; in MBPP+ also test
    our own             tests                       {"inputs", "outputs", "fn_name"} or {"test", "entry_point"}

Where a row has several of these columns, the lowest in this list counts. How answers are compared is said by
`code_answers`.
"""

import ast
import base64
import binascii
import json
import pickletools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from uniopd_mm.tasks.grading.values import quote
from uniopd_mm.types import BadSample

TEST_COLUMNS = (
    *("tests", "reward_model", "input_output", "public_test_cases", "private_test_cases", "metadata"),
    *("entry_point", "test", "test_list", "test_imports", "test_setup_code", "code"),
)
_MAX_BYTES = 1 << 28  # of unpacked tests


class Mode(StrEnum):
    """How a program is tested: by its output, by what its function returns, or by code that calls its function."""

    STDIN = "stdin"
    CALL = "call"
    ASSERTS = "asserts"


@dataclass(frozen=True, kw_only=True, slots=True)
class CodeProblem:
    """The tests of a problem.

    `tests` are pairs: standard input and expected output for STDIN; a list of arguments and the expected value for
    CALL, both plain JSON. `function` is the one called, maybe a method of `Solution`. `test` is code for ASSERTS, and
    `helpers` what it relies on. With `wrapped` an expected value may stand in a list of its own, as APPS has it.
    """

    mode: Mode
    tests: tuple[tuple[Any, Any], ...] = ()
    function: str = ""
    test: str = ""
    helpers: str = ""
    wrapped: bool = False

    def plain(self) -> dict[str, Any]:
        """As values that JSON can hold; `read_tests` reads them again."""
        if self.mode is Mode.ASSERTS:
            return {"test": self.test, "entry_point": self.function, "helpers": self.helpers}
        inputs, outputs = [given for given, _ in self.tests], [expected for _, expected in self.tests]
        named = {"fn_name": self.function, "wrapped": self.wrapped} if self.mode is Mode.CALL else {}
        return {"inputs": inputs, "outputs": outputs, **named}


def read_problem(fields: Mapping[str, Any]) -> CodeProblem:
    """The problem of a row, from whichever columns it has. Raises BadSample where it has no usable tests."""
    if "tests" in fields:
        return read_tests(fields["tests"], "tests")
    if "test" in fields or "test_list" in fields:
        return _read_evalplus(fields)
    if "public_test_cases" in fields or "private_test_cases" in fields:
        return _read_livecodebench(fields)
    if "input_output" in fields:
        return read_tests(fields["input_output"], "input_output")
    reward = fields.get("reward_model")
    if isinstance(reward, Mapping) and reward.get("ground_truth"):
        return read_tests(reward["ground_truth"], "reward_model.ground_truth")
    raise BadSample("no tests: none of the columns tests, reward_model, input_output, public_test_cases, test")


def read_tests(value: Any, column: str) -> CodeProblem:
    """Tests as an object, or as JSON text, which is how published sets have them that wrap expected values. Raises
    BadSample where they cannot be used."""
    tests = _parsed(value, column)
    if not isinstance(tests, Mapping):
        raise BadSample(f"{column} must be an object, got {type(tests).__name__} {quote(tests)}")
    if tests.get("test"):
        function = _name(tests.get("entry_point"), f"{column}.entry_point")
        helpers = str(tests.get("helpers") or "")
        return CodeProblem(mode=Mode.ASSERTS, test=_checked(str(tests["test"])), function=function, helpers=helpers)
    inputs, outputs = tests.get("inputs"), tests.get("outputs")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or not inputs:
        raise BadSample(f"{column} has no list of inputs and of outputs")
    if len(inputs) != len(outputs):
        raise BadSample(f"{column} has {len(inputs)} inputs and {len(outputs)} outputs")
    if not tests.get("fn_name"):
        return _stdin_problem(zip(inputs, outputs, strict=True), column)
    pairs = [(_arguments(given, column), expected) for given, expected in zip(inputs, outputs, strict=True)]
    function = _name(tests["fn_name"], f"{column}.fn_name")
    wrapped = bool(tests.get("wrapped", isinstance(value, str)))
    return CodeProblem(mode=Mode.CALL, tests=tuple(pairs), function=function, wrapped=wrapped)


def _stdin_problem(pairs: Any, column: str) -> CodeProblem:
    tests = tuple((_text(given, column), _text(expected, column)) for given, expected in pairs)
    return CodeProblem(mode=Mode.STDIN, tests=tests)


def _text(value: Any, column: str) -> str:
    """Input or output; some rows have a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadSample(f"{column}: input and output must be text, got {type(value).__name__} {quote(value)}")
    return str(value)


def _arguments(value: Any, column: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadSample(f"{column}: arguments must be a list, got {type(value).__name__} {quote(value)}")
    return value


def _name(value: Any, column: str) -> str:
    if not isinstance(value, str) or not value.strip().isidentifier():
        raise BadSample(f"{column} must name a function, got {quote(value)}")
    return value.strip()


def _parsed(value: Any, column: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise BadSample(f"{column} is no JSON: {error}") from error


def _checked(test: str) -> str:
    try:
        ast.parse(test)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadSample(f"the tests are no Python: {error}") from error
    return test


def _read_evalplus(fields: Mapping[str, Any]) -> CodeProblem:
    """HumanEval+ names its function and has `check`; its prompt holds what tests may rely on. MBPP+ has neither."""
    listed = fields.get("test_list", [])
    test = (
        str(fields["test"])
        if "test" in fields
        else "\n".join(map(str, listed if isinstance(listed, list) else [listed]))
    )
    if "entry_point" in fields:
        function = _name(str(fields["entry_point"]).strip().removeprefix("Solution()."), "entry_point")
        helpers = _checked(str(fields.get("prompt", "")))
        return CodeProblem(
            mode=Mode.ASSERTS, test=_checked(f"{test}\ncheck({function})\n"), function=function, helpers=helpers
        )
    imports = fields.get("test_imports") or []
    lines = [str(line) for line in imports] if isinstance(imports, Sequence) and not isinstance(imports, str) else []
    setup = [str(fields["test_setup_code"])] if fields.get("test_setup_code") else []
    test = "\n".join([*lines, *setup, test])
    return CodeProblem(mode=Mode.ASSERTS, test=_checked(test), function=_tested_function(fields))


def _tested_function(fields: Mapping[str, Any]) -> str:
    """The function of the reference program that the listed tests call."""
    listed = fields.get("test_list") or [fields.get("test", "")]
    if isinstance(listed, str):
        listed = [listed]
    try:
        statements = ast.parse(str(fields.get("code", ""))).body
        nodes = [node for text in listed for node in ast.walk(ast.parse(str(text)))]
    except (SyntaxError, ValueError) as error:
        raise BadSample(f"code or test_list is no Python: {error}") from error
    called = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    tested = [node.name for node in statements if isinstance(node, ast.FunctionDef) and node.name in called]
    if not tested:
        raise BadSample("the tests call no function that code defines")
    return tested[-1]


def _read_livecodebench(fields: Mapping[str, Any]) -> CodeProblem:
    cases = [
        *_cases(fields.get("public_test_cases", []), "public_test_cases"),
        *_cases(unpacked(fields.get("private_test_cases", [])), "private_test_cases"),
    ]
    if not cases:
        raise BadSample("no test cases")
    if all(case.get("testtype") == "stdin" for case in cases):
        return _stdin_problem([(case["input"], case["output"]) for case in cases], "test cases")
    if any(case.get("testtype") != "functional" for case in cases):
        raise BadSample("test cases must be all stdin or all functional")
    metadata = _parsed(fields.get("metadata", {}), "metadata")
    function = _name(metadata.get("func_name") if isinstance(metadata, Mapping) else None, "metadata.func_name")
    return CodeProblem(mode=Mode.CALL, tests=tuple(map(_functional, cases)), function=function)


def _functional(case: Mapping[str, Any]) -> tuple[list[Any], Any]:
    """One argument a line, as JSON."""
    lines = [line for line in str(case["input"]).split("\n") if line.strip()]
    return [_parsed(line, "input of a test case") for line in lines], _parsed(case["output"], "output of a test case")


def _cases(value: Any, column: str) -> list[Mapping[str, Any]]:
    cases = _parsed(value, column)
    if not isinstance(cases, list):
        raise BadSample(f"{column} must be a list, got {type(cases).__name__}")
    for case in cases:
        if not isinstance(case, Mapping) or not {"input", "output"} <= set(case):
            raise BadSample(f"{column}: a test case needs input and output, got {quote(case)}")
    return cases


def unpacked(value: Any) -> Any:
    """Private test cases: JSON, or JSON text that was pickled, compressed and written as base64. Nothing but a text is
    ever unpickled. Raises BadSample for anything else."""
    if not isinstance(value, str) or value.lstrip().startswith("["):
        return value
    try:
        packer = zlib.decompressobj()
        content = packer.decompress(base64.b64decode(value, validate=True), _MAX_BYTES)
        if packer.unconsumed_tail:
            raise BadSample(f"private_test_cases: more than {_MAX_BYTES} bytes")
        return _pickled_text(content)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise BadSample(f"private_test_cases cannot be unpacked: {error}") from error


_TEXT = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")
_AROUND_IT = ("PROTO", "FRAME", "MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT", "STOP")


def _pickled_text(content: bytes) -> str:
    """The text in the pickle of a text. It is read, not run: a pickle is a program, and even one that may name no
    class can ask for all memory. Raises ValueError for any other pickle."""
    texts = []
    for operation, argument, _ in pickletools.genops(content):
        if operation.name in _TEXT:
            texts.append(str(argument))
        elif operation.name not in _AROUND_IT:
            raise ValueError(f"the pickle of a text has no {operation.name}")
    if len(texts) != 1:
        raise ValueError(f"{len(texts)} texts in the pickle of one")
    return texts[0]
