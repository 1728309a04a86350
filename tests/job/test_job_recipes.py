"""Every recipe trains; what is mathematically void, or has nothing to act on, is refused with the reason."""

import json
import math
from pathlib import Path

import pytest
from job_parts import composed, measured, rollouts, run, summary

from uniopd_mm.config.checks import validate
from uniopd_mm.distill.choices import CalibrationMethod
from uniopd_mm.run.checks import check_parts
from uniopd_mm.run.recipes import build_recipe
from uniopd_mm.types import UserError

RECIPES = {
    "opd": [],
    "uni_opd": [],
    "exopd": [],
    "grpo": [],
    "opd_grpo": [],
    "gkd": [],
    "gkd with 8 likeliest": ["recipe.objective.top_k=8"],
    "gkd without a tail": ["recipe.objective.top_k=8", "recipe.objective.tail=false", "recipe.objective.beta=1"],
    "sft": [],
    "sft on gold": ["recipe.responses=GOLD", "rollout.num_samples=1"],
    "uni_opd with a mask": ["recipe.calibration.method=MASK", "recipe.calibration.scope=BATCH"],
    "uni_opd with a group mask": ["recipe.calibration.method=GROUP_MASK", "recipe.calibration.after_balancing=true"],
    "opd corrected": ["recipe.correction=TRUNCATE"],
}


@pytest.mark.parametrize("case", RECIPES)
def test_a_recipe_trains_and_measures(case: str, small: list[str], tmp_path: Path) -> None:
    recipe = case.split()[0]
    finished = run([*small, f"recipe={recipe}", "trainer.prompts_per_step=4", *RECIPES[case]], tmp_path)
    assert (finished.status, finished.err) == (0, "")
    folder = tmp_path / "runs" / "small"
    assert summary(folder)["steps"] == 2 and len(rollouts(folder)) == 2
    for line in measured(folder):
        assert all(math.isfinite(value) for value in line.values())
        assert line["skipped_updates"] == (recipe == "grpo"), "untrained, nobody answers right: no group has a spread"
        assert line["teacher_failures"] == 0
        assert ("reverse_kl" in line) == (recipe not in ("grpo", "sft"))
        assert line["ratio"] == pytest.approx(1, abs=1e-4) if "ratio" in line else recipe in ("gkd", "sft")
    for text in (folder / "metrics.jsonl").read_text().splitlines():
        assert ("correct" in json.loads(text)["timing"]) == ("corrected" in case), "one more pass of the student"


def test_the_published_recipe_is_the_default() -> None:
    """arXiv 2605.03677: shift, scope group, statistic mean, direction both, delta 0.4; 1:1 within the group."""
    recipe = build_recipe(composed("model=qwen3_vl_2b", "teacher=qwen3_vl_8b"))
    plan, balancing = recipe.calibration, recipe.balancing
    assert plan.method is CalibrationMethod.SHIFT and not plan.after_balancing
    assert (plan.scope, plan.statistic, plan.direction, plan.delta) == ("group", "mean", "both", 0.4)
    assert (balancing.ratio, balancing.scope) == (1.0, "group")


IGNORED = {  # beside the key and the value, which every line names
    "recipe=gkd recipe.clip_low=0.1": "recipe=gkd does not use it; leave it out",
    "recipe=gkd recipe.gate=5": "recipe=gkd does not use it",
    "recipe=gkd recipe.advantage_clip=2": "recipe=gkd does not use it",
    "recipe=gkd recipe.correction_cap=3": "recipe=gkd does not use it",
    "recipe=sft recipe.gate=5": "recipe=sft does not use it",
    "recipe=sft recipe.clip_high=0.5": "recipe=sft does not use it",
    "recipe=grpo recipe.gate=5": "recipe=grpo does not use it",
    "recipe=grpo recipe.advantage_clip=2": "recipe=grpo does not use it",
    "recipe=opd recipe.correction_cap=3": "recipe.correction=NONE does not use it; set recipe.correction=TRUNCATE",
    "recipe=opd recipe.correction=TRUNCATE recipe.clip_low=0.1": "recipe.correction=TRUNCATE does not use it",
    "recipe=opd recipe.correction=MASK recipe.clip_high=0.1": "recipe.correction=MASK does not use it",
    "recipe=opd recipe.calibration.delta=1": "calibration.method=NONE does not use it; set recipe.calibration.method",
    "recipe=opd recipe.calibration.scope=BATCH": "recipe.calibration.method=NONE does not use it",
    "recipe=uni_opd recipe.calibration.min_retain_ratio=0.5": "recipe.calibration.method=SHIFT does not use it",
    "recipe=uni_opd recipe.calibration.method=MASK recipe.calibration.direction=CORRECT_UP": "method=MASK does not",
    "recipe=opd recipe.balancing.scope=BATCH": "recipe.balancing.ratio=null does not use it",
    "recipe=opd_grpo recipe.objective.distillation=0 recipe.advantage_clip=2": "recipe=opd_grpo does not use it",
    "teacher.vllm.enforce_eager=true": "teacher.engine=hf does not use it; set teacher.engine=vllm",
    "teacher.remote.attempts=2": "teacher.engine=hf does not use it; set teacher.engine=remote",
    "teacher.engine=remote teacher.urls=[http://a:1] teacher.remote.fps=4": "teacher.remote.api=UNIOPD does not use it",
    "mixture.temperature=3": "mixture.shares=UNIFORM does not use it; set mixture.shares=TEMPERATURE",
    "mixture.shares=TEMPERATURE mixture.recent=3": "mixture.shares=TEMPERATURE does not use it",
    "data.max_rows=9": "data.path=null does not use it; give data.path=FILE",
}


@pytest.mark.parametrize("case", IGNORED)
def test_a_setting_that_nothing_reads_is_refused(case: str) -> None:
    with pytest.raises(UserError) as refused:
        build_recipe(composed(*case.split()))
    key, _, _ = case.split()[-1].partition("=")
    assert str(refused.value).startswith(f"{key}=") and IGNORED[case] in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "case",
    [
        "recipe=gkd recipe.gate=10",  # the default
        "recipe=gkd model=tiny",  # what suits its size, and no words of the user's
        "recipe=opd_grpo recipe.objective.outcome=0 rollout.num_samples=1",
        "recipe=grpo routing.default=tiny_expert routing.max_lost_steps=9",  # shared with recipes that have a teacher
        "recipe=opd data.path=rows.jsonl data.max_rows=9",
        "recipe=opd recipe.correction=MASK recipe.correction_cap=3",
        "teacher.engine=remote teacher.urls=[http://a:1] teacher.remote.attempts=2",
    ],
)
def test_a_setting_that_is_read_or_harmless_is_accepted(case: str) -> None:
    build_recipe(composed(*case.split()))


VOID = {
    "recipe=gkd recipe.gradient=ADVANTAGE": ["recipe.gradient=ADVANTAGE", "expected gradient is zero", "BACKPROP"],
    "recipe=opd recipe.gradient=BACKPROP": ["recipe.gradient=BACKPROP", "the teacher drops out", "ADVANTAGE"],
    "recipe=gkd recipe.objective.top_k=1 recipe.objective.tail=false": ["top_k=1", "always zero", "tail=true"],
    "recipe=gkd recipe.objective.tail=false": ["recipe.objective.tail=false", "top_k=64"],
    "recipe=opd_grpo recipe.objective.distillation=0 recipe.calibration.method=SHIFT": ["method=SHIFT", "weight 0"],
    "recipe=opd_grpo recipe.objective.outcome=0 recipe.objective.normalize=false": ["normalize=false", "leave it out"],
    "recipe=gkd recipe.calibration.method=SHIFT": ["calibration.method=SHIFT", "no distillation rewards", "NONE"],
    "recipe=grpo recipe.calibration.method=MASK": ["calibration.method=MASK", "no distillation rewards"],
    "recipe=grpo recipe.gradient=BACKPROP": ["recipe.gradient=BACKPROP", "does not depend on the weights"],
    "recipe=sft recipe.gradient=ADVANTAGE": ["recipe.gradient=ADVANTAGE", "did not write"],
    "recipe=grpo rollout.num_samples=1": ["rollout.num_samples=1", "recipe=grpo", "no effect with a single rollout"],
    "recipe=opd recipe.balancing.ratio=1 rollout.num_samples=1": ["rollout.num_samples=1", "recipe.balancing.scope"],
    "recipe=gkd recipe.correction=MASK": ["recipe.correction=MASK", "leave it out"],
    "recipe=opd recipe.base_path=somewhere": ["recipe.base_path=somewhere", "leave it out"],
    "recipe=opd recipe.calibration.after_balancing=true": ["after_balancing=True", "leave it out"],
    "recipe=grpo recipe.teacher_temperature=1": ["recipe.teacher_temperature=1", "leave it out"],
    "recipe=gkd recipe.responses=GOLD": ["recipe.responses=GOLD", "sampled itself"],
    "recipe=sft recipe.responses=GOLD rollout.num_samples=4": ["rollout.num_samples=4", "num_samples=1"],
    "recipe=opd_grpo recipe.objective.distillation=0 recipe.objective.outcome=0": ["nothing is learned"],
    "recipe=exopd recipe.objective.scale=inf": ["recipe.objective.scale=inf"],
    "recipe=uni_opd rollout.num_samples=1": ["rollout.num_samples=1", "calibration.scope", "balancing.scope", "BATCH"],
    "recipe=sft recipe.responses=STUDENT": ["recipe.responses=STUDENT", "expected gradient is zero", "TEACHER or GOLD"],
    "recipe=opd recipe.responses=TEACHER": ["recipe.responses=TEACHER", "sampled itself", "recipe=sft"],
    "recipe=sft recipe.balancing.ratio=1": ["recipe.responses=TEACHER", "balancing.ratio=null"],
    "recipe=uni_opd recipe.calibration.method=GROUP_MASK recipe.calibration.scope=BATCH": ["GROUP_MASK", "scope=BATCH"],
    "recipe=exopd recipe.objective.scale=0": ["recipe.objective.scale=0", "above 0"],
    "recipe=gkd recipe.objective.beta=2": ["recipe.objective.beta=2", "between 0"],
    "recipe=gkd recipe.objective.top_k=0": ["recipe.objective.top_k=0", "null"],
    "recipe=opd_grpo recipe.objective.outcome=-1": ["recipe.objective.outcome=-1"],
}


@pytest.mark.parametrize("case", VOID)
def test_what_is_void_is_refused_with_the_reason(case: str) -> None:
    with pytest.raises(UserError) as refused:
        build_recipe(composed(*case.split()))
    for text in VOID[case]:
        assert text in str(refused.value)


STOCK = ["recipe=opd", "teacher.engine=remote", "teacher.remote.api=VLLM", "teacher.urls=[http://127.0.0.1:1]"]


def test_a_temperature_that_a_teacher_cannot_score_at_is_refused_before_anything_loads() -> None:
    cold = [*STOCK, "rollout.temperature=0.6"]
    with pytest.raises(UserError, match=r"^rollout\.temperature=0\.6: a stock vLLM server .*teacher_temperature=1"):
        check_parts(composed(*cold))
    with pytest.raises(UserError, match=r"^recipe\.teacher_temperature=2: a stock vLLM server"):
        check_parts(composed(*STOCK, "recipe.teacher_temperature=2"))
    for fine in ([*cold, "recipe.teacher_temperature=1"], STOCK, [*cold[1:], "recipe=sft"], [*cold[1:], "recipe=grpo"]):
        check_parts(composed(*fine))


@pytest.mark.parametrize("value", ["0", "-1", "inf", "nan"])
def test_a_temperature_is_above_zero(value: str) -> None:
    with pytest.raises(UserError, match=r"^recipe\.teacher_temperature="):
        validate(composed("recipe=opd", f"recipe.teacher_temperature={value}"))


def test_the_teachers_temperature_is_the_students_unless_it_is_set() -> None:
    cold = composed("recipe=gkd", "rollout.temperature=0.6")
    assert cold.teacher_temperature == build_recipe(cold).objective.policy.temperature_of_teacher == 0.6
    apart = composed("recipe=gkd", "rollout.temperature=0.6", "recipe.teacher_temperature=1")
    assert apart.teacher_temperature == build_recipe(apart).objective.policy.temperature_of_teacher == 1
