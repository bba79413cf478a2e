"""What is being worked on, as the GUI thread knows it, and the way to the inference thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from napari.layers import Image
from psygnal import Signal

from napari_sam2._napari.image.source import base_level
from napari_sam2._napari.notices import show_failure
from napari_sam2._napari.work.answers import Answer, Picture
from napari_sam2._napari.work.desk import Desk
from napari_sam2._napari.work.model_box import ModelBox
from napari_sam2._napari.work.versions import OTHER_MODEL, OTHER_VIEW
from napari_sam2._napari.work.worker import Fate, InferenceWorker, Origin, Priority
from napari_sam2.changes import LabelChange
from napari_sam2.placement import Box

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from napari.viewer import Viewer

    from napari_sam2._napari.image.geometry import SequenceGeometry
    from napari_sam2._napari.image.network_view import View
    from napari_sam2._napari.layers.prompt_layers import PromptLayers
    from napari_sam2._napari.work.painting import Painting
    from napari_sam2.prompts import FramePrompts, PromptKey


@dataclass(eq=False)
class Sequence:
    """Frames along one axis at one position of the others: a session, and what is known of it here.

    Attributes
    ----------
    geometry : SequenceGeometry
        Where it lies in the image.
    desk : Desk
        Its session, on the inference thread.
    view : View
        What the network sees of it.
    picture : Picture
        The session as it was last told.
    declared : dict
        Prompts of the layers that were sent.
    is_open : bool
        Whether its session was asked for.
    has_failed : bool
        Whether it could not be opened when that was tried last.
    waiting : dict
        Prompts that were sent and not answered yet, each with a token of its own.
    said : dict
        What the session heard last of the layers, or they of it; of those that wait the inference thread
        writes it.
    paintings : list of Painting
        What was painted and the layers do not know as prompts yet, in order.
    is_seeded : bool
        Whether seeds are being said.
    is_coming : bool
        Whether other work is being read for it.
    is_left : bool
        Whether nobody works on it any more; what was said of it last may still be answered.
    behind : frozenset of int
        Frames with labels that have changed and were not told yet.
    lost : set of str
        What the user was told then: clicks that fail alike are told of once.
    """

    geometry: SequenceGeometry
    desk: Desk
    view: View
    picture: Picture = field(default_factory=Picture)
    declared: Mapping[PromptKey, FramePrompts] = field(default_factory=dict)
    is_open: bool = False
    has_failed: bool = False
    waiting: dict[PromptKey, object] = field(default_factory=dict)
    said: dict[PromptKey, FramePrompts] = field(default_factory=dict)
    paintings: list[Painting] = field(default_factory=list)
    is_seeded: bool = False
    is_coming: bool = False
    is_left: bool = False
    behind: frozenset[int] = frozenset()
    lost: set[str] = field(default_factory=set)

    @property
    def is_touched(self) -> bool:
        """Whether anything was said of it, also what was taken back since: undo or redo leads to it."""
        steps = self.picture.undo_label or self.picture.redo_label
        return bool(self.objects or steps or self.waits)

    @property
    def waits(self) -> bool:
        """Whether anything that was said of it was not answered yet."""
        return bool(self.waiting or self.paintings or self.is_seeded or self.is_coming)

    @property
    def objects(self) -> set[int]:
        """Ids of its objects, those among them of which the session has not heard yet."""
        return {*self.picture.objects, *(key.obj for key in self.declared), *self._painted}

    @property
    def names(self) -> dict[int, str]:
        """Names of its objects, by id, of those that have one."""
        return {row.obj: row.name for row in self.picture.summary.rows if row.name}

    @property
    def answered_objects(self) -> set[int]:
        """Ids of its objects, less those that its layers still show after they have gone."""
        return {*self.picture.objects, *(key.obj for key in self.waiting), *self._painted}

    @property
    def _painted(self) -> set[int]:
        """Ids of objects whose strokes were not answered yet."""
        return {key.obj for painting in self.paintings for key in painting.known}

    def take(self, answer: Answer) -> None:
        """Note what is told of the session, and what another one in its place sees."""
        if answer.picture is not None:
            self.picture = answer.picture
        if answer.replaced is not None:
            self.view = answer.replaced.view
        if answer.behind is not None:
            self.behind = answer.behind

    def rest(self) -> tuple[LabelChange, ...]:
        """Return what the session has on frames of which it was not told, for whoever cannot wait."""
        session = self.desk.session
        if session is None:
            return ()
        box = Box(0, 0, *self.geometry.frame_shape)
        return tuple(LabelChange(frame, box, session.pixels(frame)) for frame in sorted(self.behind))

    def take_prompts(self) -> None:
        """Note that the layers show the session's prompts, beside those of which it has not heard yet."""
        heard = {key: each for key, each in self.picture.prompts.items() if key not in self.waiting}
        self.declared = heard | {key: each for key, each in self.declared.items() if key in self.waiting}
        for key in self.said.keys() - self.waiting.keys() - heard.keys():
            del self.said[key]
        self.said.update(heard)

    def shows(self, key: PromptKey) -> bool:
        """Tell whether the layers say what the session has, or have still to be answered."""
        return key in self.waiting or self.picture.prompts.get(key) == self.declared.get(key)

    def known_before(self, key: PromptKey) -> FramePrompts | None:
        """Return what was said where a mask was painted of which the layers do not know yet; else None."""
        known = [painting.known[key] for painting in self.paintings if key in painting.known]
        return known[-1] if known else None

    def wait_for(self, key: PromptKey) -> object:
        """Note that prompts are sent, and return the token for `heard`."""
        token = self.waiting[key] = object()
        return token

    def heard(self, key: PromptKey, token: object) -> None:
        """Note that prompts were answered, or refused, unless others were sent since."""
        if self.waiting.get(key) is token:
            del self.waiting[key]


class Workspace:
    """One image, its prompt layers and its sequences.

    Parameters
    ----------
    viewer : Viewer
        Where the layers are.
    worker : InferenceWorker
        Runs everything that touches a session.

    Attributes
    ----------
    image : Image or None
        The layer that is worked on.
    layers : PromptLayers or None
        The plugin's own layers over it.
    sequence : Sequence or None
        The one that is shown.
    model : ModelBox
        The network.
    active : int
        The active object.
    reserved : int
        Ids up to this one are promised to objects that are still to come.
    touched : callable
        Returns the sequences of which something was said, at all positions.
    at_index : callable
        Returns the sequence at positions of the other axes, with its session asked for.
    changed : SignalInstance
        Something that the dock shows has changed.
    answered : SignalInstance
        A sequence got an `Answer`.
    interrupted : SignalInstance
        What a propagation of a sequence, or of any where it is None, is at is about to change under it: it
        has to end.
    prompted : SignalInstance
        Something is about to be said of these objects.
    loaded : SignalInstance
        A session that was saved has taken the place of a sequence's own.
    """

    changed = Signal()
    answered = Signal(Sequence, Answer)
    interrupted = Signal(object)
    prompted = Signal(set)
    loaded = Signal(Sequence)

    def __init__(self, viewer: Viewer, worker: InferenceWorker) -> None:
        self.viewer = viewer
        self.worker = worker
        self.image: Image | None = None
        self.layers: PromptLayers | None = None
        self.sequence: Sequence | None = None
        self.model = ModelBox()
        self.active = 1
        self.reserved = 0
        self.touched: Callable[[], tuple[Sequence, ...]] = tuple
        self.at_index: Callable[[Mapping[int, int]], Sequence] = _nowhere
        self.fail: Callable[[Exception], None] = show_failure

    @property
    def picture(self) -> Picture:
        """What is known of the session that is shown."""
        return Picture() if self.sequence is None else self.sequence.picture

    def place_of_step(self, label: Callable[[Picture], str]) -> Sequence | None:
        """Return where a step back or forth, named by `label`, is taken: here, unless there is none.

        A step to another view or network, which is one at all positions, is taken where something was said.
        """
        shown = self.sequence
        if shown is not None and not shown.waits and not label(shown.picture):
            others = (each for each in self.touched() if label(each.picture) in {OTHER_VIEW, OTHER_MODEL})
            return next(others, shown)
        return shown

    def arrays(self) -> dict[str, Any]:
        """Return the pixels of all image layers, by name."""
        return {layer.name: base_level(layer) for layer in self.viewer.layers if type(layer) is Image}

    @property
    def objects(self) -> set[int]:
        """Ids of all objects, at all positions, those among them that wait to be answered."""
        here = set() if self.sequence is None else self.sequence.objects
        return here | self.objects_elsewhere()

    def objects_elsewhere(self, sequence: Sequence | None = None) -> set[int]:
        """Return the ids of objects at other positions than that of a sequence, by default the shown one."""
        here = sequence or self.sequence
        return {obj for each in self.touched() if each is not here for obj in each.objects}

    def give_cache(self, sequence: Sequence, cache_bytes: int) -> None:
        """Let a session keep so many bytes of image features; that of its newest frame stays in any case."""
        if sequence.is_open:
            self.ask(
                partial(Desk.keep_features, cache_bytes=cache_bytes),
                priority=Priority.AHEAD,
                key="cache",
                sequence=sequence,
            )

    def catch_up(self, *_news: object) -> None:
        """Hear of all that was said and painted until now, for whoever does not wait for the next turn."""
        if self.layers is not None:
            self.layers.tell()

    @property
    def is_at_rest(self) -> bool:
        """Whether all that was asked for is done and shown, less what a stroke holds back."""
        writes = self.layers is not None and self.layers.writer.is_at_work
        return self.worker.is_idle and not writes

    @property
    def frame(self) -> int:
        """The frame that is shown."""
        if self.sequence is None or self.layers is None:
            return 0
        return self.sequence.geometry.frame_of(self.viewer.dims, self.layers.labels)

    def go_to(self, frame: int) -> None:
        """Show a frame."""
        if self.sequence is None or self.layers is None:
            return
        geometry, layer = self.sequence.geometry, self.layers.labels
        axis = geometry.frame_axis
        if axis is None:
            return
        height, width = geometry.frame_shape
        world = layer.data_to_world(geometry.to_layer(frame, (height - 1) / 2, (width - 1) / 2))
        dims_axis = self.viewer.dims.ndim - geometry.ndim + axis
        self.viewer.dims.set_point(dims_axis, float(world[-geometry.ndim + axis]))

    def ask(
        self,
        work: Callable[[Desk], Answer | Generator[Priority | None, None, Answer]],
        done: Callable[[Answer], None] | None = None,
        *,
        priority: Priority = Priority.EDIT,
        key: Any = None,  # noqa: ANN401 - hashable
        label: str = "",
        failed: Callable[[Exception], None] | None = None,
        sequence: Sequence | None = None,
        fate: Fate = Fate.DROPPED,
        in_order: bool = False,
    ) -> None:
        """Do something to a session, on the inference thread.

        Parameters
        ----------
        work : callable
            Gets the desk there; a generator is done step by step.
        done : callable, optional
            Gets the answer here, after labels and picture were taken over.
        priority, key
            As for `InferenceWorker.submit`.
        label : str
            What is being done, for the user.
        failed : callable, optional
            Gets the error, after the user was told.
        sequence : Sequence, optional
            Whose session; by default the one that is shown.
        fate : Fate
            What becomes of it when its image is left, or the dock closed.
        in_order : bool
            Whether clicks that come later wait for it.
        """
        sequence = sequence or self.sequence
        if sequence is None:
            self.fail(RuntimeError("There is no image to work on: choose an image layer first."))
            return
        if sequence is self.sequence:
            sequence.desk.frame = self.frame
        self.worker.submit(
            partial(work, sequence.desk),
            partial(self.take, sequence, done),
            Origin(sequence, label, partial(self._failed, sequence, failed), fate, in_order),
            priority=priority,
            key=key,
        )
        self.changed.emit()

    def track(
        self,
        steps: Callable[[Desk], Iterator[Answer | None]],
        item: Callable[[Answer], None],
        ended: Callable[[], None],
        failed: Callable[[Exception], None],
        sequence: Sequence,
    ) -> None:
        """Take steps of a propagation of a sequence, whenever nothing else waits."""
        self.worker.stream(
            _lazily(steps, sequence.desk),
            partial(self.take, sequence, item),
            ended,
            Origin(sequence, "Propagating", partial(self._failed, sequence, failed)),
        )

    def take(self, sequence: Sequence, done: Callable[[Answer], None] | None, answer: Answer) -> None:
        """Take over what was written, then tell whoever asked."""
        if answer.behind and not sequence.is_left:
            self.ask(Desk.write_on, key="write on", sequence=sequence)
        if answer.changes and self.layers is not None and not sequence.is_left:
            self.layers.write(answer.changes, sequence.geometry)
        sequence.take(answer)
        self.answered.emit(sequence, answer)
        if done is not None:
            done(answer)
        self.changed.emit()

    def _failed(
        self, sequence: Sequence, failed: Callable[[Exception], None] | None, error: Exception
    ) -> None:
        if not sequence.is_left:
            self.fail(error)
            if failed is not None:
                failed(error)
        elif str(error) not in sequence.lost:
            sequence.lost.add(str(error))
            self.fail(error)
        self.changed.emit()


def _nowhere(_index: Mapping[int, int]) -> Sequence:
    raise RuntimeError("There is no image to work on: choose an image layer first.")


def _lazily(steps: Callable[[Desk], Iterator[Answer | None]], desk: Desk) -> Iterator[Answer | None]:
    """Begin the steps on the thread that takes the first one."""
    yield from steps(desk)
