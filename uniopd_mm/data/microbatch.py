"""Splits a batch into micro-batches by a budget of padded tokens, with sequences of similar length together."""

from collections.abc import Sequence


def by_token_budget(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Groups of sequence indices whose padded size, count times longest, is within the budget.

    Each sequence is in exactly one group; one longer than the budget is a group of its own. Groups go from short to
    long sequences, and equal lengths keep their order.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: lengths[i]):
        if groups and (len(groups[-1]) + 1) * lengths[index] <= budget:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups
