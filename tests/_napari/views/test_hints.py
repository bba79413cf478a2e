"""The sentence on top of the dock."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_sam2._napari.state import Activity, DockState, ObjectsState, ProgressState, Tool, ToolState
from napari_sam2._napari.views.hints import HintKind, hint
from tests._napari.views.snapshots import IMAGE, MODEL, dock, rows

EMPTY = ObjectsState()
WAITING = replace(MODEL, chosen=1, needs_download=True, answered_by="nano")
TRACKED = replace(rows(1)[0], worst=0.9)


@pytest.mark.parametrize(
    ("state", "words", "kind"),
    [
        (DockState(), "Open an image to begin", HintKind.NEXT),
        (DockState(hint="Say this."), "Say this.", HintKind.NEXT),
        (dock(image=replace(IMAGE, chosen=None)), "Choose an image layer", HintKind.NEXT),
        (dock(image=replace(IMAGE, loading=True)), "Opening the image", HintKind.BUSY),
        (dock(image=replace(IMAGE, problem="One frame.")), "image cannot be used", HintKind.PROBLEM),
        (dock(model=replace(MODEL, problem="Broken.")), "model cannot be used", HintKind.PROBLEM),
        (dock(model=replace(MODEL, needs_download=True)), "Press Download", HintKind.NEXT),
        (dock(model=replace(MODEL, needs_download=True, download=0.25)), "25%", HintKind.BUSY),
        (
            dock(model=WAITING),
            "Answered by nano until sam2.1-tiny is downloaded. Press Download",
            HintKind.NEXT,
        ),
        (dock(model=replace(WAITING, download=0.25)), "25% ... Until then nano answers.", HintKind.BUSY),
        (dock(model=replace(MODEL, loading=True)), "Reading the model", HintKind.BUSY),
        (
            dock(model=replace(MODEL, loading=True, answered_by="nano")),
            "... Until then nano answers.",
            HintKind.BUSY,
        ),
        (dock(objects=EMPTY), "Click on an object.", HintKind.NEXT),
        (dock(objects=ObjectsState(rows(1, worst=0.2))), "doubtful", HintKind.NEXT),
        (dock(objects=ObjectsState((replace(TRACKED, frames=1),))), "Press Propagate", HintKind.NEXT),
        (
            dock(objects=ObjectsState((replace(TRACKED, frames=1),)), image=replace(IMAGE, frames=1)),
            "Click on the next object, correct",
            HintKind.NEXT,
        ),
        (dock(objects=ObjectsState((TRACKED,))), "next object", HintKind.NEXT),
        (dock(tools=ToolState(candidates=3)), "Not the mask you meant", HintKind.NEXT),
        (dock(progress=ProgressState(Activity.PROPAGATING)), "Following", HintKind.BUSY),
        (dock(progress=ProgressState(Activity.PAUSED)), "Paused", HintKind.NEXT),
        (dock(progress=ProgressState(Activity.ANSWERING, "Frame 3.")), "Frame 3.", HintKind.BUSY),
        (dock(progress=ProgressState(message="Saved.")), "Saved.", HintKind.NEXT),
    ],
)
def test_the_dock_says_what_comes_next(state: DockState, words: str, kind: HintKind) -> None:
    said = hint(state)
    assert words in said.text
    assert said.kind is kind


@pytest.mark.parametrize("tool", list(Tool))
def test_the_first_prompt_is_explained_for_every_tool(tool: Tool) -> None:
    said = hint(dock(objects=EMPTY, tools=ToolState(tool=tool))).text
    verbs = {Tool.BOX: "Drag", Tool.OUTLINE: "Draw", Tool.BRUSH: "Paint"}
    assert verbs.get(tool, "lick on an object") in said


def test_a_locked_object_is_not_doubtful() -> None:
    state = dock(objects=ObjectsState((replace(TRACKED, worst=0.1, locked=True),)))
    assert "doubtful" not in hint(state).text
