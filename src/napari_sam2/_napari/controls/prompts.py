"""From what is drawn in the prompt layers to the session, and back."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from napari_sam2._napari.controls.candidates import CandidateControl
from napari_sam2._napari.layers.ids import check_allowed, next_id
from napari_sam2._napari.notices import sentence, tell, warn
from napari_sam2._napari.state import Tool, ToolState
from napari_sam2._napari.work.painting import Painting, Saying, Together, declare, take_frame
from napari_sam2._napari.work.worker import Fate, Priority
from napari_sam2.lineage import Daughters
from napari_sam2.prompts import FramePrompts, PromptKey, check_object_id, difference

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.layers.prompt_layers import PromptLayers
    from napari_sam2._napari.layers.strokes import Stroke
    from napari_sam2._napari.work.answers import Answer
    from napari_sam2._napari.workspace import Sequence, Workspace


class PromptControl:
    """Sends prompts and strokes to the session.

    Parameters
    ----------
    workspace : Workspace
        Whose layers and session.
    before : callable
        Called before the first prompt is sent: freezes what the network sees.
    answered : callable
        Called with the object and the frame of every answered prompt.
    """

    def __init__(
        self, workspace: Workspace, before: Callable[[], None], answered: Callable[[PromptKey], None]
    ) -> None:
        self._space = workspace
        self._before, self._answered = before, answered
        self._tool = Tool.POINT
        self._positive = True
        self._each_click_new = self._told_hidden = False
        self.candidates = CandidateControl(workspace, self.set_prompts)
        self._sisters: dict[int, int] = {}
        self._first_ones: dict[int, int] = {}

    def attach(self, layers: PromptLayers) -> None:
        """Listen to new prompt layers, with Point at hand so that the first click works."""
        layers.prompts_changed.connect(self.send)
        layers.strokes.connect(self.paint)
        layers.active_changed.connect(self._follow_active)
        layers.tool_changed.connect(self._follow_tool)
        layers.sign_changed.connect(self._follow_sign)
        layers.clicked_object.connect(self.activate)
        self._sisters, self._first_ones = {}, {}
        layers.set_each_click_new(self._each_click_new)
        layers.is_elsewhere = self._is_elsewhere
        layers.search.holds_back = lambda: any(each.paintings for each in self._space.touched())
        self.activate(1)
        layers.set_positive(self._positive)
        self.choose_tool(Tool.POINT)

    def send(
        self,
        declared: Mapping[PromptKey, FramePrompts],
        unmeant: Collection[PromptKey] = (),
        *,
        certain: Collection[PromptKey] = (),
    ) -> None:
        """Send what differs from what was sent before.

        What is certain counts whatever is there; of a click that was not meant nothing stays, if that can be.
        """
        sequence = self._space.sequence
        if sequence is None:
            return
        wanted = difference(sequence.declared, declared)
        if wanted.is_empty:
            return
        self._before()
        self._space.prompted.emit({key.obj for key in wanted.changed})
        sequence.declared = dict(declared)
        keys = (*wanted.removed, *wanted.changed)
        together = Together(len(keys)) if len(keys) > 1 else None
        for key in keys:
            prompts = wanted.changed.get(key, FramePrompts())
            known = sequence.known_before(key)
            self._send_one(sequence, Saying(key, prompts, known, key in certain, key in unmeant, together))
        self._go_on({key.obj for key in wanted.changed})

    def expect(self, daughters: Daughters) -> None:
        """Make a daughter active; where each click is a new object, the next click is the other one's."""
        self._sisters[daughters.first] = daughters.second
        self.activate(daughters.first)

    def _go_on(self, prompted: set[int]) -> None:
        """Make the other daughter active after a click on the first, where each click is a new object."""
        active, sequence = self._space.active, self._space.sequence
        sister = self._sisters.pop(active, None) if active in prompted else None
        declared = () if sequence is None else sequence.declared
        if sister and self._each_click_new and not any(key.obj == sister for key in declared):
            self._first_ones[sister] = active
            self.activate(sister)

    def go_back(self) -> None:
        """Expect a click on the first daughter again, where hers was taken back and the other has none."""
        second, sequence = self._space.active, self._space.sequence
        first = self._first_ones.get(second)
        if sequence is None or first is None or not {first, second} <= sequence.objects:
            return
        if not any(key.obj in {first, second} for key in sequence.declared):
            self.expect(Daughters(first, second))

    def _expect_again(self, sequence: Sequence) -> None:
        """Let the other daughter follow on the first one again, where neither has a click."""
        said = {key.obj for key in sequence.declared}
        for second, first in self._first_ones.items():
            if {first, second} <= sequence.objects and said.isdisjoint({first, second}):
                self._sisters[first] = second

    def set_prompts(self, obj: int, frame: int, prompts: FramePrompts) -> None:
        """Say all that is said of an object on a frame, as a script does."""
        sequence, layers = self._space.sequence, self._space.layers
        if sequence is None or layers is None:
            raise RuntimeError("There is no image to work on: choose an image layer first.")
        key = _checked(obj, frame, prompts, sequence.geometry)
        check_allowed(key.obj, self._space.objects)
        for painting in sequence.paintings:  # it knows what it says
            painting.known.pop(key, None)
        declared = {other: each for other, each in sequence.declared.items() if other != key}
        if not prompts.is_empty:
            declared[key] = prompts
        layers.show_prompts(declared)
        self.send(declared, certain=[key])

    def freeze(self) -> None:
        """Freeze what the network sees, before anything is said."""
        self._before()

    def _send_one(self, sequence: Sequence, saying: Saying) -> None:
        key = saying.key
        heard = partial(sequence.heard, key, sequence.wait_for(key))
        self._space.ask(
            partial(declare, tuple(sequence.paintings), sequence.said, saying),
            partial(self._take, sequence, saying, heard),
            priority=Priority.CLICK,
            key=key,
            label=f"Looking at frame {key.frame}",
            failed=lambda _: self._refuse(sequence, heard),
            sequence=sequence,
            fate=Fate.DONE,
        )

    def _refuse(self, sequence: Sequence, heard: Callable[[], None]) -> None:
        heard()
        self._show_painted(sequence)

    def _take(self, sequence: Sequence, saying: Saying, heard: Callable[[], None], answer: Answer) -> None:
        key = saying.key
        heard()
        if self._space.layers is not None:
            self._space.layers.set_next_object(self.next_object())
        self.candidates.note(sequence, key, answer)
        self._tell_of_nothing(sequence, key, answer)
        self._tell_if_hidden()
        if sequence.known_before(key) is not None:
            self._show_painted(sequence)
        elif not sequence.shows(key):
            self.show(sequence)
        # What spreads is what is shown; the slider may have gone on since the click.
        if saying.is_unmeant:
            self._expect_again(sequence)
        elif sequence is self._space.sequence and not self._space.worker.waits(Priority.CLICK):
            self._answered(key)

    def _tell_of_nothing(self, sequence: Sequence, key: PromptKey, answer: Answer) -> None:
        """Say why nothing is seen of an object, and what follows where it is seen on other frames."""
        prompts, result = sequence.picture.prompts, answer.result
        said = prompts.get(key)
        if said is None or said.says_absent or result is None:
            return
        if any(p.pixel_box() for p in result.placed):
            if sequence.picture.summary.is_covered(key.obj, key.frame):
                tell(
                    f"Other objects cover all of object {key.obj} on frame {key.frame}: locked and painted "
                    "masks keep their pixels. Unlock them, or undo the prompt."
                )
            return
        if any(other.obj == key.obj and other != key for other in prompts):
            tell(
                f"Nothing is left of object {key.obj} on frame {key.frame}, so it is not tracked through it. "
                "Undo brings it back; a click on the object shows where it is."
            )

    def _tell_if_hidden(self) -> None:
        """Say once why no mask is to be seen, where the layer of masks was hidden."""
        labels = None if self._space.layers is None else self._space.layers.labels
        hidden = labels is not None and not (labels.visible and labels.opacity)
        if hidden and not self._told_hidden and labels is not None:
            tell(f"The layer “{labels.name}” is hidden: show it in the list of layers to see masks.")
        self._told_hidden = hidden

    def paint(self, strokes: tuple[Stroke, ...], geometry: SequenceGeometry) -> None:
        """Take what was painted into the Labels layer as masks, in one step of undo.

        Of many frames, as a brush in 3-D paints them, one is taken at a time, and clicks go between.
        A script may paint at another position than the one that is shown.
        """
        if self._space.sequence is None:
            return
        self._before()
        sequence = self._space.at_index(geometry.index)
        self._space.prompted.emit({stroke.obj for stroke in strokes if not stroke.overpainted})
        painting = Painting(strokes, sequence.declared, sequence.behind)
        sequence.paintings.append(painting)
        paintings, end = tuple(sequence.paintings), partial(self._painted, sequence, painting)
        for frame in painting.frames:
            last = frame == painting.frames[-1]
            self._space.ask(
                partial(take_frame, paintings, frame),
                end if last else None,
                priority=Priority.EDIT if frame != painting.frames[0] else Priority.CLICK,
                label="Taking the stroke",
                failed=end if last else None,
                sequence=sequence,
                fate=Fate.DONE,
            )

    def _painted(self, sequence: Sequence, painting: Painting, _: object) -> None:
        painting.ended = True
        self._show_painted(sequence)
        self._tell_of_refusals(painting)
        if sequence is self._space.sequence and not painting.is_refused(painting.last.obj):
            self._answered(painting.last)

    def _show_painted(self, sequence: Sequence) -> None:
        """Let the layers know the masks that the session has; a painting is done when they do."""
        self.show(sequence)
        sequence.paintings = [
            each
            for each in sequence.paintings
            if not each.ended or not each.known.keys().isdisjoint(sequence.waiting)
        ]
        if self._space.layers is not None:
            self._space.layers.search.go_on()

    def _tell_of_refusals(self, painting: Painting) -> None:
        """Say why strokes were put back; errors that nobody foresaw are told as those of any other work."""
        if painting.locked:
            objects = ", ".join(str(obj) for obj in painting.locked)
            several = len(painting.locked) > 1
            who, them = (f"Objects {objects} are", "them") if several else (f"Object {objects} is", "it")
            warn(f"{who} locked here, the stroke was put back: unlock {them} to change {them}.")
        for error in painting.errors:
            if isinstance(error, ValueError):
                warn(f"{sentence(error)}. The stroke was put back.")
            else:
                self._space.fail(error)

    def show(self, sequence: Sequence) -> None:
        """Draw the prompts that a session has: after undo, loading, or an error.

        If the slider has gone on to another position meanwhile, they are drawn when it comes back.
        """
        layers = self._space.layers
        sequence.take_prompts()
        if sequence is not self._space.sequence or layers is None:
            return
        layers.show_prompts(sequence.declared)
        layers.set_next_object(self.next_object())
        self.candidates.forget_gone(sequence)

    # --- tool, sign, object

    def choose_tool(self, tool: Tool) -> None:
        """Put a tool into the hand."""
        if self._space.layers is not None:
            self._space.layers.set_tool(tool)
            tool = self._space.layers.tools.tool  # another one where it cannot be used in this view
        self._follow_tool(tool)

    def _follow_tool(self, tool: Tool) -> None:
        self._tool = tool
        self._space.changed.emit()

    def choose_sign(self, positive: bool) -> None:
        """Make the next points positive or negative."""
        if self._space.layers is not None:
            self._space.layers.set_positive(positive)
        self._follow_sign(positive)

    def _follow_sign(self, positive: bool) -> None:
        self._positive = positive
        self._space.changed.emit()

    def toggle_sign(self) -> None:
        """Switch between positive and negative points."""
        self.choose_sign(not self._positive)

    def choose_each_click_new(self, on: bool) -> None:
        """Make each click an object of its own, or refine the active one."""
        self._each_click_new = on
        if self._space.layers is not None:
            self._space.layers.set_each_click_new(on)
        self._space.changed.emit()

    def activate(self, obj: int) -> None:
        """Make an object the active one, everywhere."""
        if obj < 1:
            return
        if self._space.layers is not None:
            self._space.layers.set_active(obj)
        self._follow_active(obj)

    def _follow_active(self, obj: int) -> None:
        self._space.active = obj
        self._space.changed.emit()

    def next_object(self) -> int:
        """Return the lowest id above those that are in use."""
        return next_id(self.used_ids())

    def used_ids(self) -> set[int]:
        """Return the ids of the sessions and of prompts that wait to be answered."""
        return {*self._space.objects, self._space.reserved}

    def _is_elsewhere(self, obj: int) -> bool:
        """Whether an object is there at another position, so that in a crowd a click here begins another."""
        return obj in self._space.objects_elsewhere()

    def new_object(self) -> None:
        """Begin a new object, with Point at hand."""
        if self._space.layers is not None:
            self._space.layers.end_drawing()
        self.activate(self.next_object())
        self.choose_sign(True)
        self.choose_tool(Tool.POINT)

    @property
    def positive(self) -> bool:
        """Whether the next point is positive."""
        return self._positive

    @property
    def each_click_new(self) -> bool:
        """Whether each click is a new object."""
        return self._each_click_new

    def object_of_click(self, frame: int, y: float, x: float) -> int:
        """Return whose a click would be: the active object's, or a new one's in a crowd."""
        active, sequence, layers = self._space.active, self._space.sequence, self._space.layers
        if sequence is None or layers is None or not (self._each_click_new and self._positive):
            return active
        if not any(key.obj == active for key in sequence.declared):
            return self.next_object() if self._is_elsewhere(active) else active
        shown = sequence.geometry.frames_of(layers.labels.data)[frame]
        pixel = tuple(min(round(at), size - 1) for at, size in zip((y, x), shown.shape, strict=True))
        return active if shown[pixel] == active else self.next_object()

    def state(self) -> ToolState:
        """Return what the dock shows of the tools."""
        layers, choice = self._space.layers, self.candidates.shown()
        return ToolState(
            tool=self._tool,
            positive=self._positive,
            each_click_new=self._each_click_new,
            blocked="" if layers is None else layers.tools.blocked_reason(),
            blocked_tools=frozenset() if layers is None else layers.tools.blocked_tools(),
            candidates=choice.count,
            candidate=choice.shown,
        )


def _checked(obj: int, frame: int, prompts: FramePrompts, geometry: SequenceGeometry) -> PromptKey:
    """Return the place of a script's prompts; ValueError if they are outside of the sequence."""
    if not 0 <= frame < geometry.num_frames:
        raise ValueError(f"there is no frame {frame}: the image has frames 0 to {geometry.num_frames - 1}")
    prompts.check_frame(geometry.frame_shape)
    return PromptKey(check_object_id(obj), frame)
