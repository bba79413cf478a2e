"""How many windows or objects go through the network at once: as many as the memory holds, else fewer."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")

# What CPU and MPS allocators say in a plain RuntimeError.
_COMPLAINTS = ("not enough memory", "can't allocate memory", "out of memory")


class _Done(NamedTuple, Generic[R]):
    """What came out of a part that went through."""

    answer: R


class Groups:
    """Takes items through the network in groups, and in smaller ones from then on where memory ran out.

    Parameters
    ----------
    size : int
        Items in a group at most.
    device : torch.device
        Whose memory it is.

    Attributes
    ----------
    size : int
        As it is now.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.size = size
        self._device = device
        self._has_told = False

    def run(self, items: Sequence[T], work: Callable[[Sequence[T]], R]) -> Iterator[R]:
        """Do items in groups, in order.

        Parameters
        ----------
        items : sequence
            What is to be done.
        work : callable
            Does a group of them. It is called again with a part of them if memory ran out.

        Yields
        ------
        object
            What `work` returned, group by group.

        Raises
        ------
        MemoryError
            If there is not enough for a single item; it says what to do.
        """
        start = 0
        while start < len(items):
            part = items[start : start + self.size]
            done = self._attempt(part, work)
            if done is not None:
                start += len(part)
                yield done.answer

    def _attempt(self, part: Sequence[T], work: Callable[[Sequence[T]], R]) -> _Done[R] | None:
        """Do a group; None where memory ran out and groups are smaller now."""
        try:
            return _Done(work(part))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(part) == 1:
                raise MemoryError(_advice(self._device)) from error
        # Not before here: as long as the error is at hand, it holds what the attempt has allocated.
        self._halve(len(part))
        return None

    def _halve(self, tried: int) -> None:
        self.size = tried // 2
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        if not self._has_told:
            self._has_told = True
            warnings.warn(
                f"the memory of {self._device} does not suffice for {tried} at once: going on with groups of "
                f"{self.size} or fewer, which is slower and gives the same masks",
                stacklevel=2,
            )


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out, on whatever device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _COMPLAINTS)


def _advice(device: torch.device) -> str:
    cpu = "" if device.type == "cpu" else ", or take device='cpu'"
    return (
        f"the memory of {device} does not suffice for a single object: close other programs that use it, "
        f"take a smaller model or a smaller image_size{cpu}"
    )
