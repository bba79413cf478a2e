"""How many actions eighty nuclei take until each of them is segmented: run by hand, it takes minutes.

    xvfb-run -a -s "-screen 0 1600x1200x24" python -m tests.benchmarks.bench_actions
    ... --nuclei 20 --model sam2.1-tiny
    ... --data STACK.npz

The dock is driven in the real viewer by events of mouse and keys, on a made-up stack with truth, or on a
real one in an .npz file with the arrays `images` and `labels`. Each of these is an action: a click on the
image, a drag of the slider's handle, a key, a button, a click in the review strip (it goes to a frame and
makes its object the active one), a notch of the wheel over the strip or the dock. Stack and dock are opened
by calls, and so is a model chosen that the dock does not begin with; that is not counted. Objects are
clicked on few slices, one after the other; the next click comes as soon as the one before is answered. Then
each object that is not good enough is corrected by a click where most of its pixels are wrong, which is what
one sees first, again and again. With *Live*, which is on with nano, frames are tracked by themselves;
without, *Propagate* is pressed.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt

from napari_sam2._napari.settings import Settings
from napari_sam2._napari.widget import Sam2Widget
from napari_sam2.metrics import Click, correction_click, innermost_point, jaccard
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.samples import SampleSequence, nuclei_stack
from scripts.hand import CONTROL, PLAIN, SHIFT, Hand
from tests._napari.dock import until

GOOD, PATIENCE = 0.7, 5
# An object is clicked where it is at least so large, as a share of its largest slice.
LARGE = 0.6
LONG = 3600.0


class Person:
    """Somebody at mouse and keyboard.

    Parameters
    ----------
    stack : SampleSequence
        What is to be segmented.
    model : str
        Name of the network in the dock.
    """

    def __init__(self, stack: SampleSequence, model: str) -> None:
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1400, 1000)
        self.image = self.viewer.add_image(stack.images, name="nuclei", scale=stack.scale)
        self.widget = Sam2Widget(self.viewer, Settings(autosave=False))
        self.viewer.window.add_dock_widget(self.widget, name="SAM 2")
        self.hand = Hand(self.viewer)
        self.ids: dict[int, int] = {}
        self.corrected: list[int] = []
        self._space = self.widget.controller.space
        self._choose(model)
        self.widget.wait()
        self.hand.rest(500)
        self.viewer.reset_view()
        self.hand.rest(100)

    def _choose(self, model: str) -> None:
        view = self.widget.view
        shown = view.shown().model
        if shown.names[shown.chosen] != model:
            view.model.model_chosen.emit(shown.names.index(model))

    @property
    def live(self) -> bool:
        """Whether frames are tracked by themselves."""
        return self.widget.controller.ahead.live

    @property
    def frame(self) -> int:
        """The frame that is shown."""
        return self._space.frame

    @property
    def labels(self) -> NDArray[Any]:
        """What the Labels layer shows."""
        layers = self._space.layers
        if layers is None:
            raise RuntimeError("the dock has no layers")
        shown: NDArray[Any] = layers.labels.data
        return shown

    def click(self, y: float, x: float, keys: Qt.KeyboardModifier = PLAIN) -> None:
        """Click on the image, and wait until that is answered."""
        before = dict(self._space.picture.prompts)
        self.hand.click(self.image.data_to_world((self.frame, y, x))[-2:], keys)
        until(lambda: self._said() != _points(before), LONG)

    def _said(self) -> dict[PromptKey, int]:
        return _points(self._space.picture.prompts)

    def begin(self, obj: int, y: float, x: float) -> None:
        """Click on an object that was not clicked on before."""
        active = self._space.active
        if self.labels[self.frame, round(y), round(x)] == active:  # it would refine the one before
            self.hand.key(Qt.Key.Key_N)
        self.click(y, x)
        self.ids[obj] = self._space.active

    def track(self) -> None:
        """Wait for what is tracked by itself, or ask for it."""
        if not self.live:
            self.hand.key(Qt.Key.Key_G)
        self.widget.wait()

    def visit(self, obj: int, frame: int) -> None:
        """Go to an object's cell of the review strip."""
        self.hand.visit(self.ids[obj], frame)
        if (self._space.active, self.frame) != (self.ids[obj], frame):
            raise RuntimeError(f"the strip led to object {self._space.active} on frame {self.frame}")

    def correct(self, obj: int, click: Click) -> None:
        """Click on what is missing or too much."""
        self.click(click.y, click.x, CONTROL if click.positive else SHIFT)
        self.corrected.append(obj)


def _points(prompts: Any) -> dict[PromptKey, int]:
    said: dict[PromptKey, FramePrompts] = dict(prompts)
    return {key: len(each.points) for key, each in said.items()}


def first_frames(truth: NDArray[np.uint16]) -> dict[int, list[int]]:
    """Choose few slices on which all objects can be clicked; return the objects by slice."""
    objects = np.unique(truth[truth > 0])
    areas = np.array([[np.count_nonzero(frame == obj) for frame in truth] for obj in objects])
    large = areas >= LARGE * areas.max(axis=1, keepdims=True)
    left, chosen = np.ones(len(objects), bool), dict[int, list[int]]()
    while left.any():
        best = int(large[left].sum(axis=0).argmax())
        chosen[best] = objects[left & large[:, best]].tolist()
        left &= ~large[:, best]
    return chosen


def scores(person: Person, truth: NDArray[np.uint16], obj: int) -> dict[int, float]:
    """Return J of an object on all frames on which it is or was found."""
    found, wanted = person.labels == person.ids[obj], truth == obj
    frames = np.flatnonzero((found | wanted).any(axis=(1, 2))).tolist()
    return {frame: jaccard(found[frame], wanted[frame]) for frame in frames}


def begin(person: Person, truth: NDArray[np.uint16]) -> None:
    """Click on every object once, then let them be tracked."""
    person.hand.press("Each click is a new object")
    for frame, objects in sorted(first_frames(truth).items()):
        person.hand.go_to(frame)
        for obj in objects:
            person.begin(obj, *innermost_point(truth[frame] == obj))
    person.track()


def mend(person: Person, truth: NDArray[np.uint16], obj: int) -> float:
    """Correct an object until it is good or patience is at its end; return its mean J."""
    for _ in range(PATIENCE):
        wrong = ((person.labels == person.ids[obj]) != (truth == obj)).sum(axis=(1, 2))
        frame = int(wrong.argmax())
        shown = person.labels[frame] == person.ids[obj]
        click = correction_click(truth[frame] == obj, shown)
        if np.mean(list(scores(person, truth, obj).values())) >= GOOD or click is None:
            break
        person.visit(obj, frame)
        person.correct(obj, click)
        person.track()
    return float(np.mean(list(scores(person, truth, obj).values())))


def tell(values: list[float], person: Person, seconds: float) -> None:
    """Print what came of it."""
    good = sum(each >= GOOD for each in values)
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(person.hand.done.items()))
    corrected = f"{len(person.corrected)} corrections of {len(set(person.corrected))} nuclei"
    print(f"{person.hand.actions} actions: {good} of {len(values)} nuclei with mean J >= {GOOD}")  # noqa: T201
    print(f"  mean J {np.mean(values):.3f}; {kinds}; {corrected}; {seconds:.0f} s", flush=True)  # noqa: T201


def read_stack(path: Path) -> SampleSequence:
    """Read a stack with truth; objects that are on fewer than three slices are left out of the truth."""
    with np.load(path) as arrays:
        images, labels = arrays["images"], arrays["labels"].astype(np.uint16)
    objects, frames = np.unique(labels[labels > 0]), labels.reshape(len(labels), -1)
    rare = [obj for obj in objects if (frames == obj).any(axis=1).sum() < 3]
    labels[np.isin(labels, rare)] = 0
    return SampleSequence(path.stem, images, labels, "z")


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nuclei", type=int, default=80)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--data", type=Path)
    chosen = parser.parse_args()
    if chosen.data is None:
        stack = nuclei_stack(chosen.slices, (chosen.side, chosen.side), chosen.nuclei, chosen.seed)
    else:
        stack = read_stack(chosen.data)
    objects = np.unique(stack.labels[stack.labels > 0]).tolist()
    person, start = Person(stack, chosen.model), time.monotonic()
    begin(person, stack.labels)
    first = [float(np.mean(list(scores(person, stack.labels, obj).values()))) for obj in objects]
    tell(first, person, time.monotonic() - start)
    last = [mend(person, stack.labels, obj) for obj in objects]
    tell(last, person, time.monotonic() - start)
    person.viewer.close()


if __name__ == "__main__":
    main()
