"""Work that takes the place of other work: from a file, or from what was saved by itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2._napari.autosave import Autosave
from tests._napari.dock import MIDDLE, Dock, Held, add_frames, frames
from tests.fakes import FakeModel, click

pytestmark = [pytest.mark.gui, pytest.mark.usefixtures("qapp")]


def cells(root: Path) -> Dock:
    """Open a dock over nine frames."""
    viewer = ViewerModel()
    add_frames(viewer)
    return Dock(viewer, FakeModel(), Autosave(root, every=0))


def movie(root: Path, name: str = "t") -> Dock:
    """Open a dock over three stacks, at the first."""
    viewer = ViewerModel()
    options: dict[str, Any] = {"axis_labels": (name, "z", "y", "x"), "contrast_limits": (0, 255)}
    viewer.add_image(np.stack([frames(4)] * 3), name="movie", **options)
    dock = Dock(viewer, FakeModel(), Autosave(root, every=0))
    go(dock, 0)
    return dock


def go(dock: Dock, t: int) -> None:
    dock.viewer.dims.set_current_step((0, 1), (t, 2))
    dock.wait()


def on(dock: Dock) -> list[int]:
    """Return the positions that show labels."""
    return [t for t in range(3) if dock.labels[t].any()]


def prompt_at(dock: Dock, *positions: int, obj: int = 1) -> None:
    for t in positions:
        go(dock, t)
        dock.prompt(obj, 2, 8, 10)


def save(dock: Dock, path: Path) -> None:
    dock.view.files.save_requested.emit(str(path))
    dock.wait()


def load(dock: Dock, path: Path) -> None:
    dock.view.files.load_requested.emit(str(path))
    dock.wait()


def test_earlier_work_is_listed_after_a_click_that_came_before_the_image_was_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = cells(tmp_path)
    one.wait()
    one.prompt(1, MIDDLE, 8, 10)
    one.end()
    held = Held(monkeypatch, "open")
    two = cells(tmp_path)
    held.until_entered()
    two.widget.set_prompts(1, MIDDLE, click(16, 10))
    held.gate.set()
    two.wait()
    assert len(two.state.files.recent) == 1
    two.end()


def test_an_axis_with_a_name_that_no_file_can_have(tmp_path: Path) -> None:
    one = movie(tmp_path / "own", "well/site")
    prompt_at(one, 0, 2)
    save(one, tmp_path / "w")
    assert {each.name for each in tmp_path.glob("*.json")} == {
        "w_wellsite0000.sam2.json",
        "w_wellsite0002.sam2.json",
    }
    one.end()
    two = movie(tmp_path / "own", "well/site")
    load(two, tmp_path / "w_wellsite0000.sam2.json")
    assert on(two) == [0, 2]
    two.end()
