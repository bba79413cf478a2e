"""Masks as arrays of session files, as they are written now and as they were before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2._session.stored_prompts import mask_arrays, read_mask
from napari_sam2.prompts import FramePrompts

masks = hnp.arrays(np.bool_, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9))


@given(masks)
def test_a_mask_comes_back(mask: NDArray[np.bool_]) -> None:
    packed = PackedMask.pack(mask)
    arrays = {"other": np.zeros(3), **mask_arrays("prompts/1/2/mask", packed)}
    assert read_mask("prompts/1/2/mask", arrays) == packed
    assert read_mask("prompts/1/3/mask", arrays) is None


@given(masks)
def test_the_pixels_of_older_files_are_read(mask: NDArray[np.bool_]) -> None:
    assert FramePrompts(mask=read_mask("a", {"a": mask})) == FramePrompts(mask=mask)


def test_arrays_that_do_not_belong_together_are_refused() -> None:
    arrays = mask_arrays("a", PackedMask.pack(np.eye(9, dtype=bool)))
    with pytest.raises(ValueError, match="no mask in the box"):
        read_mask("a", arrays | {"a/bits": arrays["a/bits"][:-1]})
