"""Jumps of the field: told from objects that move by themselves, and followed by windows and memories."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_sam2 import Session, load_model
from napari_sam2._tracking.field_jumps import FieldJumps
from napari_sam2._tracking.motion import Motion
from napari_sam2.features import FeatureCache
from napari_sam2.metrics import choose_objects, jaccard
from napari_sam2.placement import AT_REST, Box, Jump
from napari_sam2.prompts import FramePrompts
from napari_sam2.samples import SampleSequence, nuclei_stack
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules, Windows
from tests.fakes import seeing_model
from tests.jumping import jumping

Images = NDArray[np.uint8]
SIDE = 256
WINDOW, BOX = Box(96, 88, 156, 148), Box(114, 106, 138, 130)


def scene(seed: int = 5) -> NDArray[np.float64]:
    """Clouds, larger than a frame on all sides."""
    rng = np.random.default_rng(seed)
    coarse, fine = (np.kron(rng.uniform(0, 60, (n, n)), np.ones((512 // n,) * 2)) for n in (32, 128))
    return 40 + coarse + fine


def seen(*jumps: Jump, seed: int = 5) -> Images:
    """What a camera sees that stands elsewhere on each frame, with noise of its own on each."""
    frames = [scene(seed)[128 - y : 128 - y + SIDE, 128 - x : 128 - x + SIDE] for y, x in jumps]
    noise = np.random.default_rng(1).normal(0, 6, (len(jumps), SIDE, SIDE))
    return np.clip(np.array(frames) + noise, 0, 255).astype(np.uint8)


def with_disc(frame: Images, y: float, x: float) -> Images:
    """Put a bright disc onto a frame."""
    rows, columns = np.ogrid[:SIDE, :SIDE]
    return np.where((rows - y) ** 2 + (columns - x) ** 2 < 144, 240, frame).astype(np.uint8)


def jumps_of(frames: Images) -> FieldJumps:
    windows = Windows(WindowRules("window"), (SIDE, SIDE), 64)
    return FieldJumps(FeatureCache(seeing_model(), Volume(frames), windows=windows), windows)


def measured(frames: Images) -> Jump:
    return jumps_of(frames).between(0, 1, WINDOW, BOX)


# ------------------------------------------------------------------ what is told


@given(st.integers(-60, 60), st.integers(-60, 60), st.integers(0, 9))
@settings(max_examples=30, deadline=None)
def test_a_jump_is_measured_to_a_cell(down: int, right: int, seed: int) -> None:
    told = measured(seen(AT_REST, Jump(down, right), seed=seed))
    cell = 4 * 60 / 128
    if told == AT_REST:
        assert max(abs(down), abs(right)) < 0.2 * 60, "small ones are the network's to follow"
    else:
        assert abs(told.down - down) <= cell
        assert abs(told.right - right) <= cell


@pytest.mark.parametrize(
    "box", [Box(126, 118, 127, 119), Box(100, 90, 101, 145), Box(96, 88, 156, 148), Box(0, 0, 256, 256)]
)
def test_objects_of_any_form_are_set_apart(box: Box) -> None:
    frames = seen(AT_REST, Jump(20, 20))
    told = jumps_of(frames).between(0, 1, WINDOW, box)
    assert told in (AT_REST, Jump(*(round(k * 240 / 128) for k in (11, 11))))


def test_frames_that_show_other_things_do_not_jump() -> None:
    assert measured(np.concatenate([seen(AT_REST), seen(AT_REST, seed=6)])) == AT_REST


def test_noise_and_black_frames_do_not_jump() -> None:
    dark = np.random.default_rng(0).integers(0, 9, (1, SIDE, SIDE), np.uint8)
    for bad in (dark, np.zeros_like(dark)):
        assert measured(np.concatenate([seen(AT_REST), bad])) == AT_REST
        assert measured(np.concatenate([bad, seen(AT_REST)])) == AT_REST


def test_an_object_that_moves_by_itself_is_no_jump() -> None:
    one, other = seen(AT_REST, AT_REST)
    assert measured(np.stack([with_disc(one, 126, 118), with_disc(other, 150, 130)])) == AT_REST
    flat = np.full((SIDE, SIDE), 20, np.uint8)
    assert measured(np.stack([with_disc(flat, 126, 118), with_disc(flat, 150, 130)])) == AT_REST


def test_the_only_neighbour_that_moves_is_no_jump() -> None:
    flat = np.full((SIDE, SIDE), 20, np.uint8)
    before = with_disc(with_disc(flat, 126, 118), 70, 90)
    after = with_disc(with_disc(flat, 134, 128), 96, 66)
    assert measured(np.stack([before, after])) == AT_REST


def test_a_calm_frame_costs_a_glance_at_the_window() -> None:
    looked: list[Box | None] = []

    class Noted(FeatureCache):
        def glance(self, frame: int, window: Box | None, side: int) -> NDArray[np.float32]:
            looked.append(window)
            return super().glance(frame, window, side)

    windows = Windows(WindowRules("window"), (SIDE, SIDE), 64)
    cache = Noted(seeing_model(), Volume(seen(AT_REST, Jump(2, 1))), windows=windows)
    assert FieldJumps(cache, windows).between(0, 1, WINDOW, BOX) == AT_REST
    assert looked == [WINDOW, WINDOW]


def test_a_jump_goes_there_and_back() -> None:
    there, back = Jump(3, -7), Jump(-3, 7)
    assert there.plus(back) == there.minus(there) == AT_REST
    assert there.moved(Box(1, 2, 5, 9)) == Box(4, -5, 8, 2)
    assert back.moved(there.moved(WINDOW)) == WINDOW


def test_what_is_known_of_a_motion_goes_along() -> None:
    here, there = (Motion.at(Box(10, 20, 30, 50)).seen(Box(12, 22, 32, 52)) for _ in range(2))
    assert there.moved(Jump(5, -6)).agreement(Jump(5, -6).moved(Box(12, 22, 32, 52))) == pytest.approx(
        here.agreement(Box(12, 22, 32, 52))
    )
    assert there.moved(Jump(5, -6)).row.velocity == here.row.velocity


# -------------------------------------------------------------------- the tracks


def tracked(stack: SampleSequence) -> Session:
    """Click on six nuclei, each where it is largest, and track them."""
    session = Session(stack.images, model=load_model("nano", device="cpu"), view="window")
    for obj in choose_objects(stack.labels)[:6]:
        point = float(obj.click.y), float(obj.click.x)
        session.set_prompts(obj.id, obj.seed, FramePrompts(points=(point,), positive=(True,)))
    list(session.propagate())
    return session


def mean_j(stack: SampleSequence, session: Session) -> float:
    return float(
        np.mean(
            [
                jaccard(session.mask(obj.id, t), stack.labels[t] == obj.id)
                for obj in choose_objects(stack.labels)[:6]
                for t in range(obj.first, obj.last + 1)
            ]
        )
    )


@pytest.fixture(scope="module")
def stack() -> SampleSequence:
    return nuclei_stack(14, (160, 160), 8, seed=3)


def test_tracks_go_on_after_the_field_has_jumped(
    stack: SampleSequence, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = jumping(stack, 7, 20)
    steady, followed = mean_j(stack, tracked(stack)), mean_j(moved, tracked(moved))
    monkeypatch.setattr(FieldJumps, "between", lambda *_: AT_REST)
    lost = mean_j(moved, tracked(moved))
    assert lost < steady - 0.2
    assert followed > steady - 0.08


def test_without_jumps_nothing_is_different(stack: SampleSequence, monkeypatch: pytest.MonkeyPatch) -> None:
    following = tracked(stack).labels
    monkeypatch.setattr(FieldJumps, "between", lambda *_: AT_REST)
    np.testing.assert_array_equal(following, tracked(stack).labels)
