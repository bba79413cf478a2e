"""What is painted is what the session has, on all frames and whatever comes between."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_sam2.prompts import PromptKey
from napari_sam2.session import Session
from tests._napari.dock import COUNT, MIDDLE, Dock, add_frames, pause
from tests.fakes import FakeModel

pytestmark = pytest.mark.gui


def erase(bench: Dock, obj: int, frame: int) -> None:
    """Erase an object on a frame, as a script does."""
    layer = bench.layers.labels
    shown = layer.data[frame]
    shown[shown == obj] = 0
    layer.refresh()
    pause(1)
    bench.wait()


@pytest.mark.parametrize(("frame", "left"), [(MIDDLE, 0), (MIDDLE + 2, MIDDLE + 2)])
def test_an_object_that_is_painted_away_goes_from_other_frames_as_well(
    bench: Dock, frame: int, left: int
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.propagate()
    assert bench.on == list(range(COUNT))
    bench.show(frame)
    erase(bench, 1, frame)
    assert bench.session.prompts[PromptKey(1, frame)].says_absent
    assert bench.on == list(range(left))
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def paint(bench: Dock, obj: int, frames: slice | int) -> None:
    """Paint an object into a corner of frames, as a script does."""
    layer = bench.layers.labels
    layer.data[frames, 20:23, 2:6] = obj
    layer.refresh()
    pause(1)
    bench.wait()


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collect what the user is warned of."""
    told: list[str] = []
    monkeypatch.setattr("napari_sam2._napari.controller_prompts.warn", told.append)
    return told


def test_a_stroke_beyond_the_end_is_put_back_and_what_is_within_stays(
    bench: Dock, warnings: list[str]
) -> None:
    bench.prompt(1, MIDDLE, 8, 10)
    bench.view.progress.ends_here.emit()
    bench.wait()
    paint(bench, 1, MIDDLE + 2)
    assert bench.on == [MIDDLE]
    paint(bench, 1, slice(MIDDLE - 1, None))
    assert bench.on == [MIDDLE - 1, MIDDLE]
    np.testing.assert_array_equal(bench.labels, bench.session.labels)
    (told,) = warnings[1:]
    assert told.startswith(f"Object 1 ends on frame {MIDDLE}: it cannot be on frame {MIDDLE + 1}; say first")
    assert told.endswith(". The stroke was put back.")


def test_what_fails_on_a_frame_is_put_back_before_it_is_told(
    bench: Dock, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint_one, seen = Session.paint, list[list[int]]()

    def broken(session: Session, obj: int, frame: int, mask: Any) -> Any:
        if frame == MIDDLE:
            raise OSError("the frame cannot be read")
        return paint_one(session, obj, frame, mask)

    monkeypatch.setattr(Session, "paint", broken)
    bench.controller.space.fail = lambda error: seen.append(bench.on)
    paint(bench, 1, slice(None))
    assert seen == [[frame for frame in range(COUNT) if frame != MIDDLE]]
    np.testing.assert_array_equal(bench.labels, bench.session.labels)


def test_what_is_painted_where_no_model_can_be_loaded_is_put_back(
    model: ViewerModel, fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Dock, "_load", lambda *_: fail_to_load())
    add_frames(model)
    bench = Dock(model, fake_model)
    with pytest.raises(RuntimeError):
        bench.wait()
    bench.failures.clear()
    with pytest.raises(RuntimeError, match="The image is not open"):
        paint(bench, 1, slice(None))
    assert not bench.labels.any()
    bench.end()


def fail_to_load() -> None:
    raise RuntimeError("no such weights")
