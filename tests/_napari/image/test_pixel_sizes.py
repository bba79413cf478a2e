"""Files have the pixel sizes of the image: those that it has now, in the units of files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Image

from napari_sam2._napari.image.pixel_sizes import step_along
from napari_sam2._napari.work.desk import Desk
from napari_sam2.session import Session
from tests._napari.dock import MIDDLE, Dock, Held, add_frames, frames
from tests.fakes import FakeModel


@pytest.fixture
def docks(model: ViewerModel, fake_model: FakeModel) -> Iterator[Any]:
    """Return a function that opens a dock over nine frames, with these options of the image layer."""
    opened: list[Dock] = []

    def over(**options: Any) -> Dock:
        add_frames(model, **options)
        opened.append(Dock(model, fake_model))
        opened[-1].show(MIDDLE)
        opened[-1].wait()
        return opened[-1]

    yield over
    for dock in opened:
        dock.end()


def _sizes(path: Path) -> dict[str, str]:
    with tifffile.TiffFile(path) as tiff:
        return dict(re.findall(r'(PhysicalSize[XYZ]|TimeIncrement)="([^"]*)"', tiff.ome_metadata or ""))


def _exported(dock: Dock, path: Path) -> dict[str, str]:
    dock.view.files.export_requested.emit(str(path))
    dock.wait()
    return _sizes(path)


def _aspect(session: Any) -> float:
    aspect: float = session._tracker.windows.rules.aspect
    return aspect


def _image(dock: Dock) -> Image:
    image: Image = dock.viewer.layers[0]
    return image


def test_sizes_that_are_given_before_the_first_prompt_count(bench: Dock, tmp_path: Path) -> None:
    _image(bench).scale = (5, 0.5, 0.25)
    bench.prompt(1, MIDDLE, 10, 10)
    sizes = _exported(bench, tmp_path / "labels.tif")
    assert sizes == {"PhysicalSizeZ": "5.0", "PhysicalSizeY": "0.5", "PhysicalSizeX": "0.25"}
    assert _aspect(bench.session) == 2


def test_sizes_that_are_given_after_prompts_count_and_their_windows_stay(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 10, 10)
    session = bench.session
    _image(bench).scale = (5, 0.5, 0.25)
    sizes = _exported(bench, tmp_path / "labels.tif")
    assert sizes == {"PhysicalSizeZ": "5.0", "PhysicalSizeY": "0.5", "PhysicalSizeX": "0.25"}
    assert bench.session is session
    assert _aspect(session) == 1


def test_a_script_need_not_wait_for_the_next_turn(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 10, 10)
    _image(bench).scale = (5, 0.5, 0.5)
    assert bench.session.geometry.scale == (5, 0.5, 0.5)


def test_undo_to_another_view_keeps_the_sizes(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 10, 10)
    _image(bench).contrast_limits = (0, 100)
    bench.view.image.use_current_view.emit()
    bench.wait()
    _image(bench).scale = (5, 0.5, 0.5)
    bench.wait()
    bench.view.progress.undo_requested.emit()
    bench.wait()
    assert bench.session.geometry.scale == (5, 0.5, 0.5)


def test_a_session_that_is_opened_anew_meanwhile_has_them(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.prompt(1, MIDDLE, 10, 10)
    before, held = bench.session, Held(monkeypatch, "renew")
    _image(bench).contrast_limits = (0, 100)
    bench.view.image.use_current_view.emit()
    held.until_entered()
    _image(bench).scale = (5, 0.5, 0.5)
    held.gate.set()
    bench.wait()
    assert bench.session is not before
    assert bench.session.geometry.scale == (5, 0.5, 0.5)


def test_what_is_saved_by_itself_has_them(bench: Dock, tmp_path: Path) -> None:
    bench.prompt(1, MIDDLE, 10, 10)
    bench.session.autosave(tmp_path / "kept")
    _image(bench).scale = (5, 0.5, 0.5)
    assert bench.session.autosave(tmp_path / "kept")
    back = Session.load(tmp_path / "kept", frames(), model=bench.fake.as_model())
    assert back.geometry.scale == (5, 0.5, 0.5)


def test_all_positions_have_the_sizes_of_now(four: Dock, tmp_path: Path) -> None:
    four.prompt(1, 2, 10, 10)
    four.viewer.dims.set_current_step(0, 2)
    four.wait()
    four.prompt(1, 2, 10, 10)
    _image(four).scale = (30, 5, 0.5, 0.5)
    sizes = _exported(four, tmp_path / "labels.tif")
    assert sizes["PhysicalSizeZ"] == "5.0"
    assert sizes["TimeIncrement"] == "30.0"


def test_lengths_are_exported_in_micrometres(docks: Any, tmp_path: Path) -> None:
    dock = docks(scale=(50, 10, 10), units=("nm",) * 3)
    dock.prompt(1, MIDDLE, 10, 10)
    sizes = _exported(dock, tmp_path / "labels.tif")
    assert sizes == {"PhysicalSizeZ": "0.05", "PhysicalSizeY": "0.01", "PhysicalSizeX": "0.01"}


def test_units_that_are_given_later_count(bench: Dock) -> None:
    bench.prompt(1, MIDDLE, 10, 10)
    _image(bench).scale = (50, 10, 10)
    _image(bench).units = ("nm",) * 3
    assert bench.session.geometry.scale == (0.05, 0.01, 0.01)


def test_times_of_positions_are_exported_in_seconds(four: Dock, tmp_path: Path) -> None:
    four.prompt(1, 2, 10, 10)
    _image(four).scale = (2, 1, 1, 1)
    _image(four).units = ("min", "um", "um", "um")
    assert _exported(four, tmp_path / "labels.tif")["TimeIncrement"] == "120.0"


@pytest.mark.parametrize(
    ("unit", "size"), [("nm", 0.003), ("mm", 3000), ("ms", 0.003), ("h", 10800), ("pixel", 3), ("degree", 3)]
)
def test_units_are_converted_where_files_know_them(unit: str, size: float) -> None:
    assert step_along(Image(np.zeros((2, 4, 4)), scale=(-3, 1, 1), units=(unit, "um", "um")), 0) == size


def test_a_desk_that_is_not_open_can_be_told() -> None:
    desk = Desk()
    desk.describe(scale=(1.0, 1.0, 1.0))
    assert desk.session is None
