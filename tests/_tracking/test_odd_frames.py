"""Bad frames: told from the end of an object, and looked at by no other frame."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_sam2 import Session, load_model
from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._tracking.odd_frames import OddFrames, likeness
from napari_sam2._tracking.stepping import memory_rules
from napari_sam2.features import FeatureCache
from napari_sam2.metrics import choose_objects, jaccard
from napari_sam2.placement import Box
from napari_sam2.prompts import FramePrompts
from napari_sam2.samples import SampleSequence, nuclei_stack
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules, Windows
from tests.fakes import seeing_model

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2

Frames = NDArray[np.uint8]
WINDOW = Box(8, 16, 56, 64)


def scenes(count: int = 9) -> Frames:
    """Clouds that change a little from frame to frame, with a disc on the first half of them."""
    rng = np.random.default_rng(5)
    base, more = (np.kron(rng.uniform(40, 120, (8, 10)), np.ones((8, 8))) for _ in range(2))
    y, x = np.ogrid[:64, :80]
    disc = (y - 32) ** 2 + (x - 40) ** 2 < 64
    frames = [base + 0.05 * t * more + 60 * disc * (t <= count // 2) for t in range(count)]
    return np.clip(np.array(frames) + rng.normal(0, 4, (count, 64, 80)), 0, 255).astype(np.uint8)


def spoilt(frames: Frames, *bad: int) -> Frames:
    """Make some frames those of a camera in the dark."""
    dark = frames.copy()
    for t in bad:
        dark[t] = np.random.default_rng(t).integers(0, 12, frames[t].shape, np.uint8)
    return dark


def cache(frames: Frames) -> FeatureCache:
    windows = Windows(WindowRules("window"), (64, 80), 64)
    return FeatureCache(seeing_model(), Volume(frames), windows=windows)


def odd(frames: Frames) -> OddFrames:
    return OddFrames(cache(frames), len(frames))


# ------------------------------------------------------------------ the frames


@given(st.integers(0, 99), st.floats(0.2, 3), st.floats(-50, 50))
def test_brightness_and_contrast_make_no_difference(seed: int, gain: float, offset: float) -> None:
    one = np.random.default_rng(seed).uniform(0, 100, (1, 8, 8)).astype(np.float32)
    assert likeness(one, (gain * one + offset).astype(np.float32)) == pytest.approx(1, abs=1e-3)
    assert likeness(one, 100 - one) == pytest.approx(-1, abs=1e-3)


def test_what_is_flat_resembles_nothing() -> None:
    flat, one = np.full((1, 4, 4), 7, np.float32), np.eye(4, dtype=np.float32)[None]
    assert likeness(flat, flat) == likeness(flat, one) == 0


@pytest.mark.parametrize("step", [1, -1])
def test_a_dark_frame_is_odd_in_either_direction(step: int) -> None:
    assert odd(spoilt(scenes(), 4)).is_odd(4, 4 - step, WINDOW)


@pytest.mark.parametrize("step", [1, -1])
def test_two_dark_frames_are_odd_one_after_the_other(step: int) -> None:
    bad = (4, 4 + step)
    told = odd(spoilt(scenes(), *bad))
    assert [told.is_odd(t, 4 - step, WINDOW) for t in bad] == [True, True]


def test_a_frame_on_which_only_the_object_is_missing_is_not_odd() -> None:
    frames = scenes()
    assert np.abs(frames[4].astype(int) - frames[5]).max() > 50
    told = odd(frames)
    assert not told.is_odd(5, 4, WINDOW)
    assert not told.is_odd(4, 5, WINDOW)


def test_where_the_scene_does_not_come_back_no_frame_is_odd() -> None:
    frames = scenes()
    assert not odd(spoilt(frames, *range(4, 9))).is_odd(4, 3, WINDOW)
    assert not odd(spoilt(frames, 8)).is_odd(8, 7, WINDOW), "nothing comes after it"
    assert not odd(spoilt(frames, 0)).is_odd(0, 1, WINDOW), "nothing comes before it"


def test_many_objects_of_a_whole_frame_read_it_once() -> None:
    read: list[int] = []

    class Counted(Volume):
        def frame(self, i: int) -> Any:
            read.append(i)
            return super().frame(i)

    frames = Counted(spoilt(scenes(), 4, 5))
    windows = Windows(WindowRules("frame"), (64, 80), 64)
    told = OddFrames(FeatureCache(seeing_model(), frames, windows=windows), len(scenes()))
    assert all(told.is_odd(4, 3, windows.whole) for _ in range(16))
    assert read == [3, 4, 5, 6]


def test_a_glance_reads_the_window_and_encodes_nothing() -> None:
    frames, seen = scenes(), cache(scenes())
    half = seen.glance(3, WINDOW, 24)
    assert half.shape == (1, 24, 24)
    assert half.mean() == pytest.approx(frames[3][WINDOW.slices].mean(), abs=1)
    assert seen.glance(3, None, 16).shape == (1, 16, 16)
    assert seen.encoded == 0


# ------------------------------------------------------------------- the tracks


def test_small_networks_forgive_bad_frames_and_released_ones_remember_as_published() -> None:
    assert memory_rules(load_model("nano", device="cpu")).selection.blinks
    for config in RELEASED_CONFIGS.values():
        assert memory_rules(cast("Sam2", SimpleNamespace(config=config))).selection.is_plain


def tracked(stack: SampleSequence, images: NDArray[Any], memory: str | None) -> Session:
    """Click on six nuclei, each where it is largest, and track them."""
    session = Session(images, model=load_model("nano", device="cpu"), view="window", memory=memory)
    for obj in choose_objects(stack.labels)[:6]:
        point = float(obj.click.y), float(obj.click.x)
        session.set_prompts(obj.id, obj.seed, FramePrompts(points=(point,), positive=(True,)))
    list(session.propagate())
    return session


def beyond(stack: SampleSequence, session: Session, bad: int) -> float:
    """Return the mean J of the frames that tracks come to past a frame."""
    return float(
        np.mean(
            [
                jaccard(session.mask(obj.id, t), stack.labels[t] == obj.id)
                for obj in choose_objects(stack.labels)[:6]
                for t in range(len(stack.labels))
                if (stack.labels[t] == obj.id).any() and t != bad and (t < bad) != (obj.seed < bad)
            ]
        )
    )


def test_a_dark_slice_does_not_end_the_tracks() -> None:
    stack = nuclei_stack(16, (128, 128), 8, seed=3)
    bad = 8
    images = stack.images.copy()
    images[bad] = np.random.default_rng(0).permuted(images[bad].ravel()).reshape(128, 128) // 8
    whole, plain, blinks = (
        beyond(stack, tracked(stack, each, memory), bad)
        for each, memory in ((stack.images, None), (images, "plain"), (images, None))
    )
    assert plain < 0.2 * whole
    assert blinks > 0.8 * whole


def test_without_bad_frames_nothing_is_different() -> None:
    stack = nuclei_stack(12, (96, 96), 8, seed=4)
    plain, blinks = (tracked(stack, stack.images, memory) for memory in ("plain", "blinks"))
    np.testing.assert_array_equal(plain.labels, blinks.labels)
    assert replace(blinks._tracker.rules.selection, blinks=False).is_plain
