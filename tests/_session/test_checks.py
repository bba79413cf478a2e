"""What cannot be asked of a session: the error says what came and what to do, and nothing is lost."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from napari_sam2._session.checks import check_key, check_objects, check_range
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from tests.fakes import SHAPE, FakeModel, click, plain_frames

COUNT = 6


@pytest.fixture
def session(fake_model: FakeModel) -> Session:
    started = Session(plain_frames(COUNT), model=fake_model.as_model())
    started.set_prompts(1, 2, click(10, 8))
    return started


def assert_refused(
    session: Session, error: type[Exception], words: str, obj: Any, frame: Any, prompts: Any
) -> None:
    before = session.labels.copy()
    with pytest.raises(error, match=words):
        session.set_prompts(obj, frame, prompts)
    np.testing.assert_array_equal(session.labels, before)
    assert list(session.prompts) == [PromptKey(1, 2)]
    assert session.undo() == "Prompt"
    assert session.undo() is None


@pytest.mark.parametrize(
    ("obj", "error", "words"),
    [
        (0, ValueError, "object id is 0"),
        (-3, ValueError, "object id is -3"),
        (2**32, ValueError, "object id is 4294967296"),
        (10**30, ValueError, "from 1 to 4294967295"),
        (1.0, TypeError, "object id is 1.0"),
        (True, TypeError, "object id is True"),
        ("1", TypeError, "object id is '1'"),
        (None, TypeError, "object id is None"),
    ],
)
def test_ids_that_are_none(session: Session, obj: Any, error: type[Exception], words: str) -> None:
    assert_refused(session, error, words, obj, 2, click(10, 8))
    with pytest.raises(error, match=words):
        session.paint(obj, 2, np.ones(SHAPE, bool))
    with pytest.raises(error, match=words):
        session.remove_object(obj)


@pytest.mark.parametrize(
    ("frame", "error", "words"),
    [
        (6, ValueError, "no frame 6: the sequence has frames 0 to 5"),
        (-1, ValueError, "no frame -1"),
        (2.0, TypeError, r"frame is 2\.0: give a whole number"),
        (True, TypeError, "frame is True"),
    ],
)
def test_frames_that_are_none(session: Session, frame: Any, error: type[Exception], words: str) -> None:
    assert_refused(session, error, words, 2, frame, click(10, 8))
    for call in (session.lock, session.unlock, session.entry, session.mask):
        with pytest.raises(error, match=words):
            call(1, frame)
    with pytest.raises(error, match=words):
        session.split(1, frame)


@pytest.mark.parametrize(
    ("prompts", "words"),
    [
        (click(24, 8), "point has y = 24, outside the frame of 24 x 20 pixels"),
        (click(10, -1), "point has x = -1, outside the frame"),
        (FramePrompts(box=(2, 3, 30, 10)), "box corner has y = 30"),
        (FramePrompts(mask=np.ones((20, 24), bool)), re.escape("(20, 24)")),
    ],
    ids=["below", "left", "box", "mask"],
)
def test_prompts_that_do_not_fit_the_frame(session: Session, prompts: FramePrompts, words: str) -> None:
    assert_refused(session, ValueError, words, 2, 3, prompts)


def test_points_on_the_very_edge_fit(session: Session) -> None:
    session.set_prompts(1, 3, click(-0.5, -0.5, (23.5, 19.5, False)))
    session.set_prompts(1, 4, FramePrompts(box=(0, 0, *SHAPE)))


@pytest.mark.parametrize(
    ("mask", "error", "words"),
    [
        (np.ones((20, 24), bool), ValueError, r"\(20, 24\)"),
        (np.ones((1, *SHAPE), bool), ValueError, "two-dimensional"),
        (np.full(SHAPE, 3), ValueError, "compare it first"),
        (np.full(SHAPE, "x"), TypeError, "True and False"),
    ],
    ids=["turned", "3-D", "labels", "text"],
)
def test_masks_that_are_none(session: Session, mask: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        session.paint(1, 3, mask)
    assert session.entry(1, 3) is None


def test_an_id_that_does_not_fit_the_given_labels_changes_nothing(fake_model: FakeModel) -> None:
    labels = np.zeros((COUNT, *SHAPE), np.uint8)
    session = Session(plain_frames(COUNT), model=fake_model.as_model(), labels=labels)
    session.set_prompts(255, 2, click(10, 8))
    with pytest.raises(ValueError, match="object id 256 does not fit into labels of type uint8"):
        session.set_prompts(256, 2, click(10, 8))
    assert session.objects == (255,)
    assert list(session.prompts) == [PromptKey(255, 2)]


# -------------------------------------------------------------------- propagate


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"direction": "up"}, ValueError, "both, forward, backward; got 'up'"),
        ({"direction": None}, ValueError, "got None"),
        ({"frames": range(2, 9)}, ValueError, r"within 0 to 5; got range\(2, 9\)"),
        ({"frames": range(-1, 3)}, ValueError, "within 0 to 5"),
        ({"frames": range(3, 3)}, ValueError, "step 1"),
        ({"frames": range(0, 6, 2)}, ValueError, "step 1"),
        ({"frames": [1, 2]}, TypeError, r"must be a range, such as range\(0, 6\); got \[1, 2\]"),
        (
            {"objects": [1, 7]},
            ValueError,
            r"objects \[7\] have no prompts, those with prompts are \[1\]: click",
        ),
        ({"objects": [0]}, ValueError, "object id is 0"),
        ({"objects": ["1"]}, TypeError, "object id is '1'"),
    ],
)
def test_propagations_that_cannot_be(
    session: Session, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    """They are refused when they are asked for, not when the first result is."""
    with pytest.raises(error, match=words):
        session.propagate(**options)
    with pytest.raises(error, match=words):
        session.track(**options)


@pytest.mark.parametrize("direction", ["both", "forward", "backward"])
def test_nothing_can_be_propagated_without_prompts(fake_model: FakeModel, direction: Any) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    with pytest.raises(ValueError, match="no prompts: click on an object first"):
        session.propagate(direction=direction)


def test_prompts_that_were_taken_back_are_no_prompts(session: Session) -> None:
    session.set_prompts(1, 2, FramePrompts())
    with pytest.raises(ValueError, match="no prompts"):
        session.propagate()


def test_a_name_that_is_none(session: Session) -> None:
    with pytest.raises(TypeError, match="is text; got None"):
        session.rename(1, None)  # type: ignore[arg-type]


def test_labels_that_are_no_array(fake_model: FakeModel) -> None:
    with pytest.raises(TypeError, match="array of integers, numpy or zarr, got list"):
        Session(plain_frames(COUNT), model=fake_model.as_model(), labels=[1])


def test_a_view_that_is_none(fake_model: FakeModel) -> None:
    with pytest.raises(ValueError, match="auto, frame, window; got 'square'"):
        Session(plain_frames(COUNT), model=fake_model.as_model(), view="square")  # type: ignore[arg-type]


# ------------------------------------------------------------------ the checks


def test_numbers_of_any_kind_are_taken() -> None:
    key = check_key(np.uint16(3), np.int64(5), 6)  # type: ignore[arg-type]  # as they come from arrays
    assert key == PromptKey(3, 5)
    assert type(key.obj) is type(key.frame) is int


def test_objects_are_named_once_and_in_order() -> None:
    assert check_objects(None, (1, 2, 5)) == (1, 2, 5)
    assert check_objects([5, 1, 5], (1, 2, 5)) == (1, 5)
    assert check_objects([], (1,)) == ()


def test_ranges_may_go_either_way() -> None:
    assert check_range(None, 6) is None
    assert check_range(range(2, 5), 6) == range(2, 5)
    assert check_range(range(5, -1, -1), 6) == range(6)
