r"""What benchmarks about pictures share: the picture of a row, and the instructions for the answer.

Reasoned answers are requested in \boxed{}, as in the training of arXiv 2605.03677.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from uniopd_mm.tasks.benchmarks.benchmark import Row, image

REASONED_ANSWER = "Please reason step by step, and put your final answer within \\boxed{}."
REASONED_CHOICE = "Please reason step by step, and put the letter of your choice within \\boxed{}."


def picture_in(column: str) -> Callable[[Row], Sequence[Mapping[str, Any]]]:
    """The media of a row whose only picture is in this column, as `datasets` decodes it."""
    return lambda row: [image(row[column])]


def stated_question(row: Row) -> str:
    """The question of benchmarks with a column `question`."""
    return str(row["question"]).strip()
