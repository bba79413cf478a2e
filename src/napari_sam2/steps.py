"""Work that is done in steps: all at once, or as long as it is wanted."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

T = TypeVar("T")
Y = TypeVar("Y")


def result_of(steps: Generator[None, None, T]) -> T:
    """Take all steps, and return what the generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def within(context: AbstractContextManager[object], steps: Generator[Y, None, T]) -> Generator[Y, None, T]:
    """Take each step inside of a context, which is left between two and entered again, as a lock can be.

    Parameters
    ----------
    context : context manager
        Others may enter it while nobody takes a step.
    steps : generator
        What it yields is handed on. It is closed at the end, or where its steps are given up.

    Returns
    -------
    object
        What `steps` returns.
    """
    with closing(steps):
        while True:
            with context:
                try:
                    step = next(steps)
                except StopIteration as end:
                    result: T = end.value
                    return result
            yield step


def until_ended(
    steps: Generator[None, None, T], has_ended: Callable[[], bool]
) -> Generator[None, None, T | None]:
    """Take steps, and return what the generator returns; None, and no step more, once it has ended before."""
    with closing(steps):
        while not has_ended():
            try:
                next(steps)
            except StopIteration as end:
                result: T = end.value
                return result
            yield
    return None
