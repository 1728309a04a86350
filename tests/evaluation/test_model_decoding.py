"""A task's generation_kwargs are done exactly, or refused."""

from typing import Any

import pytest

from uniopd_mm.evaluation.decoding import Decoding, decoding_of
from uniopd_mm.types import UserError


def decoding(**options: Any) -> Decoding:
    return decoding_of("some_task", options, 4)


@pytest.mark.parametrize("limit", [1, 16, 4096, 49152])
def test_fault_9_a_tasks_token_limit_is_never_raised_or_lowered(limit: int) -> None:
    assert decoding(max_new_tokens=limit).max_new_tokens == limit
    assert decoding(max_new_tokens=str(limit)).max_new_tokens == limit  # as --gen_kwargs may have it


def test_a_task_without_a_limit_has_1024_tokens() -> None:
    assert decoding().max_new_tokens == decoding(max_new_tokens=None).max_new_tokens == 1024


def test_fault_9_stop_strings_are_the_tasks() -> None:
    assert decoding(until=["Q:", "\n\n"]).stop_strings == ("Q:", "\n\n")
    assert decoding(until="ASSISTANT:").stop_strings == ("ASSISTANT:",)
    assert decoding(until=["", "Q:"]).stop_strings == ("Q:",)


@pytest.mark.parametrize("until", [["\n\n"], [], None, ""])
def test_what_lmms_eval_puts_where_a_task_has_none_is_none(until: Any) -> None:
    assert decoding(until=until).stop_strings == ()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"do_sample": False},
        {"do_sample": False, "temperature": 0.7, "top_p": 0.9},
        {"do_sample": True, "temperature": 0},
        {"do_sample": True, "temperature": None},
        {"do_sample": True, "temperature": 1.0, "top_k": 1},
        {"temperature": 0, "top_p": None, "num_beams": 1},
    ],
)
def test_greedy(options: dict[str, Any]) -> None:
    assert decoding(**options).temperature == 0.0 and decoding(**options).num_drawn == 1


def test_sampling() -> None:
    chosen = decoding(do_sample=True, temperature=0.7, top_p=1.0, top_k=-1, num_beams=1, image_aspect_ratio="pad")
    assert (chosen.temperature, chosen.num_samples, chosen.num_drawn) == (0.7, 4, 4)
    assert decoding(temperature=0.7).temperature == 0.7


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("top_p", 0.95),
        ("top_p", 0),
        ("top_k", 20),
        ("min_p", 0.1),
        ("num_beams", 4),
        ("repetition_penalty", 1.2),
        ("stop_sequences", ["\n"]),
    ],
)
def test_what_the_engines_cannot_do_is_refused(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=rf"some_task: generation_kwargs\.{name}="):
        decoding(do_sample=True, temperature=1.0, **{name: value})


@pytest.mark.parametrize(("name", "value"), [("num_beams", 4), ("repetition_penalty", 1.2)])
def test_beams_and_penalties_are_not_greedy_either(name: str, value: Any) -> None:
    with pytest.raises(UserError, match=name):
        decoding(do_sample=False, **{name: value})


def test_a_text_ends_before_its_first_stop_string() -> None:
    chosen = decoding(until=["END", "Q:"])
    assert chosen.cut("one Q: two END") == "one "
    assert chosen.cut("END") == "" and chosen.cut("nothing") == "nothing"
