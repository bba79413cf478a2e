"""What is painted is what the session has, on all frames and whatever comes between."""

from __future__ import annotations

import numpy as np
import pytest

from napari_sam2.prompts import PromptKey
from tests._napari.dock import COUNT, MIDDLE, Dock, pause

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
