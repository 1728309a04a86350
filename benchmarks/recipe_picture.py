"""The recipe in one picture, drawn from a finished run: the effect of its three parts on real prompts and rollouts.

python benchmarks/recipe_picture.py runs/study/uni_opd_0 --rows runs/study/balanced.jsonl --out docs/recipe.png
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from uniopd_mm.tracking.records import RolloutLine
from uniopd_mm.tracking.rollouts import read_rollouts

INK, GREY, CORRECT, INCORRECT = "#3b4252", "#d5dbe6", "#2563eb", "#ea7317"
NUM_GROUPS = 12
CLIP = 3.0  # recipe.advantage_clip of model=tiny


def main() -> None:
    """Draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run with recipe=uni_opd")
    parser.add_argument("--rows", type=Path, required=True, help="file written by uniopd_mm.balance")
    parser.add_argument("--step", type=int, default=12, help="step whose rollouts are drawn")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    options = parser.parse_args()
    groups = mixed_groups(read_rollouts(options.run / "rollouts" / f"step_{options.step}.jsonl"))
    figure = Figure(figsize=(10, 3.1), layout="constrained")
    difficulty, outcomes, before, after = figure.subplots(1, 4, width_ratios=(1.15, 0.8, 1.1, 1.1))
    draw_difficulty(difficulty, options.rows)
    draw_outcomes(outcomes, [line for group in groups for line in group])
    draw_returns(before, groups, calibrated=False)
    draw_returns(after, groups, calibrated=True)
    before.set_ylim(after.get_ylim())
    for axes in (difficulty, outcomes, before, after):
        style(axes)
    figure.savefig(options.out, dpi=200, facecolor="white")
    print(options.out)


def mixed_groups(lines: Sequence[RolloutLine]) -> list[list[RolloutLine]]:
    """The rollouts of each prompt with both correct and incorrect answers."""
    groups = [list(group) for _, group in groupby(lines, key=lambda line: line.group_id)]
    return [group for group in groups if {line.correct for line in group} >= {True, False}]


def draw_difficulty(axes: Axes, rows: Path) -> None:
    """Train prompts by the student's pass rate, before and after repetition."""
    read = [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]
    train = [row for row in read if row["split"] == "train" and "pass_rate" in row]
    rates = {"after balancing": Counter(row["pass_rate"] for row in train)}
    rates |= {"before": Counter(row["pass_rate"] for row in train if "#" not in row["id"])}
    for (name, counts), colour in zip(rates.items(), ("#93b4f5", INK), strict=True):
        places = sorted(counts)
        axes.bar(places, [counts[place] for place in places], width=0.09, color=colour, label=name)
    axes.set_title("offline: medium difficulty\nmore often", fontsize=9)
    axes.set_xlabel("pass rate of the student", fontsize=8)
    axes.set_ylim(0, 1.25 * axes.get_ylim()[1])
    axes.legend(fontsize=7, frameon=False, ncols=2, loc="upper center")


def draw_outcomes(axes: Axes, lines: Sequence[RolloutLine]) -> None:
    """Rollouts of mixed prompts by outcome; those that balancing masks are pale."""
    for place, (name, correct, colour) in enumerate((("correct", True, CORRECT), ("incorrect", False, INCORRECT))):
        own = [line for line in lines if line.correct is correct]
        axes.bar(place, len(own), color=GREY)
        axes.bar(place, sum(line.weight > 0 for line in own), color=colour)
        axes.text(place, len(own), name, ha="center", va="bottom", fontsize=8, color=INK)
    axes.set_xticks([])
    axes.set_title("online: as many correct\nas incorrect rollouts", fontsize=9)
    axes.set_xlabel("in each group; grey is masked", fontsize=8)


def draw_returns(axes: Axes, groups: Sequence[Sequence[RolloutLine]], *, calibrated: bool) -> None:
    """Distillation returns of some prompts' rollouts, one column per prompt."""
    for column, group in enumerate(groups[:NUM_GROUPS]):
        for line in group:
            value = calibrated_return(line) if calibrated else distillation_return(line)
            axes.plot(column, value, "o", color=CORRECT if line.correct else INCORRECT, markersize=3.6, alpha=0.85)
    axes.set_xticks([])
    axes.set_xlabel(f"{min(NUM_GROUPS, len(groups))} prompts, one dot per rollout", fontsize=8)
    if calibrated:
        axes.set_title("after the margin shift", fontsize=9)
        return
    axes.set_title("the teacher's return G", fontsize=9)
    axes.set_ylabel("nats per token", fontsize=8)


def distillation_return(line: RolloutLine) -> float:
    """Mean of the clipped token rewards."""
    assert line.teacher_logprobs is not None
    pairs = zip(line.teacher_logprobs, line.student_logprobs, strict=True)
    rewards = [max(-CLIP, min(CLIP, teacher - student)) for teacher, student in pairs]
    return sum(rewards) / len(rewards)


def calibrated_return(line: RolloutLine) -> float:
    """Mean of the advantages, which are the shifted rewards."""
    assert line.advantages is not None
    return sum(line.advantages) / len(line.advantages)


def style(axes: Axes) -> None:
    axes.title.set_color(INK)
    axes.tick_params(colors=INK, labelsize=7, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)


if __name__ == "__main__":
    main()
