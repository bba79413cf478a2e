"""Labels in an array of a wider type: the same labels, and frames without any are left alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp

from napari_sam2.label_array import widened


@given(hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=4, max_side=5)))
def test_wider_labels_are_the_same(labels: npt.NDArray[np.uint16]) -> None:
    wide = widened(labels, np.uint32)
    assert wide.dtype == np.uint32
    np.testing.assert_array_equal(wide, labels)


def test_frames_without_labels_are_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []

    class Noted(np.ndarray[Any, Any]):
        def __setitem__(self, place: Any, values: Any) -> None:
            written.append(place)
            super().__setitem__(place, values)

    labels = np.zeros((2, 3, 4, 4), np.uint16)
    labels[1, 2, 0, 0] = 7
    monkeypatch.setattr("napari_sam2.label_array.blank_labels", lambda *of: np.zeros(*of).view(Noted))
    widened(labels, np.uint32)
    (where,) = written
    assert where[:2] == (1, 2)
