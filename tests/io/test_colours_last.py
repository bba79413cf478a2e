"""Indices into an array with another axis as the last one, beside numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import basic_indices

from napari_sam2.io.colours_last import ColoursLast

DATA = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)


@given(st.integers(0, 3), st.data())
def test_all_indices_are_those_of_the_moved_array(axis: int, data: st.DataObject) -> None:
    expected = np.moveaxis(DATA, axis, -1)
    key: Any = data.draw(basic_indices(expected.shape, allow_newaxis=False))
    np.testing.assert_array_equal(ColoursLast(DATA, axis)[key], expected[key])


@pytest.mark.parametrize("axis", range(4))
def test_it_is_an_array(axis: int) -> None:
    array, expected = ColoursLast(DATA, axis), np.moveaxis(DATA, axis, -1)
    assert (array.shape, array.ndim, array.dtype, len(array)) == (
        expected.shape,
        4,
        DATA.dtype,
        len(expected),
    )
    np.testing.assert_array_equal(np.asarray(array), expected)
