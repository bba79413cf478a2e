"""Image features are kept of the position that is shown, whichever session is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests._napari.dock import Dock, Held, until
from tests._napari.renewing import redo, see, undo

pytestmark = pytest.mark.gui


def at(dock: Dock, position: int) -> None:
    dock.viewer.dims.set_current_step(0, position)


def kept(dock: Dock) -> dict[int, int]:
    """Return the megabytes of features that may be kept, by t."""
    dock.wait()
    touched = dock.controller.space.touched()
    return {each.geometry.index[0]: each.desk.opened.cache_bytes // 2**20 for each in touched}


@pytest.fixture
def two(four: Dock) -> Dock:
    """Return a dock with prompts at t = 1 and t = 2, which is shown."""
    four.prompt(1, 2, 8, 10)
    at(four, 2)
    four.prompt(2, 2, 8, 10)
    return four


def test_a_step_of_another_position(two: Dock, told: list[str]) -> None:
    see(two, 200)
    at(two, 1)
    assert kept(two) == {1: 512, 2: 0}
    undo(two)
    assert kept(two) == {1: 512, 2: 0}
    redo(two)
    assert kept(two) == {1: 512, 2: 0}


def test_a_position_that_is_left_while_its_prompts_are_answered_anew(
    two: Dock, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(monkeypatch, "say_again")
    two.viewer.layers["movie"].contrast_limits = (0, 200)
    two.controller.image.use_current_view()
    held.until_entered()
    at(two, 1)
    held.gate.set()
    assert kept(two) == {1: 512, 2: 0}


def test_work_that_is_loaded(two: Dock, tmp_path: Path) -> None:
    path = str(tmp_path / "work.sam2.json")
    two.controller.files.save(path)
    two.wait()
    at(two, 0)
    two.controller.sequences.at_index({0: 2})
    two.wait()
    two.controller.files.load(str(next(tmp_path.glob("*t0002*.sam2.json"))))
    at(two, 1)
    assert kept(two) == {1: 512, 2: 0}
    at(two, 2)
    two.controller.files.load(str(next(tmp_path.glob("*t0002*.sam2.json"))))
    until(lambda: not two.controller.saving.is_exchanging)
    assert kept(two) == {1: 0, 2: 512}
