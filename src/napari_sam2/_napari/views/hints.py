"""The one sentence on top of the dock: what to do next, what is going on, or what is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from napari_sam2._napari.state import Activity, DockState, ImageState, ModelState, Tool, ToolState
from napari_sam2.confidence import DOUBTFUL


class HintKind(Enum):
    """How a hint looks."""

    NEXT = "info"
    BUSY = "busy"
    PROBLEM = "warning"


@dataclass(frozen=True)
class Hint:
    """A sentence and how it looks."""

    text: str
    kind: HintKind = HintKind.NEXT


_FIRST_PROMPT = {
    Tool.POINT: "Click on an object.",
    Tool.BOX: "Drag a box around an object.",
    Tool.OUTLINE: "Draw around an object.",
    Tool.BRUSH: "Paint over an object.",
    Tool.ERASER: "Choose Point and click on an object.",
    Tool.PAN: "Choose Point and click on an object.",
}


def hint(state: DockState) -> Hint:
    """Return what the dock says on top.

    Parameters
    ----------
    state : DockState
        The snapshot; its own `hint` goes first, then problems, then work going on, then the next step.
    """
    if state.hint:
        return Hint(state.hint)
    return _obstacle(state) or _work(state) or Hint(_next_step(state))


def _obstacle(state: DockState) -> Hint | None:
    return _image_obstacle(state.image) or _model_obstacle(state.model)


def _image_obstacle(image: ImageState) -> Hint | None:
    if not image.layers:
        return Hint("Open an image to begin: drop one on the viewer, or File > Open Sample.")
    if image.loading:
        return Hint("Opening the image ...", HintKind.BUSY)
    if image.problem:
        return Hint("This image cannot be used as it is; the part Image says why.", HintKind.PROBLEM)
    return Hint("Choose an image layer.") if image.chosen is None else None


def _model_obstacle(model: ModelState) -> Hint | None:
    if model.problem:
        return Hint("This model cannot be used; the part Model says why.", HintKind.PROBLEM)
    if model.download is not None:
        until_then = f" Until then {model.answered_by} answers." if model.answered_by else ""
        return Hint(f"Downloading the model, {model.download:.0%} ...{until_then}", HintKind.BUSY)
    if model.needs_download and model.answered_by:
        chosen = model.names[model.chosen]
        return Hint(
            f"Answered by {model.answered_by} until {chosen} is downloaded. Press Download under Model, "
            f"or choose {model.answered_by}."
        )
    if model.needs_download:
        return Hint("Press Download under Model, or choose nano, which is at hand.")
    return None


def _work(state: DockState) -> Hint | None:
    if state.model.loading:
        until_then = f" Until then {state.model.answered_by} answers." if state.model.answered_by else ""
        return Hint(f"Reading the model's weights ...{until_then}", HintKind.BUSY)
    if state.progress.message:
        idle = state.progress.activity is Activity.IDLE
        return Hint(state.progress.message, HintKind.NEXT if idle else HintKind.BUSY)
    if state.progress.activity is Activity.PAUSED:
        return Hint("Paused. Press the triangle to go on.")
    if state.progress.activity is Activity.PROPAGATING:
        return Hint("Following the objects. Clicks go first; you can correct while it runs.", HintKind.BUSY)
    return None


def _next_step(state: DockState) -> str:
    rows = state.objects.rows
    if not any(row.prompts or row.frames for row in rows):
        recent = " Or go on with recent work, under Save and export." if state.files.recent else ""
        return f"{_first_prompt(state.tools)}{recent}"
    if state.tools.candidates > 1:
        shown = f"{state.tools.candidate + 1} of {state.tools.candidates}"
        return f"Not the mask you meant? Press “{shown}” for the next one."
    worst = min((row.worst for row in rows if row.worst is not None and not row.locked), default=1.0)
    if worst < DOUBTFUL:
        return "Go to the next doubtful frame: correct it, lock it, or end the object there."
    follows = state.progress.can_propagate and state.image.frames != 1  # a single image has nowhere to go
    if follows and any(row.frames <= row.prompts for row in rows):
        return "Press Propagate to follow the objects, or click on the next one."
    return "Click on the next object, correct where it is wrong, or export."


def _first_prompt(tools: ToolState) -> str:
    """Say how an object is begun with the tool in hand."""
    if Tool.POINT in tools.blocked_tools:
        return "Switch to the 2D view (Ctrl+Y) and click on an object."
    return _FIRST_PROMPT[tools.tool]
