"""Colours that lie in planes of their own, as the last axis of an array that is read when it is indexed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


class ColoursLast:
    """An array with another of its axes as the last one.

    Parameters
    ----------
    array : array
        Has `shape` and `dtype`, and takes integers and slices.
    axis : int
        Which of its axes comes last.

    Attributes
    ----------
    shape : tuple of int
        Lengths, that of the axis at the end.
    dtype : dtype
        Of the array.
    """

    def __init__(self, array: Any, axis: int) -> None:  # noqa: ANN401 - an array
        self._array, self._axis = array, axis
        lengths = list(array.shape)
        self.shape: tuple[int, ...] = (*lengths[:axis], *lengths[axis + 1 :], lengths[axis])
        self.dtype = np.dtype(array.dtype)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - an index of integers and slices
        *places, colour = self._whole(key)
        before, behind = places[: self._axis], places[self._axis :]
        part = np.asarray(self._array[(*before, colour, *behind)])
        if not isinstance(colour, slice):
            return part
        return np.moveaxis(part, sum(isinstance(place, slice) for place in before), -1)

    def _whole(self, key: Any) -> list[Any]:  # noqa: ANN401
        """Return an integer or a slice for each axis."""
        told = list(key) if isinstance(key, tuple) else [key]
        at = next((i for i, each in enumerate(told) if each is Ellipsis), len(told))
        rest = [slice(None)] * (self.ndim - len(told) + (at < len(told)))
        return [*told[:at], *rest, *told[at + 1 :]]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:  # noqa: ANN401
        return np.array(self[...], dtype=dtype, copy=True if copy is None else copy)
