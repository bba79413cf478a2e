"""What is done before it is asked for: features of the shown frame, the mask under the cursor, live."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam2._napari.controls.next_prompts import with_point
from napari_sam2._napari.layers.finding import camera_of, place_in_view
from napari_sam2._napari.layers.outline import Outline
from napari_sam2._napari.wiring import Connections, Later
from napari_sam2._napari.work.answers import Answer
from napari_sam2._napari.work.worker import Priority
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.steps import until_ended

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_sam2._napari.controls.prompts import PromptControl
    from napari_sam2._napari.controls.sequence import SequenceControl
    from napari_sam2._napari.controls.tracking import TrackingControl
    from napari_sam2._napari.layers.prompt_layers import PromptLayers
    from napari_sam2._napari.work.desk import Desk
    from napari_sam2._napari.workspace import Workspace

# A frame on which the user has rested so long is prepared, in milliseconds.
REST = 150


class AheadControl:
    """Works ahead of the user.

    Parameters
    ----------
    workspace : Workspace
        Whose session.
    prompts : PromptControl
        What the next click would be.
    tracking : TrackingControl
        Spreads clicks.
    sequences : SequenceControl
        Opens the session that is shown.
    by_default : callable
        Whether clicks spread by themselves unless the user says otherwise.
    """

    def __init__(
        self,
        workspace: Workspace,
        prompts: PromptControl,
        tracking: TrackingControl,
        sequences: SequenceControl,
        by_default: Callable[[], bool],
    ) -> None:
        self._space = workspace
        self._prompts, self._tracking = prompts, tracking
        self._sequences, self._by_default = sequences, by_default
        self._chosen: bool | None = None
        self._outline: Outline | None = None
        self._hovering = 0
        self._cursor: tuple[int, float, float] | None = None
        self._shown_for: tuple[int, bool] = (0, True)
        workspace.changed.connect(self._follow)
        self._rest = Later(self._rested, REST, restart=True)
        self._rest_there = Later(self._prepare, REST, restart=True)
        self._camera = Connections()

    def attach(self, layers: PromptLayers) -> None:
        """Listen to new prompt layers."""
        if self._space.image is not None:
            self._outline = Outline(self._space.viewer, self._space.image)
        layers.hovered.connect(self.hover)
        layers.unhovered.connect(self.leave)
        self._camera.connect(camera_of(self._space.viewer).events.center, self._turned)
        self._rest.ask()

    def detach(self) -> None:
        """Give the layers up."""
        self.leave()
        self._camera.close()
        if self._outline is not None:
            self._outline.close()
            self._outline = None

    # --- the frame that is shown

    def moved(self) -> None:
        """Wait until the user rests on a frame."""
        self.leave()
        self._rest.ask()

    def _turned(self, _event: object = None) -> None:
        """Wait until the user rests on another part of the frame."""
        self._rest_there.ask()

    def _rested(self) -> None:
        """Work ahead on the frame that is shown."""
        self._sequences.open_ahead()
        if self._prepare():
            self._prompts.candidates.look()

    def _prepare(self) -> bool:
        """Compute the features where the user looks, also between the steps of a propagation."""
        sequence, layers = self._space.sequence, self._space.layers
        if sequence is None or layers is None:
            return False
        frame = self._space.frame
        place = self._cursor_on(frame) or place_in_view(self._space.viewer, layers.labels, sequence.geometry)
        self._space.ask(
            lambda desk: desk.prepare(frame, place),
            self._prepared,
            priority=Priority.AHEAD,
            key="prepare",
            label=f"Preparing frame {frame}",
        )
        return True

    def _cursor_on(self, frame: int) -> tuple[float, float] | None:
        """Where the cursor rests on a frame."""
        return self._cursor[1:] if self._cursor is not None and self._cursor[0] == frame else None

    def _prepared(self, answer: Answer) -> None:
        """Show the mask under a cursor that rests where nothing could be shown before."""
        if answer.value and self._cursor is not None:
            self.hover(*self._cursor)

    # --- the mask under the cursor

    def hover(self, frame: int, y: float, x: float) -> None:
        """Show the mask that a click here would give, if that goes quickly."""
        sequence, layers = self._space.sequence, self._space.layers
        if sequence is None or layers is None:
            return
        self._hovering += 1
        self._cursor, self._shown_for = (frame, y, x), self._next_click
        obj, prompts = self._wanted(frame, y, x)
        number = self._hovering
        self._space.ask(
            partial(self._while_it_rests, number, lambda desk: desk.preview(obj, frame, prompts)),
            partial(self._show, number, obj, frame),
            priority=Priority.AHEAD,
            key="hover",
        )

    def _while_it_rests(
        self, number: int, work: Callable[[Desk], Generator[None, None, Answer]], desk: Desk
    ) -> Generator[None, None, Answer]:
        """Take steps, on the inference thread, until the cursor has gone on."""
        return (yield from until_ended(work(desk), lambda: number != self._hovering)) or Answer()

    @property
    def _next_click(self) -> tuple[int, bool]:
        """Of which object the next click is, and which sign it has."""
        return self._space.active, self._prompts.positive

    def _follow(self) -> None:
        """Show another mask under a cursor that rests, where a click would make another one now."""
        if self._cursor is not None and self._shown_for != self._next_click:
            self.hover(*self._cursor)

    def _wanted(self, frame: int, y: float, x: float) -> tuple[int, FramePrompts]:
        """Return whose a click here would be, and the prompts that it would make."""
        key = PromptKey(self._prompts.object_of_click(frame, y, x), frame)
        sequence = self._space.sequence
        before = None if sequence is None else sequence.declared.get(key)
        positive = self._prompts.positive
        return key.obj, with_point(before or FramePrompts(), y, x, positive=positive)

    def _show(self, number: int, obj: int, frame: int, answer: Answer) -> None:
        """Show an answer, unless the cursor has gone on."""
        layers, sequence = self._space.layers, self._space.sequence
        if number != self._hovering or layers is None or sequence is None or self._outline is None:
            return
        if answer.result is None:
            self._outline.clear()
            self._rest_there.ask()  # it may lie in a part of a large frame that was not looked at yet
        else:
            placed = answer.result.mask_of(obj)
            self._outline.show(frame, placed, sequence.geometry, layers.colours.colour(obj))

    def leave(self) -> None:
        """Show no outline any more."""
        self._hovering += 1
        self._cursor = None
        self._rest_there.cancel()
        if self._outline is not None:
            self._outline.clear()

    # --- live

    @property
    def live(self) -> bool:
        """Whether clicks spread by themselves."""
        return self._by_default() if self._chosen is None else self._chosen

    def choose_live(self, on: bool) -> None:
        """Let clicks spread by themselves, or not."""
        self._chosen = on
        self._space.changed.emit()

    def answered(self, key: PromptKey) -> None:
        """Let an answered prompt spread, or let the propagation that is under way go on."""
        self.leave()
        prompts = self._space.picture.prompts.get(key)
        covered = self._tracking.covers(self._space.sequence, key.obj)
        if self.live and not covered and prompts is not None and not prompts.says_absent:
            self._tracking.spread(key)

    def close(self) -> None:
        """Do nothing any more."""
        self._space.changed.disconnect(self._follow)
        self._rest.close()
        self._rest_there.close()
        self.detach()
