"""Walk the whole path with mouse and keys, and read back all that is written.

Open dock and stack by their menus, click, see, propagate, review, correct, undo, redo, save, export in every
form, show tracks: in the real viewer, on a stack of one's own. What is read from the files must be what the
Labels layer shows; anything else ends the run with an error. ::

    xvfb-run -a -s "-screen 0 1600x1200x24" python -m scripts.walk FOLDER --data FILE.npz

`FILE.npz` has ``images`` and ``labels``, (frames, H, W) or (t, z, y, x); of the latter, two t are worked
on. Pictures and files are left in FOLDER. ``XDG_CACHE_HOME`` tells where the session is saved by itself.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import zarr
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton

from napari_sam2 import Session
from napari_sam2.metrics import Click, correction_click, jaccard
from scripts.hand import CONTROL, SHIFT, Hand
from scripts.screenshots import Camera, begin, middle, nuclei, switch_off_live

Labels = npt.NDArray[Any]
COUNT = 5


class Walk:
    """One walk over a stack, or over one t of (t, z, y, x).

    Parameters
    ----------
    hand : Hand
        Does it.
    camera : Camera
        Takes pictures.
    truth : array (frames, H, W)
        Where objects are.
    at : int or None
        The position along t.
    """

    def __init__(self, hand: Hand, camera: Camera, truth: Labels, at: int | None = None) -> None:
        self.hand, self.camera, self.truth, self.at = hand, camera, truth, at
        self.start = len(truth) // 2
        self.found = nuclei(truth[self.start], COUNT)
        self.ids = [int(truth[(self.start, *map(int, middle(each)))]) for each in self.found]
        self.objects: list[int] = []

    @property
    def layer(self) -> Any:  # noqa: ANN401 - a Labels layer
        """The labels that are shown."""
        return next(each for each in self.hand.viewer.layers if each.name.endswith(" labels"))

    @property
    def labels(self) -> Labels:
        """A copy of what is shown of these frames."""
        data = np.asarray(self.layer.data)
        return np.array(data if self.at is None else data[self.at])

    def shot(self, name: str) -> None:
        """Take the window."""
        self.camera.window(self.hand, name if self.at is None else f"t{self.at}-{name}")

    def go_to(self, frame: int) -> None:
        """Move the sliders."""
        self.hand.go_to(frame, self.at)
        self.hand.wait_until_idle()

    def click(self) -> None:
        """Click on objects, each a new one."""
        self.go_to(self.start)
        if not self.hand.find(QAbstractButton, "Each click is a new object").isChecked():
            self.hand.press("Each click is a new object")
        for pixels in self.found:
            self.hand.click(middle(pixels))
            self.hand.wait_until_idle()
            self.objects.append(self.hand.widget.view.shown().objects.active or 0)
        self.shot("1-clicked")

    def propagate(self) -> None:
        """Press the button, and wait."""
        self.hand.press("Propagate")
        self.hand.wait_until_idle()
        self.shot("2-propagated")
        print(f"J over all frames, after clicks: {self.score():.3f}")

    def review(self) -> None:
        """Go to the next doubtful frame by its key."""
        self.hand.key(Qt.Key.Key_J)
        self.hand.wait_until_idle()
        self.shot("3-doubtful")

    def correct(self) -> None:
        """Click where the worst mask is wrong, propagate, take it back, and do it again."""
        before = self.labels
        obj, frame, click = self.worst()
        self.hand.visit(obj, frame)
        self.hand.click((click.y, click.x), CONTROL if click.positive else SHIFT)
        self.hand.wait_until_idle()
        self.shot("4-corrected")
        self.hand.press("Propagate")
        self.hand.wait_until_idle()
        after = self.labels
        # Nothing is left to track where the click has ended the object.
        steps = 1 + (self.hand.widget.view.shown().progress.undo_label == "Propagate")
        check("a correction changes its object", not same(before == obj, after == obj))
        print(f"J over all frames, after one correction: {self.score():.3f}")
        self._step(Qt.Key.Key_Z, CONTROL, steps)
        check("undo brings back what was there", same(self.labels, before))
        self.shot("5-undone")
        self._step(Qt.Key.Key_Z, CONTROL | SHIFT, steps)
        check("redo brings back what was undone", same(self.labels, after))

    def _step(self, key: Qt.Key, modifier: Qt.KeyboardModifier, times: int) -> None:
        for _ in range(times):
            self.hand.key(key, modifier)
            self.hand.wait_until_idle()

    def worst(self) -> tuple[int, int, Click]:
        """Find the object and the frame with the worst mask, and a click that corrects it."""
        shown, wrong = self.labels, list[tuple[float, int, int, Click]]()
        for obj, true in zip(self.objects, self.ids, strict=True):
            for frame, (mask, truth) in enumerate(zip(shown == obj, self.truth == true, strict=True)):
                click = correction_click(truth, mask)
                if mask.any() and truth.any() and click is not None:
                    wrong.append((jaccard(mask, truth), obj, frame, click))
        _, obj, frame, click = min(wrong, key=lambda each: each[0])
        return obj, frame, click

    def score(self) -> float:
        """Return the mean Jaccard index over objects, each over all frames."""
        shown, true = flat(self.labels), flat(self.truth)
        each = [jaccard(shown == obj, true == of) for obj, of in zip(self.objects, self.ids, strict=True)]
        return float(np.mean(each))


def flat(frames: Labels) -> Labels:
    """Return all frames as one image, one below the other."""
    return frames.reshape(-1, frames.shape[-1])


def same(one: Labels, other: Labels) -> bool:
    """Whether arrays are equal."""
    return bool(np.array_equal(one, other))


def check(what: str, holds: bool) -> None:
    """Say that something holds; RuntimeError if not."""
    print(f"{'ok' if holds else 'WRONG'}: {what}")
    if not holds:
        raise RuntimeError(what)


class Writer:
    """Opens, saves and exports through the dialogs.

    Parameters
    ----------
    hand : Hand
        Does it.
    folder : Path
        Where to.
    """

    def __init__(self, hand: Hand, folder: Path) -> None:
        self.hand, self.folder = hand, folder
        if folder.exists():
            raise FileExistsError(f"{folder} is there already, and whether to replace files would be asked")
        folder.mkdir(parents=True)

    def export(self, name: str, entry: str) -> Path:
        """Choose an entry of the menu."""
        self.hand.answer(self.folder / name, lambda: self.hand.choose("Export", entry))
        return self.folder / name

    def save(self, name: str) -> None:
        """Press the button."""
        self.hand.answer(self.folder / name, lambda: self.hand.press("Save ..."))

    def open(self, images: Labels) -> None:
        """Write a file, and open it by the menu."""
        tifffile.imwrite(self.folder / "cells.tif", images)
        self.hand.open_file(self.folder / "cells.tif")


def unbroken(folder: Path) -> Labels:
    """Read a Cell Tracking Challenge result, with the parts of an object that was away under one number."""
    rows = np.loadtxt(folder / "res_track.txt", dtype=int, ndmin=2)
    root = np.arange(rows[:, 0].max() + 1)
    for label, _, _, parent in rows:
        root[label] = root[parent] if parent else label
    masks = np.stack([tifffile.imread(each) for each in sorted(folder.glob("mask*.tif"))])
    return np.asarray(root[masks])


def check_table(path: Path, labels: Labels) -> None:
    """Compare the areas of a table with those of the labels."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    # A column before that of the object is the position along the other axis.
    other = next(iter(rows[0]))
    total = 0
    for row in rows:
        frame = int(row["frame"])
        at = frame if other == "object" else (int(row[other]), frame)
        area, obj = int(row["area"]), int(row["object"])
        total += area
        if area != np.count_nonzero(labels[at] == obj):
            check(f"area of object {obj} at {at}", holds=False)
    check(f"the table's {len(rows)} areas are those of the layer", total == np.count_nonzero(labels))


def check_exports(writer: Writer, labels: Labels) -> None:
    """Export in every form, and read it back."""
    tiff = writer.export("labels.tif", "Labels as TIFF ...")
    check("TIFF", same(tifffile.imread(tiff), labels))
    group: Any = zarr.open_group(str(writer.export("labels.ome.zarr", "Labels as OME-Zarr ...")), mode="r")
    check("OME-Zarr", same(np.asarray(group["0"]), labels))
    challenge = writer.export("labels_RES", "Tracks for the Cell Tracking Challenge ...")
    check("Cell Tracking Challenge", same(unbroken(challenge), labels))
    check_table(writer.export("objects.csv", "Table as CSV ..."), labels)


def check_saved(writer: Writer, images: Labels, labels: Labels) -> None:
    """Save, and read the sessions back without the dock."""
    writer.save("cells")
    files = sorted(writer.folder.glob("*.sam2.json"))
    for path in files:
        session = Session.load(path, images)
        index = session.volume.options()["index"]
        shown = labels[index["0"]] if labels.ndim == 4 else labels
        check(f"{path.name} holds what the layer shows", same(np.asarray(session.labels), shown))
    check("something was saved", bool(files))


def show_tracks(walk: Walk) -> None:
    """Press the button, and see that all paths run inside their objects' boxes."""
    walk.hand.press("Tracks layer")
    walk.hand.wait_until_idle()
    layer = next(each for each in walk.hand.viewer.layers if each.name.endswith(" tracks"))
    check(f"{len(layer.data)} places of tracks", len(layer.data) > 0)
    walk.shot("6-tracks")


def walk_all(hand: Hand, camera: Camera, images: Labels, truth: Labels, folder: Path) -> None:
    """Walk over a stack, or over two times of a movie of stacks, and write all of it."""
    four, writer = images.ndim == 4, Writer(hand, folder)
    writer.open(images)
    hand.wait(hand.widget.view.tools.isEnabled)
    switch_off_live(hand)
    times = (1, len(images) - 2) if four else (None,)
    for at in times:
        walk = Walk(hand, camera, truth if at is None else truth[at], at)
        for scene in (walk.click, walk.propagate, walk.review, walk.correct):
            scene()
    hand.press("Save and export, closed")
    show_tracks(walk)
    labels = np.array(walk.layer.data)
    check_saved(writer, images, labels)
    check_exports(writer, labels)
    walk.shot("7-written")


def main() -> None:
    """Walk."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where pictures and files are written")
    parser.add_argument("--data", type=Path, required=True, help="images and labels")
    parser.add_argument("--theme", default="dark", choices=("dark", "light"))
    chosen = parser.parse_args()
    arrays = np.load(chosen.data)
    hand = begin(chosen.theme)
    hand.rest(500)
    try:
        walk_all(hand, Camera(chosen.folder), arrays["images"], arrays["labels"], chosen.folder / "files")
    finally:
        hand.viewer.close()
    print(f"{hand.actions} actions")


if __name__ == "__main__":
    main()
