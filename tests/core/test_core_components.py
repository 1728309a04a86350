"""Components named by `_target_`: wrong parameters and a target's own complaints reach the user as one line."""

import inspect
from dataclasses import dataclass

import pytest
from hydra.utils import get_object

from uniopd_mm.config.components import build, check_component, check_declared
from uniopd_mm.config.signatures import declared_parameters
from uniopd_mm.types import UserError

HERE = __name__


@dataclass(frozen=True)
class Lens:
    """A target with every kind of parameter that is checked."""

    zoom: float
    name: str | None = None
    inner: object = None

    def __post_init__(self) -> None:
        if self.zoom < 0:
            raise UserError(f"zoom={self.zoom} must not be negative")
        if self.zoom == 0:
            raise ZeroDivisionError("a fault of the program")


def node(**values: object) -> dict[str, object]:
    return {"_target_": f"{HERE}.Lens", **values}


def test_a_component_is_built_with_what_the_program_knows() -> None:
    assert build(node(name="a"), "lens", zoom=2.0) == Lens(zoom=2.0, name="a")
    assert build(node(zoom=1, inner=node(zoom=3)), "lens").inner == Lens(zoom=3)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        (node(zoom=1, zom=2), r"lens\.zom=2: no such parameter; did you mean zoom\? It takes inner, name, zoom"),
        (node(zoom="much"), r"lens\.zoom=much: .*Float"),
        (node(zoom=1, inner=node(zoom="much")), r"lens\.inner\.zoom=much: "),
        (node(name="a"), r"lens\.zoom: missing; .*Lens"),
        (node(zoom=-1), r"zoom=-1 must not be negative"),
        (node(zoom=1, inner=node(zoom=-1)), r"zoom=-1 must not be negative"),
        ({"_target_": "no.such.Lens"}, r"lens\._target_=no\.such\.Lens: "),
        ({}, r"lens: no `_target_`"),
    ],
)
def test_what_a_user_can_mend_is_one_line(wrong: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line) as caught:
        build(wrong, "lens")
    assert "\n" not in str(caught.value)


def test_a_fault_of_the_program_keeps_its_own_class() -> None:
    with pytest.raises(ZeroDivisionError):
        build(node(zoom=0), "lens")


def test_checking_builds_nothing() -> None:
    check_component(node(zoom=0), "lens")


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ({"max_batch": 3}, r"engine\.max_batch=3: no such parameter; did you mean max_batch_size\?"),
        ({"max_batch_size": "x"}, r"engine\.max_batch_size=x: .*could not be converted to Integer"),
    ],
)
def test_a_typo_is_refused_from_the_source_alone(wrong: dict[str, object], line: str) -> None:
    with pytest.raises(UserError, match=line):
        check_declared({"_target_": "uniopd_mm.rollout.hf.HFRollout", **wrong}, "engine")


def test_what_the_source_does_not_say_is_left_to_the_import() -> None:
    for target in (f"{HERE}.Lens", "collections.OrderedDict", "no.such.Module", "plain", "math.sqrt"):
        check_declared({"_target_": target, "anything": 1}, "lens")


@pytest.mark.parametrize("target", ["rollout.vllm.VLLMRollout", "processors.text.TextProcessor"])
def test_the_source_declares_what_the_import_shows(target: str) -> None:
    declared = declared_parameters(f"uniopd_mm.{target}")
    assert declared is not None and set(declared) == set(
        inspect.signature(get_object(f"uniopd_mm.{target}")).parameters
    )
