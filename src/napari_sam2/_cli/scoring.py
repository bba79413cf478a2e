"""The protocol of one click per object on a session: click, propagate both ways, compare, perhaps correct."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from napari_sam2.metrics import (
    Click,
    ObjectScore,
    ProtocolObject,
    choose_objects,
    correction_click,
    score_object,
)
from napari_sam2.prompts import FramePrompts

if TYPE_CHECKING:
    from napari_sam2._cli.progress import Run
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.session import Session

Labels = NDArray[np.integer[Any]]
Watcher = Callable[[Iterable["FrameResult"], int], "Run"]
"""Draws the results of a propagation; the number is that of the objects times frames that are expected."""


@dataclass(frozen=True)
class Evaluation:
    """Scores of a sequence.

    Attributes
    ----------
    objects : tuple of ProtocolObject
        What was tracked, and from which clicks.
    scores : tuple of ObjectScore
        One per object.
    clicks : int
        Clicks per object, corrections included.
    seconds : float
        Wall time of all propagations.
    stopped : bool
        Whether it was ended early, so that the scores are those of what had been done.
    """

    objects: tuple[ProtocolObject, ...]
    scores: tuple[ObjectScore, ...]
    clicks: int
    seconds: float
    stopped: bool

    @property
    def j(self) -> float:
        """Mean J over the objects."""
        return float(np.mean([score.j for score in self.scores]))

    @property
    def f(self) -> float:
        """Mean boundary F over the objects."""
        return float(np.mean([score.f for score in self.scores]))

    @property
    def j_present(self) -> float:
        """Mean J on the frames that show the object, over the objects."""
        return float(np.mean([score.j_present for score in self.scores]))

    @property
    def absent_empty(self) -> float | None:
        """Mean share of empty frames where the object is not, at most two frames beyond it."""
        return _mean(score.absent_empty for score in self.scores)

    @property
    def beyond_empty(self) -> float | None:
        """Mean share of empty frames three and more beyond the object."""
        return _mean(score.beyond_empty for score in self.scores)


def _mean(shares: Iterable[float | None]) -> float | None:
    """Mean over the objects that have such frames; None if none has."""
    known = [share for share in shares if share is not None]
    return float(np.mean(known)) if known else None


def evaluate_session(
    session: Session, truth: Labels, watch: Watcher, *, every: bool = False, clicks: int = 1
) -> Evaluation:
    """Click every object of the truth once, propagate, score; then correct one frame of each, and again.

    Parameters
    ----------
    session : Session
        Without prompts so far.
    truth : ndarray of integers, shape (frames, H, W)
        The true labels.
    watch : callable
        See `Watcher`.
    every : bool
        Take every object of the truth instead of the choice of the protocol.
    clicks : int
        Clicks per object; those after the first correct the frame with most wrong pixels.

    Raises
    ------
    ValueError
        If the truth has another shape than the images, or no object to score.
    """
    if truth.shape != session.labels.shape:
        raise ValueError(
            f"The labels have shape {truth.shape}, the images {session.labels.shape} (frames, height, width)."
        )
    objects = choose_objects(truth, every=every)
    if not objects:
        raise ValueError("The labels have no object to score: small or brief ones count with --all only.")
    click_objects(session, objects)
    run = watch(session.propagate(), len(objects) * len(truth))
    seconds, done = run.seconds, 1
    scores = score_session(session, truth, objects)
    while done < clicks and not run.stopped and correct(session, truth, scores):
        run = watch(session.propagate(), len(objects) * len(truth))
        seconds, done = seconds + run.seconds, done + 1
        scores = score_session(session, truth, objects)
    return Evaluation(objects, scores, done, seconds, run.stopped)


def click_objects(session: Session, objects: Iterable[ProtocolObject]) -> None:
    """Give each object its one click, on the frame where it is largest."""
    for obj in sorted(objects, key=lambda each: each.seed):
        point = (float(obj.click.y), float(obj.click.x))
        session.set_prompts(obj.id, obj.seed, FramePrompts(points=(point,), positive=(True,)))


def score_session(
    session: Session, truth: Labels, objects: Iterable[ProtocolObject]
) -> tuple[ObjectScore, ...]:
    """Score each object by its own masks, before overlaps with others are resolved."""
    return tuple(
        score_object(truth, obj, {frame: session.mask(obj.id, frame) for frame in range(len(truth))})
        for obj in objects
    )


def correct(session: Session, truth: Labels, scores: Iterable[ObjectScore]) -> bool:
    """Add to each object a click where most pixels are wrong; tell whether there was any.

    That is what a person sees first. The frame of least J is mostly one at an end of the object, with a few
    pixels on it.
    """
    found = False
    for score in scores:
        frame = most_wrong_frame(session, truth, score.id)
        click = correction_click(truth[frame] == score.id, session.mask(score.id, frame))
        if click is None:
            continue
        found = True
        session.set_prompts(score.id, frame, with_click(session, score.id, frame, click))
    return found


def most_wrong_frame(session: Session, truth: Labels, obj: int) -> int:
    """Return the frame on which most pixels of an object are wrong."""
    frames = range(len(truth))
    return int(np.argmax([np.count_nonzero((truth[k] == obj) != session.mask(obj, k)) for k in frames]))


def with_click(session: Session, obj: int, frame: int, click: Click) -> FramePrompts:
    """Return what is said of an object on a frame with one more click."""
    old = {(key.obj, key.frame): value for key, value in session.prompts.items()}.get((obj, frame))
    old = old or FramePrompts()
    return FramePrompts(
        points=(*old.points, (float(click.y), float(click.x))),
        positive=(*old.positive, click.positive),
        box=old.box,
        mask=old.packed,
        candidate=old.candidate,
    )


def table(evaluation: Evaluation, title: str) -> Table:
    """Lay the scores out for a terminal."""
    drawn = Table(title=title, title_justify="left", show_footer=True)
    drawn.add_column("object", "mean", justify="right")
    drawn.add_column("frame", justify="right")
    drawn.add_column("click y, x", justify="right")
    drawn.add_column("J", f"{evaluation.j:.3f}", justify="right")
    drawn.add_column("F", f"{evaluation.f:.3f}", justify="right")
    drawn.add_column("J present", f"{evaluation.j_present:.3f}", justify="right")
    drawn.add_column("absent empty", _percent(evaluation.absent_empty), justify="right")
    drawn.add_column("beyond empty", _percent(evaluation.beyond_empty), justify="right")
    for obj, score in zip(evaluation.objects, evaluation.scores, strict=True):
        drawn.add_row(
            str(obj.id),
            str(obj.seed),
            f"{obj.click.y}, {obj.click.x}",
            f"{score.j:.3f}",
            f"{score.f:.3f}",
            f"{score.j_present:.3f}",
            _percent(score.absent_empty),
            _percent(score.beyond_empty),
        )
    return drawn


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def document(evaluation: Evaluation, **about: object) -> str:
    """Write the scores as JSON, with what else is known about the run."""
    objects = [
        asdict(score) | {"seed": obj.seed, "click": [obj.click.y, obj.click.x]}
        for obj, score in zip(evaluation.objects, evaluation.scores, strict=True)
    ]
    whole = about | {
        "clicks": evaluation.clicks,
        "j": evaluation.j,
        "f": evaluation.f,
        "j_present": evaluation.j_present,
        "absent_empty": evaluation.absent_empty,
        "beyond_empty": evaluation.beyond_empty,
        "seconds": round(evaluation.seconds, 3),
        "stopped": evaluation.stopped,
        "objects": objects,
    }
    return json.dumps(whole, indent=2)
