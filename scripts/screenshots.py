"""Make the pictures of docs/plugin.md.

The real viewer is driven with mouse and keys, on a sample of the package, so that it runs anywhere without a
network. A display is needed; a virtual one is enough::

    xvfb-run -a -s "-screen 0 1600x1200x24" python -m scripts.screenshots docs/images

For looking only: ``--theme light``, ``--data FILE.npz`` (``images`` and ``labels``), ``--states`` for more
states of the dock, and ``QT_SCALE_FACTOR=1.5`` before it for a finer screen.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import napari
import numpy as np
import numpy.typing as npt
import tifffile
from napari.qt import get_stylesheet
from qtpy.QtWidgets import QAbstractButton, QVBoxLayout, QWidget

from napari_sam2 import samples
from napari_sam2._napari.keys import KEYS
from napari_sam2._napari.model_choices import ModelChoice
from napari_sam2._napari.state import Activity, DockState, FilesState
from napari_sam2._napari.views.dock_view import DockView
from napari_sam2.metrics import Click, correction_click
from scripts.hand import CONTROL, SHIFT, Hand, Place

SAMPLE, SAMPLE_ENTRY = "nuclei_stack", "Nuclei"
AROUND = (4, 5)
WINDOW = (1400, 1000)


class Camera:
    """Writes pictures into a folder.

    Parameters
    ----------
    folder : Path
        Where to.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def window(self, hand: Hand, name: str) -> None:
        """Take the whole window, without messages over it, as of work that an earlier run has left."""
        hand.rest(400)
        for each in hand.window.findChildren(QWidget):
            if "Notification" in type(each).__name__:
                each.close()
        hand.rest(100)
        hand.viewer.window.screenshot(
            str(self._folder / f"plugin-{name}.png"), canvas_only=False, flash=False
        )
        print(f"plugin-{name}.png")

    def part(self, hand: Hand, part: QWidget, name: str, *, rest: int = 200) -> None:
        """Take a part of the dock, after so many milliseconds."""
        hand.rest(rest)
        part.grab().save(str(self._folder / f"plugin-{name}.png"))
        print(f"plugin-{name}.png")


@dataclass(frozen=True, eq=False)
class Stack:
    """What is looked at: labels (frames, H, W) and images, None for the sample of the File menu."""

    labels: npt.NDArray[Any]
    images: npt.NDArray[Any] | None = None

    @property
    def start(self) -> int:
        """The frame on which it begins."""
        return len(self.labels) // 2

    @property
    def range(self) -> tuple[int, int]:
        """Some frames around it."""
        return max(self.start - AROUND[0], 0), min(self.start + AROUND[1], len(self.labels) - 1)


def read_stack(path: Path | None) -> Stack:
    """Read a file of arrays; without one, take the sample."""
    if path is None:
        return Stack(samples.sample(SAMPLE).labels)
    arrays = np.load(path)
    return Stack(arrays["labels"], arrays["images"])


def nuclei(truth: npt.NDArray[Any], count: int) -> list[npt.NDArray[np.int64]]:
    """Return the pixels (n, 2) of the most typical nuclei of a slice, by size, that lie wholly inside."""
    inside = []
    for obj in np.unique(truth[truth > 0]):
        pixels = np.argwhere(truth == obj)
        if (pixels > 2).all() and (pixels < np.array(truth.shape) - 3).all():
            inside.append(pixels)
    typical = float(np.median([len(pixels) for pixels in inside]))
    return sorted(inside, key=lambda pixels: abs(len(pixels) - typical))[:count]


def middle(pixels: npt.NDArray[np.int64]) -> Place:
    """Return the pixel nearest to the centroid."""
    distance = ((pixels - pixels.mean(0)) ** 2).sum(1)
    y, x = pixels[distance.argmin()]
    return float(y), float(x)


def corners(pixels: npt.NDArray[np.int64]) -> list[Place]:
    """Return two opposite corners around pixels, by way of the middle."""
    low, high = pixels.min(0) - 1.0, pixels.max(0) + 1.0
    return [tuple(low), tuple((low + high) / 2), tuple(high)]


def begin(theme: str) -> Hand:
    """Open the viewer and the dock, with nothing in it."""
    viewer = napari.Viewer(show=True)
    viewer.theme = theme
    viewer.window.resize(*WINDOW)
    hand = Hand(viewer)
    hand.rest(500)
    hand.menu("Plugins", "SAM 2", "SAM 2 (")
    return hand


def open_stack(hand: Hand, stack: Stack) -> None:
    """Open what is looked at."""
    if stack.images is None:
        hand.menu("File", "Open Sample", "SAM 2", SAMPLE_ENTRY)
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "stack.tif"
            tifffile.imwrite(path, stack.images)
            hand.open_file(path)
    hand.wait(hand.widget.view.tools.isEnabled)
    hand.rest(500)
    hand.go_to(stack.start)
    switch_off_live(hand)
    hand.press("Point")
    hand.wait_until_idle()


def switch_off_live(hand: Hand) -> None:
    """Keep clicks from spreading, so that each picture shows one step."""
    if hand.find(QAbstractButton, "Live").isChecked():
        hand.press("Live")


def prompt(hand: Hand, camera: Camera, stack: Stack) -> None:
    """Click on one nucleus, then on more, then draw a box."""
    found = nuclei(stack.labels[stack.start], 6)
    hand.click(middle(found[0]))
    hand.wait_until_idle()
    camera.window(hand, "click")
    hand.press("Each click is a new object")
    for pixels in found[1:5]:
        hand.click(middle(pixels))
        hand.wait_until_idle()
    hand.press("Box")
    hand.drag(corners(found[5]))
    hand.wait_until_idle()
    hand.press("Point")
    camera.part(hand, hand.widget.view.sections["Prompts"], "tools")


def propagate(hand: Hand, camera: Camera, stack: Stack) -> None:
    """Propagate within a range, and look while it runs."""
    hand.choose("Propagate", "A range of frames ...")
    hand.type_number("First frame of the range", stack.range[0])
    hand.type_number("Last frame of the range", stack.range[1])
    hand.press("Propagate the range")
    view = hand.widget.view
    hand.wait(lambda: view.shown().progress.frames_per_second is not None)
    # A fast machine is done soon.
    camera.part(hand, view.sections["Propagate"], "progress", rest=0)
    camera.window(hand, "propagate")
    hand.wait_until_idle()
    hand.press("Close the range")


def review(hand: Hand, camera: Camera, stack: Stack) -> None:
    """Go to the most doubtful place; then correct the mask with most wrong pixels by a click."""
    view = hand.widget.view
    hand.press("Image, open")
    hand.press("Next doubtful")
    hand.wait_until_idle()
    camera.window(hand, "review")
    camera.part(hand, view.sections["Review"], "strip")
    camera.part(hand, view.sections["Objects"], "objects")
    correct(hand, stack)
    camera.window(hand, "correct")


def correct(hand: Hand, stack: Stack) -> None:
    """Click on what is missing from the mask with most wrong pixels, or too much of it."""
    labels = next(layer for layer in hand.viewer.layers if layer.name.endswith(" labels"))
    shown, wrong = np.asarray(labels.data), list[tuple[int, int, int, Click]]()
    for obj, pixels in enumerate(nuclei(stack.labels[stack.start], 6), start=1):
        true = stack.labels[(stack.start, *map(int, middle(pixels)))]
        for frame in range(stack.range[0], stack.range[1] + 1):
            mask, truth = shown[frame] == obj, stack.labels[frame] == true
            click = correction_click(truth, mask)
            if 2 * truth.sum() > len(pixels) and mask.any() and click is not None:  # no faint end
                wrong.append((int((mask != truth).sum()), obj, frame, click))
    _, obj, frame, click = max(wrong, key=lambda each: each[0])
    hand.visit(obj, frame)
    hand.click((click.y, click.x), CONTROL if click.positive else SHIFT)
    hand.wait_until_idle()


def docks(hand: Hand, camera: Camera, _stack: Stack) -> None:
    """Take the whole dock with every part open, 350 pixels wide, in both themes."""
    for theme in ("dark", "light"):
        _dock(hand.widget.view.shown(), camera, hand, theme, f"dock-{theme}")


def states(hand: Hand, camera: Camera, _stack: Stack) -> None:
    """Take the dock while a model is fetched, and while seeds are taken."""
    shown = hand.widget.view.shown()
    tiny = ModelChoice("sam2.1-tiny")
    model = replace(
        shown.model,
        chosen=5,
        detail=tiny.detail,
        needs_download=True,
        download=0.42,
        fetched="66 of 156 MB",
    )
    recent = FilesState(("3 objects, 12 March, 14:03",))
    progress = replace(
        shown.progress,
        activity=Activity.SEEDING,
        message="Seeding from “nuclei”. Clicks go first; undo or cancel ends it.",
        done=12,
        total=80,
    )
    problem = "Could not fetch sam2.1-tiny (no network). Nothing was kept; check the network and try again."
    for theme in ("dark", "light"):
        fetching = replace(shown, model=model, files=recent)
        seeding = replace(shown, progress=progress, files=recent)
        failed = replace(shown, model=replace(model, download=None, problem=problem))
        for name, state in (("fetching", fetching), ("seeding", seeding), ("failed", failed)):
            _dock(state, camera, hand, theme, f"{name}-{theme}")


def _dock(state: DockState, camera: Camera, hand: Hand, theme: str, name: str) -> None:
    frame = QWidget()
    frame.setStyleSheet(get_stylesheet(theme))
    whole = DockView({key.command.value: key.label for key in KEYS})
    layout = QVBoxLayout(frame)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(whole)
    for section in whole.sections.values():
        section.set_open(True)
    frame.resize(350, 1290)
    frame.show()
    whole.show_state(state)
    camera.part(hand, frame, name)
    frame.close()
    frame.deleteLater()


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where the pictures are written")
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    parser.add_argument("--data", type=Path, help="a stack of one's own, for looking only")
    parser.add_argument(
        "--states", action="store_true", help="take more states of the dock, for looking only"
    )
    chosen = parser.parse_args()
    camera, stack = Camera(chosen.folder), read_stack(chosen.data)
    began = time.monotonic()
    hand = begin(chosen.theme)
    hand.rest(500)
    camera.part(hand, hand.widget, "begin")
    open_stack(hand, stack)
    for scene in (prompt, propagate, review, docks, *((states,) if chosen.states else ())):
        scene(hand, camera, stack)
    print(f"{hand.actions} actions, {time.monotonic() - began:.0f} s")
    hand.viewer.close()


if __name__ == "__main__":
    main()
