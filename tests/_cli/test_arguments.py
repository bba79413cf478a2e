"""What is typed, and what is said when it cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._cli import arguments
from napari_sam2._cli.arguments import BoxArgument, Click

coordinates = st.floats(0, 5000, allow_nan=False).map(lambda value: round(value, 3))


@given(
    obj=st.integers(1, 2**32 - 1), frame=st.integers(0, 999), y=coordinates, x=coordinates, on=st.booleans()
)
def test_clicks_are_read_as_they_are_written(obj: int, frame: int, y: float, x: float, on: bool) -> None:
    text = f"{obj}:{frame},{y},{x}" + ("" if on else ",-")
    assert arguments.parse_click(text) == Click(obj, frame, (y, x), on)


def test_a_box() -> None:
    assert arguments.parse_box("3:7,1,2.5,10,20") == BoxArgument(3, 7, (1.0, 2.5, 10.0, 20.0))


@pytest.mark.parametrize(
    "text", ["", "1", "1:", "1,2,3", "1:2,3", "1:2,3,4,5", "1:2.5,3,4", "one:2,3,4", "1:2,3,x", "1:2,3,4,+"]
)
def test_a_click_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"OBJ:FRAME,Y,X") as raised:
        arguments.parse_click(text)
    assert repr(text) in str(raised.value)


@pytest.mark.parametrize("text", ["1:2,3,4,5", "1:2,3,4,5,6,7", "2,3,4,5,6", "1:a,3,4,5,6"])
def test_a_box_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="OBJ:FRAME,Y0,X0,Y1,X1"):
        arguments.parse_box(text)


@pytest.mark.parametrize(
    ("text", "frames"),
    [(None, None), ("2:5", range(2, 5)), (":5", range(5)), ("2:", range(2, 10)), (":", range(10))],
)
def test_frames(text: str | None, frames: range | None) -> None:
    assert arguments.parse_frames(text, 10) == frames


@pytest.mark.parametrize("text", ["5:2", "3:3", "-1:4", "0:11", "12:"])
def test_frames_that_are_not_there(text: str) -> None:
    with pytest.raises(ValueError, match="the sequence has the frames 0:10"):
        arguments.parse_frames(text, 10)


@pytest.mark.parametrize("text", ["3", "a:b", "1:2:3", "1.5:4"])
def test_frames_that_cannot_be_read(text: str) -> None:
    with pytest.raises(ValueError, match="A:B"):
        arguments.parse_frames(text, 10)


def test_index() -> None:
    assert arguments.parse_index(()) is None
    assert arguments.parse_index(("1:3", "-1:0")) == {1: 3, -1: 0}
    with pytest.raises(ValueError, match="AXIS:I"):
        arguments.parse_index(("1=3",))
    with pytest.raises(ValueError, match="axis 1 has two positions, 3 and 0"):
        arguments.parse_index(("1:3", "2:0", "1:0"))


def test_channel_and_contrast() -> None:
    assert [arguments.parse_channel(text) for text in (None, "rgb", "grey", "2")] == [None, "rgb", "grey", 2]
    assert arguments.parse_contrast(None) is None
    assert arguments.parse_contrast("100,4095.5") == (100.0, 4095.5)
    with pytest.raises(ValueError, match="or rgb"):
        arguments.parse_channel("red")
    with pytest.raises(ValueError, match="LOW,HIGH"):
        arguments.parse_contrast("100")


@pytest.mark.parametrize("name", ["labels.tif", "LABELS.TIFF", "labels.ome.zarr", "labels.zarr", "01_RES"])
def test_outputs(tmp_path: Path, name: str) -> None:
    arguments.check_output(tmp_path / name)


def test_outputs_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.ome\.zarr"):
        arguments.check_output(tmp_path / "labels.png")
    with pytest.raises(ValueError, match="There is no folder"):
        arguments.check_output(tmp_path / "none" / "labels.tif")


def test_an_input_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="There is no file"):
        arguments.check_input(tmp_path / "none.tif")
