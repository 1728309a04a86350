"""Splitting a batch by a budget of padded tokens: long sequences with long ones, so that little is padding."""

from collections.abc import Sequence


def by_token_budget(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of sequences in groups whose padded size, count times longest, is within the budget.

    Each sequence stands in exactly one group; one longer than the budget is a group of its own. Groups go from short
    to long sequences, and equal lengths keep their order.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if groups and (len(groups[-1]) + 1) * lengths[index] <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
