"""Many objects with many prompts: what is asked of each frame or pass is not asked of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from napari_sam2._labels.entries import RecordTable
from napari_sam2._tracking.confirmed import ConfirmedFrames
from napari_sam2._tracking.sweeping import Sweeps
from napari_sam2.passes import Anchor, Step
from napari_sam2.session import Session
from napari_sam2.tracker import Tracker
from napari_sam2.volume import Volume
from tests.fakes import FakeModel, absent, click, plain_frames

COUNT = 40
EVERY = 8
OBJECTS = 6


class Calls:
    """Counts how often a method of a class is called."""

    def __init__(self, patch: pytest.MonkeyPatch, owner: type, name: str) -> None:
        self.count = 0
        method: Callable[..., Any] = getattr(owner, name)

        def counted(*args: Any, **options: Any) -> Any:
            self.count += 1
            return method(*args, **options)

        patch.setattr(owner, name, counted)


def session_of(fake: FakeModel) -> Session:
    """Return a session of several objects, each with a prompt on every eighth frame."""
    session = Session(plain_frames(COUNT), model=fake.as_model(), view="frame")
    for obj in range(1, OBJECTS + 1):
        for frame in range(0, COUNT, EVERY):
            session.set_prompts(obj, frame, click(9, 9))
    return session


def test_a_frame_is_no_matter_of_passes_that_do_not_come_past_it(
    fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(fake_model)
    asked = Calls(monkeypatch, Sweeps, "_is_due")
    tracked = sum(len(result.objects) for result in session.propagate())
    assert tracked == OBJECTS * COUNT
    assert asked.count <= 4 * tracked


def test_labels_are_asked_once_a_frame_what_is_up_to_date(
    fake_model: FakeModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = session_of(fake_model)
    for _ in zip(range(COUNT // 2), session.propagate(), strict=False):
        pass
    one_by_one = Calls(monkeypatch, RecordTable, "get")
    together = Calls(monkeypatch, RecordTable, "origins")
    left = session.steps_ahead()
    assert one_by_one.count == 0
    assert together.count <= COUNT
    assert Step(COUNT - 1, reverse=False) in left
    assert Step(1, reverse=False) not in left


def test_a_pass_that_is_up_to_date_in_part_goes_on_where_that_ends(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model(), view="frame")
    for frame in (0, COUNT - 1):
        session.set_prompts(1, frame, click(9, 9))
    for frames in (range(11), range(30, COUNT)):
        for _ in session.propagate(frames):
            pass
    assert {job.planned.reverse: job.begin for job in session.jobs_ahead()} == {False: 11, True: 29}


def test_confirmed_frames_are_known_anew_after_every_change(fake_model: FakeModel) -> None:
    volume = Volume(plain_frames(COUNT))
    tracker = Tracker(fake_model.as_model(), volume, volume.shape)
    assert tracker.anchors(1) == ()
    tracker.declare(1, 5, click(9, 9), revision=1)
    tracker.declare(1, 2, absent(), revision=2)
    assert tracker.anchors(1) == (Anchor(2, 2, present=False), Anchor(5, 1))
    tracker.declare(1, 5, click(9, 9), revision=3, area=0)
    assert tracker.anchors(1) == (Anchor(2, 2, present=False), Anchor(5, 3, seen=False))
    tracker.forget(1, 2)
    assert tracker.anchors(1) == (Anchor(5, 3, seen=False),)
    tracker.remove(1)
    assert tracker.anchors(1) == ()


@pytest.mark.parametrize("change", ["declare", "forget", "remove"])
def test_confirmed_frames_alone_know_no_order_of_before(fake_model: FakeModel, change: str) -> None:
    volume = Volume(plain_frames(COUNT))
    confirmed: ConfirmedFrames = Tracker(fake_model.as_model(), volume, volume.shape)._confirmed
    confirmed.declare(1, Anchor(5, 1), click(9, 9), None)
    assert confirmed.anchors(1) == (Anchor(5, 1),)
    if change == "declare":
        confirmed.declare(1, Anchor(4, 2), click(9, 9), None)
    elif change == "forget":
        confirmed.forget(1, 5)
    else:
        confirmed.remove(1)
    assert confirmed.anchors(1) == ((Anchor(4, 2), Anchor(5, 1)) if change == "declare" else ())
