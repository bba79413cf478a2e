"""Objects tracked in windows: across the field, through scales, along the border, corrected, replayed."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_sam2._model.weights import load_model
from napari_sam2.frame_result import FrameResult
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.session import Session
from napari_sam2.window import View, WindowRules
from tests.fakes import SHAPE, FakeModel, click, plain_frames
from tests.seeing import Phantom, SeeingFake, bordering, crossing, growing, phantom

RULES = WindowRules("window", 64, 3, smallest=16)


def session_of(seen: Phantom, model: SeeingFake | None = None, rules: WindowRules = RULES) -> Session:
    return Session(seen.frames, model=(model or SeeingFake()).as_model(), view=rules)


def overlap(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((mask & truth).sum() / max((mask | truth).sum(), 1))


def window_on(session: Session, frame: int) -> Box:
    entry = session.entry(1, frame)
    assert entry is not None
    assert entry.logits is not None
    return Box(*(int(edge) for edge in entry.logits.window))


def tracked(seen: Phantom, model: SeeingFake | None = None, rules: WindowRules = RULES) -> Session:
    session = session_of(seen, model, rules)
    session.set_prompts(1, 0, click(*seen.centre))
    list(session.propagate())
    return session


# ------------------------------------------------------------------- phantoms


def test_an_object_that_was_clicked_in_part_of_a_large_frame_is_tracked_in_windows() -> None:
    centres = [(60.0 + 9 * frame, 40.0 + 7 * frame) for frame in range(20)]
    seen = phantom((400, 300), centres, [12 + 0.5 * frame for frame in range(20)])
    model = SeeingFake(image_size=128)
    session = tracked(seen, model, RULES)
    assert window_on(session, 0).shape == (256, 256)
    assert set(model.sides) == {128, 64}
    for frame, truth in enumerate(seen.truth):
        assert overlap(session.mask(1, frame), truth) > 0.7
        assert frame == 0 or max(window_on(session, frame).shape) < 256
    encoded = session.frames_encoded
    session.set_prompts(1, 19, click(*centres[19]))
    list(session.propagate())
    assert overlap(session.mask(1, 5), seen.truth[5]) > 0.7
    assert session.frames_encoded > encoded


@pytest.mark.parametrize("seen", [crossing(), growing(), bordering()], ids=["crosses", "grows", "borders"])
def test_the_window_follows_the_object(seen: Phantom) -> None:
    session = tracked(seen)
    for frame, truth in enumerate(seen.truth):
        assert overlap(session.mask(1, frame), truth) > 0.85
        window = window_on(session, frame)
        extent = int(np.ptp(np.nonzero(truth), axis=1).max()) + 1
        # three times the extent, and what the hysteresis allows; the grid of masks has 16 x 16 cells
        cell = max(window.shape) / 16
        assert max(window.shape) <= 3 * 1.4 * (extent + 2 * cell)
    np.testing.assert_array_equal(session.labels > 0, [session.mask(1, f) for f in range(len(seen.truth))])


def test_a_network_for_frames_is_clicked_in_the_frame_and_tracks_in_windows() -> None:
    seen = crossing()
    side = max(seen.frames.shape[1:]) // 32 * 32
    session = tracked(seen, SeeingFake(image_size=side))
    assert window_on(session, 0) == Box(0, 0, *seen.frames.shape[1:])
    for frame, truth in enumerate(seen.truth):
        assert overlap(session.mask(1, frame), truth) > 0.85
        assert frame == 0 or max(window_on(session, frame).shape) < side / 2


def test_the_window_is_kept_while_it_serves() -> None:
    session = tracked(crossing())
    windows = [window_on(session, frame) for frame in range(24)]
    assert 4 < len(set(windows)) < 20


def test_the_window_of_a_growing_object_grows_before_the_object_is_cut() -> None:
    seen = growing()
    session = tracked(seen)
    sides = [max(window_on(session, frame).shape) for frame in range(len(seen.truth))]
    assert sides[-1] > 5 * sides[0]
    assert sides == sorted(sides)


def test_an_object_that_jumps_to_the_edge_is_looked_at_again_in_a_larger_window() -> None:
    seen = phantom((200, 200), [(100, 100), (100, 100), (100, 116), (100, 116)], [8, 8, 24, 24])
    session = tracked(seen)
    assert overlap(session.mask(1, 2), seen.truth[2]) > 0.85


def test_memories_are_those_of_the_window_that_is_looked_at() -> None:
    """After a move every memory holds its own frame's grey values in the new window, and its own mask."""
    fake = SeeingFake()
    still = phantom((160, 160), [(60.0, 60.0)] * 3 + [(90.0, 90.0)] * 3, [9] * 6)
    session = tracked(still, fake)
    assert len({window_on(session, frame) for frame in range(6)}) > 1
    for step in fake.steps:
        for grey, mask in zip(step.remembered, step.masks, strict=True):
            bright = (grey - 20) / 200  # share of a cell that is bright
            torch.testing.assert_close(bright, mask, atol=0.3, rtol=0)
            assert mask.sum() > 0.1


def test_memories_of_a_window_that_moves_a_little_are_not_made_again() -> None:
    """They are told how far beside the new window they lie."""
    fake = SeeingFake()
    moving = phantom((160, 160), [(60.0, 60.0)] * 3 + [(74.0, 52.0)] * 3, [9] * 6)
    session = tracked(moving, fake)
    before, after = window_on(session, 2), window_on(session, 4)
    assert before.shape == after.shape
    assert before != after
    assert session.frames_encoded == 6 + scanned(moving)
    height, width = after.shape
    lies = ((before.y0 - after.y0) / height * 4, (before.x0 - after.x0) / width * 4)
    assert [len(step.shifts) for step in fake.steps] == [0, 0, 0, 4, 5]
    # The window follows a frame later than the object moves.
    np.testing.assert_allclose(fake.steps[4].shifts, [lies] * 4 + [(0, 0)])


def scanned(seen: Phantom) -> int:
    """Count windows that a first click is looked at in, beside the one that answers it."""
    session = session_of(seen)
    session.set_prompts(1, 0, click(*seen.centre))
    return session.frames_encoded - 1


def test_pixels_that_are_not_square_get_windows_that_are_square_in_the_world() -> None:
    seen = phantom((80, 240), [(40, 60 + 4 * k) for k in range(8)], [15] * 8, aspect=3)
    rules = WindowRules("window", 64, 3, smallest=16, aspect=3)
    session = tracked(seen, rules=rules)
    for frame in range(8):
        height, width = window_on(session, frame).shape
        assert abs(3 * height - width) <= 3
        assert overlap(session.mask(1, frame), seen.truth[frame]) > 0.8


class Guarded:
    """A large array of which only small parts may be read."""

    def __init__(self, seen: Phantom) -> None:
        self.frames = seen.frames
        self.shape, self.dtype = seen.frames.shape, seen.frames.dtype
        self.largest = 0

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        part: NDArray[np.uint8] = self.frames[key]
        self.largest = max(self.largest, part.size)
        return part


def test_a_large_frame_costs_no_more_than_its_windows() -> None:
    seen = phantom((2048, 2048), [(1000, 1000 + 4 * k) for k in range(4)], [20] * 4)
    data = Guarded(seen)
    fake = SeeingFake()
    session = Session(data, model=fake.as_model(), view=RULES)
    session.set_prompts(1, 0, click(1000, 1000))
    assert data.largest <= 512 * 512  # looking for the object
    data.largest = 0
    encoded = session.frames_encoded
    list(session.propagate())
    assert data.largest <= 150 * 150
    assert session.frames_encoded - encoded <= 8
    assert set(fake.sides) == {64}
    assert overlap(session.mask(1, 3), seen.truth[3]) > 0.8


# -------------------------------------------------------------------- prompts


def test_a_click_finds_the_size_of_the_object() -> None:
    for radius in (10, 20, 55):
        seen = phantom((256, 256), [(130, 120)], [radius])
        session = session_of(seen, rules=WindowRules("window", 128, 3, smallest=16))
        session.set_prompts(1, 0, click(130, 120))
        side = max(window_on(session, 0).shape)
        assert 2 * 2 * radius < side < 4.5 * 2 * radius or side == 256


def test_a_box_and_a_mask_tell_the_window() -> None:
    seen = phantom((256, 256), [(130, 120)], [20])
    session = session_of(seen)
    session.set_prompts(1, 0, FramePrompts(box=(110, 100, 151, 141)))
    session.set_prompts(2, 0, FramePrompts(mask=seen.truth[0]))
    assert session.frames_encoded == 2
    for obj in (1, 2):
        assert overlap(session.mask(obj, 0), seen.truth[0]) > 0.9
    assert 115 <= max(window_on(session, 0).shape) <= 130


def test_a_click_outside_the_window_widens_it() -> None:
    seen = phantom((256, 256), [(60, 60)], [10])
    session = session_of(seen)
    session.set_prompts(1, 0, click(60, 60))
    before = window_on(session, 0)
    session.set_prompts(1, 0, click(60, 60, (200, 210, False)))
    after = window_on(session, 0)
    assert before.union(after) == after
    assert after.y1 > 200
    assert after.x1 > 210


def test_candidates_are_seen_where_the_answer_is() -> None:
    seen = phantom((256, 256), [(60, 60)], [10])
    result = session_of(seen).set_prompts(1, 0, click(60, 60))
    assert any(np.array_equal(each, result.placed[0].logits) for each in result.candidates)


def test_a_frame_without_the_object_needs_no_look_at_it() -> None:
    seen = crossing()
    session = session_of(seen)
    session.set_prompts(1, 0, click(*seen.centre))
    session.set_prompts(1, 5, FramePrompts(mask=np.zeros((160, 160), bool)))
    assert [result.frame for result in session.propagate()] == [0, 1, 2, 3, 4]
    assert not session.labels[5:].any()


# ------------------------------------------------------- corrections and replay


WAY = crossing(96, 10)


def two_objects() -> Session:
    """Two objects that are the same disc; each has a window of its own."""
    session = session_of(WAY)
    session.set_prompts(1, 2, click(*places(2)))
    session.set_prompts(2, 6, FramePrompts(box=box_on(6)))
    return session


def places(frame: int) -> tuple[float, float]:
    rows, columns = np.nonzero(WAY.truth[frame])
    return float(rows.mean()), float(columns.mean())


def box_on(frame: int) -> tuple[float, float, float, float]:
    row, column = places(frame)
    return row - 10, column - 10, row + 10, column + 10


def corrected_session() -> Session:
    session = two_objects()
    list(session.propagate())
    session.set_prompts(1, 5, click(*places(5)))
    session.set_prompts(2, 3, click(*places(3), (90, 90, False)))
    session.lock(1, 8)
    list(session.propagate())
    return session


def test_groups_do_not_change_what_windows_give() -> None:
    alone = two_objects()
    list(alone.propagate())
    together = two_objects()
    together._tracker._advance._groups.size = 4
    list(together.propagate())
    for frame in range(10):
        for obj in (1, 2):
            assert (
                overlap(together.mask(obj, frame), alone.mask(obj, frame)) > 0.97
                or not alone.mask(obj, frame).any()
            )


def test_a_corrected_frame_sets_out_from_the_tracked_answer_in_its_window() -> None:
    session = two_objects()
    list(session.propagate())
    before = session.entry(1, 5)
    assert before is not None
    assert before.logits is not None
    looked_at = tuple(before.logits.window)
    session.set_prompts(1, 5, click(*places(5)))
    record = session._state.records[PromptKey(1, 5)]
    assert record.base is not None
    assert record.base.embedding is not None
    assert tuple(record.base.window or ()) == looked_at
    session.set_prompts(1, 5, FramePrompts())
    after = session.entry(1, 5)
    assert after is not None
    assert after.logits is not None
    np.testing.assert_array_equal(after.logits.render() > 0, before.logits.render() > 0)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_saved_session_gives_the_same_bits(tmp_path: Path, recompute: bool) -> None:
    session = corrected_session()
    session.save(tmp_path / "windows.sam2.json")
    again = Session.load(
        tmp_path / "windows.sam2.json", WAY.frames, SeeingFake().as_model(), recompute=recompute
    )
    np.testing.assert_array_equal(again.labels, session.labels)
    assert again._tracker.windows.rules == RULES
    for key in [(obj, frame) for obj in (1, 2) for frame in range(10)]:
        one, other = session.entry(*key), again.entry(*key)
        assert (one is None) == (other is None)
        if one and other and one.logits and other.logits:
            np.testing.assert_array_equal(one.logits.logits, other.logits.logits)
            assert one.logits.window == other.logits.window


def test_stopped_and_gone_on_with_gives_the_same_bits() -> None:
    whole = two_objects()
    list(whole.propagate())
    session = two_objects()
    for _ in range(20):
        steps = cast("Generator[FrameResult]", session.propagate())
        for _ in range(3):
            next(steps, None)
        steps.close()
    np.testing.assert_array_equal(session.labels, whole.labels)


@pytest.mark.usefixtures("one_at_a_time")
def test_beats_give_the_same_bits_and_name_every_encode() -> None:
    whole = two_objects()
    list(whole.propagate())
    session = two_objects()
    before = session.frames_encoded
    most = 0
    for step in session.track(beats=True):
        most = max(most, session.frames_encoded - before)
        before = session.frames_encoded
        if step is not None:
            session.apply(step)
    assert most == 1
    np.testing.assert_array_equal(session.labels, whole.labels)


def test_nano_follows_an_object_with_its_window() -> None:
    """The embedded network, on a spot that drifts over a noisy field eight times as wide as itself."""
    noise = np.random.default_rng(4).normal(0, 8, (14, 192, 192))
    seen = phantom((192, 192), [(40 + 1.5 * k, 40 + 1.5 * k) for k in range(14)], [12.0] * 14)
    images = np.clip(seen.frames * 0.6 + 30 + noise, 0, 255).astype(np.uint8)
    session = Session(images, model=load_model("nano"), view=WindowRules("window", 128))
    session.set_prompts(1, 0, click(40, 40))
    list(session.propagate())
    assert len({window_on(session, frame) for frame in range(14)}) > 1
    assert np.mean([overlap(session.mask(1, frame), seen.truth[frame]) for frame in range(14)]) > 0.6


def test_the_frame_view_is_what_it_was(fake_model: FakeModel) -> None:
    frames = plain_frames(6)
    views: tuple[View, ...] = ("frame", "auto")
    masks: list[NDArray[np.uint16]] = []
    for view in views:
        session = Session(frames, model=fake_model.as_model(), view=view)
        result = session.set_prompts(1, 2, click(10, 8))
        assert tuple(result.placed[0].window) == (0, 0, *SHAPE)
        list(session.propagate())
        masks.append(session.labels)
    np.testing.assert_array_equal(masks[0], masks[1])
