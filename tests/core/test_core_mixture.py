"""Domains hold their shares: exactly over each window, nearly in between, with bad samples and on several processes."""

from collections import Counter
from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mixture_parts import Picky, corpus, in_step, mixture, stream

from uniopd_mm.data.mixture import Mixture, MixtureState
from uniopd_mm.runtime.world import World
from uniopd_mm.types import Prompt, Sample, UserError

QUOTAS = st.lists(st.integers(1, 12), min_size=1, max_size=6)
NAMES = "abcdef"


def named(numbers: list[int]) -> dict[str, int]:
    return dict(zip(NAMES, numbers, strict=False))


def ones(quotas: Mapping[str, int]) -> dict[str, int]:
    return dict.fromkeys(quotas, 1)


def test_the_order_by_hand() -> None:
    """Smooth weighted round robin of 5, 1, 1, as its inventors show it: aabacaa."""
    of = mixture({"a": 1, "b": 1, "c": 1}, {"a": 5, "b": 1, "c": 1})
    assert "".join(of.next_domain() for _ in range(14)) == "aabacaaaabacaa"


@given(QUOTAS)
def test_every_window_holds_every_quota(numbers: list[int]) -> None:
    quotas = named(numbers)
    of = mixture(ones(quotas), quotas)
    for _ in range(3):
        assert Counter(of.next_domain() for _ in range(sum(numbers))) == quotas
        assert not any(of.state.credits.values())


@given(st.integers(1, 6).flatmap(lambda n: st.lists(st.lists(st.integers(0, 30), min_size=n, max_size=n), min_size=1)))
def test_no_domain_is_ever_far_from_its_share(changes: list[list[int]]) -> None:
    """With quotas of one sum, even if they change: after every draw a domain of n is at most 1 - 1/n ahead of its
    share (only who has the most, at least the mean of 1/n, pays 1) and at most 1/2 + ... + 1/n behind (the k that are
    furthest behind are so by at most 1/(k+1) + ... + 1/n on the average)."""
    num, window = len(changes[0]), 40 * len(changes[0])
    due, drawn = dict.fromkeys(NAMES[:num], Fraction(0)), Counter[str]()
    of = mixture(dict.fromkeys(due, 1), dict.fromkeys(due, 40))
    for extra in changes:
        quotas = {name: 1 + more for name, more in zip(due, extra, strict=True)}
        quotas["a"] += window - sum(quotas.values())
        of.set_quotas(quotas)
        for _ in range(7):
            drawn[of.next_domain()] += 1
            due = {name: share + Fraction(quotas[name], window) for name, share in due.items()}
            assert max(drawn[name] - share for name, share in due.items()) <= 1 - Fraction(1, num)
            assert max(share - drawn[name] for name, share in due.items()) <= sum(
                Fraction(1, k) for k in range(2, num + 1)
            )


def steps(of: Mixture, num: int) -> list[str]:
    return [of.next_of(of.next_domain()).sample_id for _ in range(num)]


@given(QUOTAS, QUOTAS, st.integers(0, 40))
def test_the_state_alone_goes_on_at_any_place(numbers: list[int], sizes: list[int], place: int) -> None:
    quotas = named(numbers)
    held = {name: 1 + number % 5 for name, number in zip(quotas, [*sizes, 1, 2, 3, 4, 5], strict=False)}
    whole = steps(mixture(held, quotas), place + 30)
    of = mixture(held, quotas)
    steps(of, place)
    kept = MixtureState(positions=dict(of.state.positions), credits=dict(of.state.credits))
    steps(of, 9)  # a state is not changed by what comes after it
    assert steps(mixture(held, quotas, kept), 30) == whole[place:]


def test_a_domain_has_its_epochs_for_itself() -> None:
    of = mixture({"a": 3, "b": 5}, {"a": 3, "b": 1})
    ids = steps(of, 4 * 15)
    for domain, size in of.sizes.items():
        own = [name for name in ids if name.startswith(domain)]
        for start in range(0, len(own) - size + 1, size):
            assert len(set(own[start : start + size])) == size


def next_ids(prompts: Mapping[int, Prompt]) -> dict[int, str]:
    return {place: prompt.sample.sample_id for place, prompt in prompts.items()}


def test_a_bad_sample_is_replaced_by_one_of_its_own_domain() -> None:
    bad = frozenset(f"a-{number}" for number in range(5))
    prompts = stream(mixture({"a": 7, "b": 4}, {"a": 1, "b": 3}), Picky(bad))
    for _ in range(6):
        drawn = prompts.next(8)
        assert list(drawn) == list(range(8))
        assert Counter(prompt.sample.domain for prompt in drawn.values()) == {"a": 2, "b": 6}
        assert not bad & set(next_ids(drawn).values())
    assert sorted(skip.where for skip in prompts.skipped) == sorted(f"{name}.jsonl:1" for name in bad)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_domain_in_which_nothing_can_be_used_stops_the_run_by_name(size: int) -> None:
    def work(world: World) -> str:
        bad = frozenset({"chart-0", "chart-1"})
        prompts = stream(mixture({"math": 9, "chart": 2}, {"math": 2, "chart": 1}), Picky(bad), world)
        with pytest.raises(UserError, match=r"no sample of domain chart can be used; the last: chart-\d.jsonl:1") as e:
            prompts.next(6)
        return str(e.value)

    assert len(set(in_step(size, work))) == 1, "every process stops, and says the same"


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("at_a_time", [1, 2, 7])
def test_one_usable_sample_of_a_domain_suffices(position: int, at_a_time: int) -> None:
    state = MixtureState(positions={"a": position})
    of = mixture({"a": 3, "b": 3}, {"a": 1, "b": 1}, state)
    prompts = stream(of, Picky(frozenset({"a-0", "a-2"})))
    for _ in range(5):
        assert {name for name in next_ids(prompts.next(at_a_time)).values() if name[0] == "a"} <= {"a-1"}


@pytest.mark.parametrize("size", [2, 3])
def test_prompts_do_not_depend_on_the_number_of_processes(size: int) -> None:
    sizes, quotas = {"a": 5, "b": 3, "c": 8}, {"a": 2, "b": 5, "c": 3}
    bad = frozenset({"a-1", "b-0", "b-2", "c-5"})

    def work(world: World) -> tuple[list[dict[int, str]], list[str], MixtureState, list[str]]:
        processor = Picky(bad)
        prompts = stream(mixture(sizes, quotas), processor, world)
        drawn = [next_ids(prompts.next(7)) for _ in range(6)]
        return drawn, [skip.where for skip in prompts.skipped], prompts.mixture.state, processor.encoded

    ((alone, skipped, state, encoded),) = in_step(1, work)
    several = in_step(size, work)
    for step, wanted in enumerate(alone):
        parts = [drawn[step] for drawn, *_ in several]
        assert {place: name for part in parts for place, name in part.items()} == wanted
        assert sum(len(part) for part in parts) == len(wanted) == 7, "each prompt has one owner"
    for _, others_skipped, others_state, _ in several:
        assert others_skipped == skipped and others_state == state
    assert sorted(name for *_, own in several for name in own) == sorted(encoded), "each is encoded once"


def test_a_run_that_goes_on_draws_the_prompts_of_one_that_never_stopped() -> None:
    sizes, quotas, bad = {"a": 5, "b": 3}, {"a": 3, "b": 2}, frozenset({"a-1", "b-2"})
    whole = stream(mixture(sizes, quotas), Picky(bad))
    wanted = [next_ids(whole.next(4)) for _ in range(8)]
    first = stream(mixture(sizes, quotas), Picky(bad))
    for _ in range(3):
        first.next(4)
    second = stream(mixture(sizes, quotas, first.mixture.state), Picky(bad))
    assert [next_ids(second.next(4)) for _ in range(5)] == wanted[3:]


def test_one_domain_is_a_plain_order() -> None:
    of, ids = mixture({"a": 4}, {"a": 7}), Counter[str]()
    ids.update(steps(of, 12))
    assert set(ids.values()) == {3} and of.state.positions == {"a": 12}


def test_quotas_are_of_all_domains_and_above_zero() -> None:
    of = Mixture(corpus(a=1, b=1), 0)
    for quotas in ({"a": 1}, {"a": 1, "b": 0}, {"a": 1, "b": 1, "c": 1}):
        with pytest.raises(AssertionError):
            of.set_quotas(quotas)


def test_domains_stand_in_the_order_of_their_first_samples() -> None:
    mixed: list[Sample] = [one for pair in zip(corpus(b=6), corpus(a=6), strict=True) for one in pair]
    of = Mixture(mixed, 1)
    assert of.sizes == {"b": 6, "a": 6} and list(of.sizes) == ["b", "a"]
    assert sorted(of.next_of("a").sample_id for _ in range(6)) == [f"a-{number}" for number in range(6)]
