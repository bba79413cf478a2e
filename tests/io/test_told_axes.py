"""What a file tells of its axes where nobody says how its images are to be taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_sam2.io import OpenedImage, open_image, told_options
from napari_sam2.volume import Volume

CHANNELS = np.arange(3 * 24 * 20, dtype=np.uint16).reshape(3, 24, 20)


@pytest.fixture(params=["ome", "imagej"])
def composite(tmp_path: Path, request: pytest.FixtureRequest) -> OpenedImage:
    """Three channels of one picture, as a microscope's program or ImageJ writes them."""
    path = tmp_path / ("a.ome.tif" if request.param == "ome" else "a.tif")
    is_ome = request.param == "ome"
    tifffile.imwrite(path, CHANNELS, metadata={"axes": "CYX"}, ome=is_ome, imagej=not is_ome)
    return open_image(path)


def test_channels_are_no_frames(composite: OpenedImage) -> None:
    assert composite.axes == "cyx"
    with pytest.raises(ValueError, match=r"3 channels and no frames .*channel=0 to 2.*--channel.*axis=0"):
        told_options(composite, {})


@pytest.mark.parametrize(
    "chosen", [{"channel": 1}, {"index": {0: 1}}, {"index": {-3: 1}}, {"index": {0: 1}, "channel": None}]
)
def test_one_of_them_is_a_picture(composite: OpenedImage, chosen: dict[str, Any]) -> None:
    volume = Volume(composite.array, **told_options(composite, chosen), contrast=(0, 65535))
    assert volume.shape == (1, 24, 20)
    expected = Volume(CHANNELS[1], contrast=(0, 65535))
    np.testing.assert_array_equal(volume.frame(0), expected.frame(0))


def test_who_says_so_tracks_along_them(composite: OpenedImage) -> None:
    assert told_options(composite, {"axis": 0}) == {"axis": 0, "channel": None}


@pytest.mark.parametrize(
    ("axes", "shape", "expected"),
    [
        ("cyx", (1, 24, 20), {"axis": 0, "channel": None}),
        ("tcyx", (5, 3, 24, 20), {"axis": 0, "channel": None}),
        ("czyx", (3, 5, 24, 20), {"axis": 1, "channel": None}),
        ("cyxs", (1, 24, 20, 3), {"axis": 0, "channel": "rgb"}),
        (None, (3, 24, 20), {"axis": 0, "channel": None}),
    ],
)
def test_all_others_are_taken_as_they_are(
    axes: str | None, shape: tuple[int, ...], expected: dict[str, Any]
) -> None:
    assert told_options(OpenedImage(np.zeros(shape, np.uint8), axes), {}) == expected
