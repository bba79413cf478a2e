"""Values made of parameters (folded, cast or tabulated weights), kept until a parameter changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

T = TypeVar("T")


class Derived(Generic[T]):
    """One value that is computed from tensors and kept as long as they stay as they are.

    It belongs to a module, but is no part of its state: it is neither saved nor trained. Callers use it only
    where no gradients are wanted.
    """

    def __init__(self) -> None:
        self._key: tuple[object, ...] | None = None
        self._sources: tuple[Tensor, ...] = ()
        self._value: T | None = None

    def get(self, sources: tuple[Tensor, ...], make: Callable[[], T], *options: object) -> T:
        """Return the value, made again if a source or an option differs from those of the last call.

        Parameters
        ----------
        sources : tuple of Tensor
            What the value is made of. They are held, so that no other tensor takes their place in memory.
        make : callable
            Computes the value.
        *options : object
            What else the value depends on.
        """
        key = (options, *((_address(tensor), tensor.shape, tensor.dtype) for tensor in sources))
        if self._value is None or self._key != key:
            # Outside inference mode, so that training can use what tracking made first.
            with torch.inference_mode(mode=False), torch.no_grad():
                self._value = make()
            self._key, self._sources = key, sources
        return self._value


def _address(tensor: Tensor) -> tuple[object, ...]:
    """Tell where a tensor lies and how often it was changed in place.

    Tensors made in inference mode keep no count and are never trained.
    """
    version = 0 if tensor.is_inference() else tensor._version  # noqa: SLF001 - torch has no public name for it
    return tensor.data_ptr(), tensor.device, version
