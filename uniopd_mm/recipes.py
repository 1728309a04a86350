"""A recipe from its configuration, and which combinations are void: refused here, with the reason."""

from uniopd_mm.components import build
from uniopd_mm.config import RecipeConfig, TrainConfig
from uniopd_mm.distill.calibration import Scope
from uniopd_mm.distill.objective import Needs, Objective
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.distill.recipe import Balancing, Calibration, CalibrationMethod, Gradient, Responses
from uniopd_mm.distill.supervision import Recipe
from uniopd_mm.types import UserError

VOID = {
    Gradient.BACKPROP: (
        "back-propagating log pi - log pi_T of a sampled token leaves the teacher out of the gradient; "
        "set recipe.gradient=ADVANTAGE"
    ),
    Gradient.ADVANTAGE: (
        "a divergence of whole distributions is the same for every token that could be sampled, so as a detached "
        "advantage its expected gradient is zero; set recipe.gradient=BACKPROP"
    ),
}


def build_recipe(config: TrainConfig) -> Recipe:
    """The objective with its calibration and balancing.

    Raises:
        UserError: a parameter that cannot be, or a combination that teaches nothing.
    """
    node = config.recipe
    objective: Objective = build(node.objective, "recipe.objective", policy=_policy(config))
    check_recipe(node, objective.needs, config.rollout.num_samples)
    return Recipe(
        objective=objective,
        calibration=Calibration(**vars(node.calibration)),
        balancing=Balancing(**vars(node.balancing)),
    )


def check_recipe(node: RecipeConfig, needs: Needs, num_samples: int) -> None:
    """Refuse what is mathematically void, or has nothing to act on.

    Raises:
        UserError: names the key, its value, the reason and the remedy.
    """
    if node.gradient is not needs.gradient:
        raise UserError(f"recipe.gradient={node.gradient.name}: void with recipe={node.name}: {VOID[node.gradient]}")
    _check_calibration(node, needs, num_samples)
    if needs.outcome and num_samples < 2:
        raise UserError(
            f"rollout.num_samples={num_samples}: recipe={node.name} compares a prompt's rollouts with each other, and "
            "one alone has an advantage of zero; set rollout.num_samples=2 or more"
        )
    if node.responses is not Responses.STUDENT:
        _check_off_policy(node, needs)
    elif not needs.teacher and not needs.outcome:
        raise UserError(
            f"recipe.responses=STUDENT: recipe={node.name} would imitate the student's own responses, whose expected "
            "gradient is zero; set recipe.responses=TEACHER or GOLD"
        )


def _check_calibration(node: RecipeConfig, needs: Needs, num_samples: int) -> None:
    method, scope = node.calibration.method, node.calibration.scope
    if method is CalibrationMethod.NONE:
        return
    key = f"recipe.calibration.method={method.name}"
    if not needs.calibrates:
        raise UserError(f"{key}: recipe={node.name} has no distillation rewards to calibrate; set it to NONE")
    if method is CalibrationMethod.GROUP_MASK and scope is Scope.BATCH:
        raise UserError(f"{key}: drops whole groups; recipe.calibration.scope=BATCH has none, set it to GROUP")
    if scope is Scope.GROUP and num_samples < 2:
        raise UserError(
            f"rollout.num_samples={num_samples}: {key} compares correct with incorrect rollouts of one prompt; set "
            "rollout.num_samples=2 or more, or recipe.calibration.scope=BATCH"
        )


def _check_off_policy(node: RecipeConfig, needs: Needs) -> None:
    key = f"recipe.responses={node.responses.name}"
    if needs.gradient is Gradient.ADVANTAGE:
        raise UserError(
            f"{key}: the advantages of recipe={node.name} are of responses that the student drew itself; set "
            "recipe.responses=STUDENT, or recipe=sft"
        )
    if node.balancing.ratio is not None:
        raise UserError(f"{key}: there are no rollouts to balance; set recipe.balancing.ratio=null")


def _policy(config: TrainConfig) -> PolicyLoss:
    recipe = config.recipe
    return PolicyLoss(
        temperature=config.rollout.temperature,
        clip_low=recipe.clip_low,
        clip_high=recipe.clip_high,
        gate=recipe.gate,
        advantage_clip=recipe.advantage_clip,
        reduction=recipe.reduction,
        correction=recipe.correction,
        correction_cap=recipe.correction_cap,
    )
