"""Who teaches what: what wins over what, weights, and everything that is refused by name."""

import math
from dataclasses import replace
from typing import Any

import pytest
from core_parts import sample
from hypothesis import given
from hypothesis import strategies as st

from uniopd_mm.config.checks import teacher_plans
from uniopd_mm.config.parts import MediaFor, Reads, RoutingConfig, TeacherConfig
from uniopd_mm.config.train import TrainConfig
from uniopd_mm.tasks.reading.columns import matches
from uniopd_mm.teachers.routes import Routes, build_routes, weights_of
from uniopd_mm.types import Sample, UserError

TEACHERS = ("vl", "text", "chart")


def routes(**plan: Any) -> Routes:
    return build_routes(RoutingConfig(**plan), TEACHERS, ("chart", "math", "code"))


def row(domain: str = "math", **metadata: Any) -> Sample:
    return replace(sample("7", domain), metadata=metadata)


def test_row_then_rule_then_domain_then_default() -> None:
    """Each takes away what the one before it left."""
    of = routes(
        rules=[{"where": {"level": 5}, "teacher": "vl"}, {"where": {"level": 5, "kind": "x"}, "teacher": "chart"}],
        domains={"math": "text"},
        default="chart",
    )
    assert of.weights(row(teacher="chart", level=5)) == {"chart": 1.0}
    assert of.weights(row(level=5, kind="x")) == {"vl": 1.0}, "the first rule that holds"
    assert of.weights(row(level=4, kind="x")) == {"text": 1.0}, "all values of a rule must hold"
    assert of.weights(row(teacher=None)) == {"text": 1.0}
    assert of.weights(row("code")) == {"chart": 1.0}


@pytest.mark.parametrize(
    ("where", "metadata", "holds"),
    [
        ({"level": 3}, {"level": "3"}, True),
        ({"level": "3"}, {"level": 3}, True),
        ({"level": 3}, {"level": "3.0"}, False),
        ({"level": [3, 4]}, {"level": "4"}, True),
        ({"level": [3, 4]}, {"level": 5}, False),
        ({"level": []}, {"level": 5}, False),
        ({"extra_info.level": 3}, {"extra_info": {"level": "3"}}, True),
        ({"extra_info.level": 3}, {"extra_info.level": 3, "extra_info": {"level": 4}}, True),
        ({"tags.0": "x", "tags.-1": "z"}, {"tags": ["x", "y", "z"]}, True),
        ({"tags.3": "x"}, {"tags": ["x", "y", "z"]}, False),
        ({"extra_info.level": 3}, {"extra_info": "3"}, False),
        ({"level": None}, {}, False),
        ({"level": None}, {"level": None}, True),
        ({"hard": True}, {"hard": "True"}, True),
    ],
)
def test_a_rule_compares_as_data_where_does(where: dict[str, Any], metadata: dict[str, Any], holds: bool) -> None:
    of = routes(rules=[{"where": where, "teacher": "vl"}], default="text")
    assert of.weights(row(**metadata)) == ({"vl": 1.0} if holds else {"text": 1.0})
    assert matches(metadata, where) is holds


def test_a_teacher_teaches_the_domain_of_its_name_unless_told_otherwise() -> None:
    assert routes(default="vl").weights(row("chart")) == {"chart": 1.0}
    assert routes(default="vl", domains={"chart": "text"}).weights(row("chart")) == {"text": 1.0}


def test_a_single_teacher_is_everybodys_and_of_several_nobody_is() -> None:
    assert build_routes(RoutingConfig(), ("one",), ("a",)).weights(row("b")) == {"one": 1.0}
    with pytest.raises(UserError, match=r"no teacher for 7.jsonl:1 of domain 'math'.*routing.domains.math.*vl, text"):
        routes().weights(row())


def test_the_column_has_any_name_or_none() -> None:
    assert routes(column="expert", default="vl").weights(row(expert="text", teacher="chart")) == {"text": 1.0}
    assert routes(column=None, default="vl").weights(row(teacher="chart")) == {"vl": 1.0}


def test_weights_are_normalised_wherever_they_stand() -> None:
    weighted = {"vl": 3, "text": 1.0}
    wanted = {"vl": 0.75, "text": 0.25}
    assert routes(domains={"math": weighted}).weights(row()) == wanted
    assert routes(rules=[{"where": {}, "teacher": weighted}]).weights(row()) == wanted
    assert routes().weights(row(teacher=weighted)) == wanted


@given(st.dictionaries(st.sampled_from(TEACHERS), st.floats(1e-6, 1e6), min_size=1))
def test_weights_add_up_to_one_in_their_ratios(chosen: dict[str, float]) -> None:
    found = weights_of(chosen, TEACHERS, "x")
    assert sum(found.values()) == pytest.approx(1) and found.keys() == chosen.keys()
    for name, weight in chosen.items():
        for other in chosen:
            assert found[name] * chosen[other] == pytest.approx(found[other] * weight)


def test_the_one_with_the_largest_weight_answers() -> None:
    of = routes(domains={"math": {"text": 2, "vl": 1}, "code": {"chart": 1, "vl": 1}})
    assert of.main_teacher(row("math")) == "text" and of.main_teacher(row("code")) == "chart"


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ({"default": "nobody"}, r"routing.default=nobody: no such teacher; there are vl, text, chart"),
        ({"domains": {"math": "nobody"}}, r"routing.domains.math=nobody"),
        ({"domains": {"mth": "vl"}}, r"^routing.domains.mth: no such domain; there are chart, math, code$"),
        ({"domains": {"math": {"vl": 1, "nobody": 1}}}, r"routing.domains.math=nobody"),
        ({"domains": {"math": {}}}, r"routing.domains.math=\{\}: names no teacher"),
        ({"domains": {"math": {"vl": 0}}}, r"routing.domains.math.vl=0: a weight must be a number above 0"),
        ({"domains": {"math": {"vl": -1.0}}}, r"routing.domains.math.vl=-1.0"),
        ({"domains": {"math": {"vl": True}}}, r"routing.domains.math.vl=True"),
        ({"domains": {"math": {"vl": math.nan}}}, r"routing.domains.math.vl=nan"),
        ({"domains": {"math": {"vl": math.inf}}}, r"routing.domains.math.vl=inf"),
        ({"domains": {"math": {"vl": "2"}}}, r"routing.domains.math.vl=2"),
        ({"domains": {"math": {"vl": None}}}, r"routing.domains.math.vl=None"),
        ({"domains": {"math": ["vl", "text"]}}, r"routing.domains.math=\['vl', 'text'\]: no such teacher"),
        ({"domains": {"math": None}}, r"routing.domains.math=None"),
        ({"rules": [{"where": {"a": 1}, "teacher": "vl"}, {"where": {"a": 1}}]}, r"routing.rules\[1\].*give"),
        ({"rules": [{"teacher": "vl"}]}, r"routing.rules\[0\].*give"),
        ({"rules": [{"where": "math", "teacher": "vl"}]}, r"routing.rules\[0\].*give"),
        ({"rules": [{"where": {}, "teacher": "vl", "weight": 1}]}, r"routing.rules\[0\].*give"),
        ({"rules": [{"where": {}, "teacher": "nobody"}]}, r"routing.rules\[0\].teacher=nobody"),
        ({"rules": [{"where": {}, "teacher": {}}]}, r"routing.rules\[0\].teacher=\{\}"),
    ],
)
def test_routes_to_nobody_are_refused_by_name(plan: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        routes(**plan)


@pytest.mark.parametrize("value", ["nobody", "", 3, ["vl"], {"vl": 0}, {}])
def test_a_row_that_names_somebody_unknown_is_named(value: object) -> None:
    with pytest.raises(UserError, match=r"7.jsonl:1: column teacher"):
        routes(default="vl").weights(row(teacher=value))


def test_a_column_that_means_something_else_can_be_left_out() -> None:
    remedy = r"no such teacher; .*; set routing.column=null if that column means something else$"
    with pytest.raises(UserError, match=remedy):
        routes(default="vl").weights(row(teacher="Mr Smith"))
    with pytest.raises(UserError, match=r"no such teacher; there are vl, text, chart$"):
        routes(default="nobody")


COMMON = TeacherConfig(
    name="common",
    builder={"_target_": "some.grow", "architecture": {"width": 8}},
    processor={"_target_": "some.VL", "video_num_frames": 6},
    max_tokens=99,
)


def plan_of(entry: Any, common: TeacherConfig = COMMON) -> TeacherConfig:
    config = TrainConfig(task={}, model=None, teacher=common, rollout=None, recipe=None)  # type: ignore[arg-type]
    config.teachers = {"a": entry}
    return teacher_plans(config)["a"]


def test_without_entries_the_teacher_itself_is_the_plan() -> None:
    config = TrainConfig(task={}, model=None, teacher=COMMON, rollout=None, recipe=None)  # type: ignore[arg-type]
    assert teacher_plans(config) == {"common": COMMON}


def test_an_entry_says_what_differs() -> None:
    assert plan_of({"dtype": "bfloat16"}) == replace(COMMON, name="a", dtype="bfloat16")
    read = plan_of({"reads": "TEXT", "media": "CAPTION"})
    assert read.reads is Reads.TEXT and read.media is MediaFor.CAPTION
    assert plan_of({"processor": {"video_num_frames": 2}}).processor == {"_target_": "some.VL", "video_num_frames": 2}


def test_an_entry_with_weights_of_its_own_drops_the_common_ones() -> None:
    assert plan_of({"path": "/x"}) == replace(COMMON, name="a", path="/x", builder=None)
    other = {"_target_": "some.grow", "base": "b"}
    assert plan_of({"builder": other}).builder == other, "not mixed with the common builder's parameters"
    from_path = plan_of({"builder": other}, replace(COMMON, path="/x", builder=None))
    assert from_path.path is None and from_path.builder == other


def test_an_entry_with_another_processor_drops_the_common_parameters() -> None:
    assert plan_of({"processor": {"_target_": "some.Text"}}).processor == {"_target_": "some.Text"}


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ({"pth": "/x"}, r"teachers.a: Key 'pth' not in 'TeacherConfig'"),
        ({"max_tokens": "many"}, r"teachers.a: Value 'many'"),
        ({"reads": "sideways"}, r"teachers.a: Invalid value 'sideways'.*IDS, TOKENS, TEXT"),
        ("/x", r"teachers.a=/x: must be an object, as teachers.a.path=FOLDER"),
        (None, r"teachers.a=None: must be an object"),
    ],
)
def test_an_entry_that_cannot_be_is_refused_by_name(entry: Any, named: str) -> None:
    with pytest.raises(UserError, match=named):
        plan_of(entry)
