"""Work in steps: all at once, under a lock, as long as it is wanted."""

from __future__ import annotations

import threading
from collections.abc import Generator

import pytest

from napari_sam2.steps import result_of, until_ended, within


def count(taken: list[int], last: int = 3, *, fails: bool = False) -> Generator[None, None, str]:
    try:
        for number in range(last):
            taken.append(number)
            yield
        if fails:
            raise OSError("the disk is full")
    finally:
        taken.append(-1)
    return "done"


def test_all_at_once() -> None:
    taken: list[int] = []
    assert result_of(count(taken)) == "done"
    assert taken == [0, 1, 2, -1]


def test_each_step_is_taken_under_the_lock_which_is_free_between() -> None:
    lock, taken = threading.Lock(), list[int]()

    def steps() -> Generator[None, None, str]:
        for number in range(2):
            assert lock.locked()
            taken.append(number)
            yield
        return "done"

    whole = within(lock, steps())
    for number in range(2):
        next(whole)
        assert not lock.locked()
        assert taken[-1] == number
    assert result_of(whole) == "done"
    assert not lock.locked()


def test_steps_that_fail_or_are_given_up_are_closed() -> None:
    lock, taken = threading.Lock(), list[int]()
    with pytest.raises(OSError, match="full"):
        result_of(within(lock, count(taken, fails=True)))
    assert not lock.locked()
    whole = within(lock, count(taken))
    next(whole)
    whole.close()
    assert taken == [0, 1, 2, -1, 0, -1]


def test_what_steps_yield_is_handed_on() -> None:
    lock = threading.Lock()
    assert list(within(lock, (number for number in range(3) if lock.locked()))) == [0, 1, 2]


@pytest.mark.parametrize("wanted", range(5))
def test_no_step_is_taken_once_it_has_ended(wanted: int) -> None:
    taken: list[int] = []
    result = result_of(until_ended(count(taken), lambda: len(taken) >= wanted))
    assert result == ("done" if wanted > 3 else None)
    steps = [0, 1, 2][:wanted]
    assert taken == ([*steps, -1] if wanted else [])
