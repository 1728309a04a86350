"""Values that are found out once, and only so many of them."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from uniopd_mm.tasks.grading.remembered import Remembered


def test_a_value_is_found_out_once_also_by_many_at_a_time() -> None:
    known, found = Remembered[str, int](4), list[str]()
    together = threading.Barrier(4)

    def find() -> int:
        found.append("a")
        time.sleep(0.1)
        return 7

    def ask(_: int) -> int:
        together.wait(300)
        return known.get("a", find)

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, range(4))) == [7] * 4
    assert found == ["a"]


def test_those_asked_for_last_are_kept() -> None:
    known, found = Remembered[str, str](2), list[str]()

    def get(key: str) -> str:
        return known.get(key, lambda: found.append(key) or key.upper())

    assert [get(key) for key in "abacab"] == list("ABACAB")
    assert found == ["a", "b", "c", "b"]  # c took the place of b, and b that of c


def test_none_is_a_value() -> None:
    known, found = Remembered[str, None](2), list[str]()
    for _ in range(2):
        known.get("a", lambda: found.append("a"))
    assert found == ["a"]


def test_what_could_not_be_found_out_is_tried_again() -> None:
    known = Remembered[str, int](2)
    with pytest.raises(ZeroDivisionError):
        known.get("a", lambda: 1 // 0)
    assert known.get("a", lambda: 3) == 3


def test_one_that_takes_long_holds_up_no_other() -> None:
    known = Remembered[str, int](2)
    go_on = threading.Event()

    def slow() -> int:
        assert go_on.wait(300)
        return 1

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(known.get, "slow", slow)
        assert known.get("quick", lambda: 2) == 2
        go_on.set()
        assert waiting.result(300) == 1
