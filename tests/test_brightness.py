"""How much of what a network can be shown the images fill."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from napari_sam2 import brightness
from napari_sam2.brightness import Brightness
from napari_sam2.volume import Volume


def ramp(low: float, high: float, dtype: npt.DTypeLike = np.uint16) -> npt.NDArray[Any]:
    """Return three frames of 64 x 64 pixels with values between two."""
    return np.linspace(low, high, 3 * 64 * 64).reshape(3, 64, 64).astype(dtype)


@pytest.mark.parametrize(
    ("data", "contrast", "filled"),
    [
        (ramp(0, 4095), (0, 4095), 1.0),
        (ramp(0, 4095), (0, 65535), 1 / 16),
        (ramp(1000, 2000, np.float32), (0, 5000), 0.2),
        (ramp(0, 51, np.uint8), None, 0.2),
        (ramp(100, 400), (150, 200), 1.0),
    ],
)
def test_what_is_filled_of_the_contrast(data: Any, contrast: Any, filled: float) -> None:
    volume = Volume(data, contrast=contrast)
    assert volume.filled is None
    for frame in range(3):
        volume.frame(frame)
    assert volume.filled == pytest.approx(filled, abs=0.03)


def test_all_that_was_read_counts_together() -> None:
    volume = Volume(ramp(0, 255, np.uint8))
    volume.crop(0, (0, 0, 32, 64))
    assert volume.filled == pytest.approx(1 / 6, abs=0.01)
    volume.crop(2, (32, 0, 64, 64))
    assert volume.filled == pytest.approx(1.0, abs=0.01)


def test_colour_counts_with_all_its_channels() -> None:
    data = np.zeros((2, 20, 20, 3), np.uint8)
    data[:, :, :10, 2] = 200
    volume = Volume(data)
    volume.frame(0)
    assert volume.filled == pytest.approx(200 / 255)


def test_a_few_hot_pixels_make_no_image_bright() -> None:
    frame = np.full((512, 512, 1), 20, np.uint8)
    frame[0, :3] = 255
    seen = Brightness()
    seen.look_at(frame)
    assert seen.filled == pytest.approx(0, abs=0.01)


def test_later_some_reads_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brightness, "_FIRST", 2)
    seen, filled = Brightness(), list[float | None]()
    for value in (0, 50, 255, 255, 255, 255, 255, 255):
        seen.look_at(np.full((1, 1, 1), value, np.uint8))
        filled.append(seen.filled)
    assert filled == [0, *[50 / 255] * 6, 1]


def test_nothing_is_told_while_the_first_frame_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread reads frames, and another one tells of them."""
    seen, told = Brightness(), list[float | None]()
    percentile = np.percentile

    def slow(*given: Any) -> Any:
        told.append(seen.filled)
        return percentile(*given)

    monkeypatch.setattr(np, "percentile", slow)
    seen.look_at(np.full((8, 8, 1), 20, np.uint8))
    assert told == [None]
    assert seen.filled == 0
