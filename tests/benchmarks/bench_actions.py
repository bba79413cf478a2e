"""How many actions eighty nuclei take until each of them is segmented: run by hand, it takes minutes.

    python -m tests.benchmarks.bench_actions
    python -m tests.benchmarks.bench_actions --nuclei 20 --model sam2.1-tiny

A session is driven as a person would drive the dock, on a made-up stack with truth. An action is a click
on the image, a move of the slider, a click in the review strip (it goes to a frame and activates its
object), the tick of *Each click is a new object*, or a press of *Propagate*. Objects are clicked on few
slices, one after the other. Then the worst frame of each object that is not good enough is corrected by
a click, again and again; with *Live*, which is on with nano, what changes with it is tracked by itself.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_sam2 import FramePrompts, Session, load_model
from napari_sam2.metrics import correction_click, innermost_point, jaccard
from napari_sam2.samples import nuclei_stack

GOOD, PATIENCE = 0.7, 5
# An object is clicked where it is at least so large, as a share of its largest slice.
LARGE = 0.6


@dataclass
class Actions:
    """What the person did."""

    clicks: int = 0
    moves: int = 0
    corrections: int = 0
    visits: int = 0
    buttons: int = 0
    corrected: set[int] = field(default_factory=set)

    @property
    def total(self) -> int:
        """All of it."""
        return self.clicks + self.moves + self.corrections + self.visits + self.buttons


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


def scores(session: Session, truth: NDArray[np.uint16], obj: int) -> dict[int, float]:
    """Return J of an object on all frames on which it is or was found."""
    found, wanted = session.labels == obj, truth == obj
    frames = np.flatnonzero((found | wanted).any(axis=(1, 2))).tolist()
    return {frame: jaccard(found[frame], wanted[frame]) for frame in frames}


def begin(session: Session, truth: NDArray[np.uint16], done: Actions) -> None:
    """Click on every object once, then propagate."""
    done.buttons += 2  # the tick and Propagate
    for number, (frame, objects) in enumerate(sorted(first_frames(truth).items())):
        done.moves += number > 0
        for obj in objects:
            y, x = innermost_point(truth[frame] == obj)
            session.set_prompts(obj, frame, FramePrompts(points=((y, x),), positive=(True,)))
            done.clicks += 1
    for _ in session.propagate():
        pass


def correct(session: Session, truth: NDArray[np.uint16], obj: int, frame: int) -> bool:
    """Click on what mends a frame most, and track what changes with it; False if nothing is wrong there."""
    click = correction_click(truth[frame] == obj, session.labels[frame] == obj)
    if click is None:
        return False
    before = {key.frame: each for key, each in session.prompts.items() if key.obj == obj}
    said = before.get(frame, FramePrompts())
    points, signs = (*said.points, (click.y, click.x)), (*said.positive, click.positive)
    session.set_prompts(obj, frame, FramePrompts(points=points, positive=signs))
    for _ in session.propagate(objects=(obj,)):
        pass
    return True


def mend(session: Session, truth: NDArray[np.uint16], obj: int, done: Actions) -> float:
    """Correct an object until it is good or patience is at its end; return its mean J."""
    for _ in range(PATIENCE):
        found = scores(session, truth, obj)
        worst = min(found, key=lambda frame: found[frame])
        if np.mean(list(found.values())) >= GOOD or not correct(session, truth, obj, worst):
            break
        done.visits += 1
        done.corrections += 1
        done.corrected.add(obj)
    return float(np.mean(list(scores(session, truth, obj).values())))


def main() -> None:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nuclei", type=int, default=80)
    parser.add_argument("--slices", type=int, default=24)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="nano")
    chosen = parser.parse_args()
    stack = nuclei_stack(chosen.slices, (chosen.side, chosen.side), chosen.nuclei, chosen.seed)
    objects = np.unique(stack.labels[stack.labels > 0]).tolist()
    session, done, start = Session(stack.images, model=load_model(chosen.model)), Actions(), time.monotonic()
    begin(session, stack.labels, done)
    first = [float(np.mean(list(scores(session, stack.labels, obj).values()))) for obj in objects]
    print(f"{len(objects)} nuclei; after one click each: {done}")  # noqa: T201
    print(f"mean J {np.mean(first):.3f}, {sum(each >= GOOD for each in first)} good")  # noqa: T201
    last = [mend(session, stack.labels, obj, done) for obj in objects]
    print(f"{done.total} actions, {done}")  # noqa: T201
    print(f"mean J {np.mean(last):.3f}, {sum(each >= GOOD for each in last)} good")  # noqa: T201
    print(f"{time.monotonic() - start:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
