"""Building a recipe from its configuration. Combinations with no learning signal are refused, with the reason."""

from uniopd_mm.config.components import build
from uniopd_mm.config.train import RecipeConfig, TrainConfig
from uniopd_mm.distill.choices import CalibrationMethod, Gradient, Responses, Scope
from uniopd_mm.distill.objective import Needs, Objective
from uniopd_mm.distill.policy import PolicyLoss
from uniopd_mm.distill.recipe import Balancing, Calibration
from uniopd_mm.distill.supervision import Recipe
from uniopd_mm.run.unread import check_unread
from uniopd_mm.types import UserError


def build_recipe(config: TrainConfig) -> Recipe:
    """The objective with its calibration and balancing.

    Raises:
        UserError: an invalid parameter, a combination with no learning signal, or a setting that would be ignored.
    """
    node = config.recipe
    objective: Objective = build(node.objective, "recipe.objective", policy=_policy(config))
    check_recipe(node, objective.needs, config.rollout.num_samples)
    check_unread(config, objective.needs)
    return Recipe(
        objective=objective,
        calibration=Calibration(**vars(node.calibration)),
        balancing=Balancing(**vars(node.balancing)),
    )


def check_recipe(node: RecipeConfig, needs: Needs, num_samples: int) -> None:
    """Refuse combinations whose gradient is zero, or that have nothing to act on.

    Raises:
        UserError: names the key, its value, the reason and the remedy.
    """
    if node.gradient is not needs.gradient:
        raise UserError(
            f"recipe.gradient={node.gradient.name}: no learning signal with recipe={node.name}: {_why_void(needs)}; "
            f"set recipe.gradient={needs.gradient.name}"
        )
    _check_group(node, needs, num_samples)
    _check_calibration(node, needs)
    _check_responses(node, needs, num_samples)


def _why_void(needs: Needs) -> str:
    """Why the gradient that the objective does not use would teach nothing."""
    if needs.gradient is Gradient.ADVANTAGE and needs.teacher:
        return "log pi_T of a sampled token does not depend on the weights, so the teacher drops out of the gradient"
    if needs.gradient is Gradient.ADVANTAGE:
        return "an outcome does not depend on the weights and has no gradient to back-propagate"
    if needs.teacher:
        return (
            "a divergence between whole distributions does not depend on the sampled token, so as an advantage its "
            "expected gradient is zero"
        )
    return "responses that the student did not write have no advantage"


def _check_group(node: RecipeConfig, needs: Needs, num_samples: int) -> None:
    """Comparing a prompt's rollouts takes at least two of them."""
    calibrates = node.calibration.method is not CalibrationMethod.NONE and node.calibration.scope is Scope.GROUP
    balances = node.balancing.ratio is not None and node.balancing.scope is Scope.GROUP
    by_group = {
        f"recipe={node.name} compares the outcomes of a prompt's rollouts": needs.outcome,
        "recipe.calibration.scope=GROUP compares correct and incorrect rollouts of a prompt": calibrates,
        "recipe.balancing.scope=GROUP balances the rollouts of a prompt": balances,
    }
    reasons = [reason for reason, holds in by_group.items() if holds]
    if reasons and num_samples < 2:
        others = "" if needs.outcome else ", or set these scopes to BATCH"
        raise UserError(
            f"rollout.num_samples={num_samples}: {' and '.join(reasons)}, which has no effect with a single rollout; "
            f"set rollout.num_samples=2 or more{others}"
        )


def _check_calibration(node: RecipeConfig, needs: Needs) -> None:
    method, scope = node.calibration.method, node.calibration.scope
    key = f"recipe.calibration.method={method.name}"
    if method is not CalibrationMethod.NONE and not needs.calibrates:
        raise UserError(f"{key}: recipe={node.name} has no distillation rewards to calibrate; set it to NONE")
    if method is CalibrationMethod.SHIFT and not needs.shifts:
        raise UserError(
            f"{key}: recipe={node.name} gives distillation rewards the weight 0, so shifting them does nothing; set it "
            "to NONE, MASK or GROUP_MASK"
        )
    if method is CalibrationMethod.GROUP_MASK and scope is Scope.BATCH:
        raise UserError(f"{key}: drops whole groups, and recipe.calibration.scope=BATCH has no groups; set it to GROUP")


def _check_responses(node: RecipeConfig, needs: Needs, num_samples: int) -> None:
    """Check who writes the responses that the student learns from."""
    key, own = f"recipe.responses={node.responses.name}", node.responses is Responses.STUDENT
    if own and not needs.teacher and not needs.outcome:
        raise UserError(
            f"{key}: recipe={node.name} would imitate the student's own responses; the expected gradient is zero; "
            "set recipe.responses=TEACHER or GOLD"
        )
    if not own and (needs.teacher or needs.outcome):
        raise UserError(
            f"{key}: recipe={node.name} needs responses that the student sampled itself; set "
            "recipe.responses=STUDENT, or recipe=sft"
        )
    if not own and node.balancing.ratio is not None:
        raise UserError(f"{key}: there are no rollouts to balance; set recipe.balancing.ratio=null")
    if node.responses is Responses.GOLD and num_samples > 1:
        raise UserError(
            f"rollout.num_samples={num_samples}: {key} gives one response per row, not {num_samples}; "
            "set rollout.num_samples=1"
        )


def _policy(config: TrainConfig) -> PolicyLoss:
    recipe = config.recipe
    return PolicyLoss(
        temperature=config.rollout.temperature,
        teacher_temperature=config.teacher_temperature,
        clip_low=recipe.clip_low,
        clip_high=recipe.clip_high,
        gate=recipe.gate,
        advantage_clip=recipe.advantage_clip,
        reduction=recipe.reduction,
        correction=recipe.correction,
        correction_cap=recipe.correction_cap,
    )
