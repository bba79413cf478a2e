"""Frames resized as the reference does, encoded once, read ahead, dropped beyond a budget."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_sam2.device import Runtime
from napari_sam2.features import FeatureCache, read_window, resize_frame
from napari_sam2.grouping import Groups
from napari_sam2.placement import Box
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules, Windows
from tests._model.small import small_model
from tests.fakes import BrokenFrames, FakeModel, plain_frames
from tests.seeing import SeeingFake


class NotedFrames:
    """Frames that note who read them."""

    def __init__(self, frames: NDArray[np.uint8]) -> None:
        self.frames = frames
        self.read: list[int] = []
        self.threads: list[str] = []

    def frame(self, index: int) -> NDArray[np.uint8]:
        self.read.append(index)
        self.threads.append(threading.current_thread().name)
        return np.expand_dims(self.frames[index], -1)


def cache_of(model: FakeModel, count: int = 8, **options: Any) -> tuple[FeatureCache, NotedFrames]:
    frames = NotedFrames(plain_frames(count))
    return FeatureCache(model.as_model(), frames, **options), frames


# --------------------------------------------------------------------- resizing


def test_a_frame_of_the_right_size_stays_as_it_is() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize_frame(frame, 16), frame.transpose(2, 0, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_plain_frame_stays_plain_in_every_channel(dtype: type) -> None:
    frame: NDArray[Any] = np.broadcast_to(np.array([10, 200, 77], dtype), (13, 29, 3))
    resized = resize_frame(frame, 32)
    assert resized.shape == (3, 32, 32)
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, np.broadcast_to([[[10]], [[200]], [[77]]], (3, 32, 32)), rtol=1e-6)


def test_eight_bit_frames_are_rounded_as_image_files_are_and_others_not() -> None:
    frame = np.random.default_rng(0).integers(100, 150, (20, 20, 1), dtype=np.uint8)
    rounded, exact = resize_frame(frame, 32), resize_frame(frame.astype(np.float32), 32)
    assert (rounded == np.round(rounded)).all()
    assert not (exact == np.round(exact)).all()
    assert np.abs(rounded - exact).max() <= 1


def test_rows_and_columns_are_stretched_each_by_its_own_factor() -> None:
    frame = np.zeros((8, 32, 1), np.float32)
    frame[:, 16:] = 255
    resized = resize_frame(frame, 16)[0]
    assert (resized[:, :6] < 30).all()
    assert (resized[:, 10:] > 225).all()


# ------------------------------------------------------------------------ cache


def test_a_frame_is_read_and_encoded_once(fake_model: FakeModel) -> None:
    cache, frames = cache_of(fake_model)
    first = cache.get(3)
    assert cache.get(3) is first
    assert frames.read == fake_model.encoded == [3]
    assert cache.encoded == 1
    assert 3 in cache
    assert 4 not in cache


def test_the_least_recently_used_frames_go_beyond_the_budget(fake_model: FakeModel) -> None:
    one = cache_of(fake_model)[0].get(0).nbytes
    cache, _ = cache_of(fake_model, budget=3 * one)
    for frame in (0, 1, 2, 0, 3):
        cache.get(frame)
    assert [frame for frame in range(4) if frame in cache] == [0, 2, 3]
    assert cache.nbytes == 3 * one


@given(st.lists(st.lists(st.integers(0, 7), min_size=1, max_size=5), max_size=12), st.integers(0, 9))
def test_bytes_are_those_of_what_is_kept(asked: list[list[int]], fit: int) -> None:
    model = FakeModel()
    one = cache_of(model)[0].get(0).nbytes
    cache, _ = cache_of(model, budget=fit * one)
    for frames in asked:
        cache.get_all([(frame, None) for frame in frames])
        kept = [frame for frame in range(8) if frame in cache]
        assert cache.nbytes == one * len(kept)
        assert len(kept) <= max(fit, 1)


def test_what_is_not_kept_is_encoded_in_groups(fake_model: FakeModel) -> None:
    cache, _ = cache_of(fake_model, groups=Groups(3, torch.device("cpu")))
    cache.get(4)
    counts = [cache.encoded for _ in cache.in_groups([(frame, None) for frame in (1, 4, 2, 2, 5, 6)])]
    assert counts == [1 + 3, 1 + 4]
    assert not list(cache.in_groups([(1, None), (6, None)]))


def test_the_newest_frame_is_kept_whatever_the_budget(fake_model: FakeModel) -> None:
    cache, _ = cache_of(fake_model, budget=0)
    for frame in range(4):
        cache.get(frame)
        assert frame in cache
    assert 2 not in cache


def test_a_frame_that_is_read_ahead_is_not_read_again(fake_model: FakeModel) -> None:
    cache, frames = cache_of(fake_model)
    cache.read_ahead([5, 6])
    cache.read_ahead([5])
    features = cache.get(5)
    assert frames.read == [5]
    assert frames.threads[0].startswith("napari-sam2-read")
    assert int(features.embedding.mean().round()) == 5
    cache.stop_reading()


def test_each_frame_of_a_sweep_is_read_once(fake_model: FakeModel) -> None:
    """The next frame is asked for before the one at hand is taken; skipped ones are forgotten."""
    cache, frames = cache_of(fake_model)
    for frame in range(7):
        cache.read_ahead([frame + 1])
        if frame != 4:
            cache.get(frame)
        assert len(cache._ahead) <= 2
    for last in cache._ahead.values():  # else it may be given up before it begins
        last.result()
    cache.stop_reading()
    assert sorted(frames.read) == list(range(8))


def test_frames_that_have_features_are_not_read_ahead(fake_model: FakeModel) -> None:
    cache, frames = cache_of(fake_model)
    cache.get(5)
    cache.read_ahead([5])
    cache.read_ahead([])
    cache.stop_reading()
    assert frames.read == [5]


def test_reading_goes_on_after_it_was_stopped(fake_model: FakeModel) -> None:
    cache, _ = cache_of(fake_model)
    for frame in (1, 2):
        cache.read_ahead([frame])
        cache.stop_reading()
        assert int(cache.get(frame).embedding.mean().round()) == frame
    assert not [t for t in threading.enumerate() if t.name.startswith("napari-sam2-read")]


def test_a_frame_that_cannot_be_read_is_told_and_tried_again(fake_model: FakeModel) -> None:
    broken = BrokenFrames(plain_frames(4), {2})
    cache = FeatureCache(fake_model.as_model(), Volume(broken))
    cache.read_ahead([2])
    for _ in range(2):
        with pytest.raises(OSError, match="frame 2"):
            cache.get(2)
    broken.broken.clear()
    assert int(cache.get(2).embedding.mean().round()) == 2
    cache.stop_reading()


# ---------------------------------------------------------------- real networks


def test_features_are_those_of_the_normalised_frame() -> None:
    model = small_model()
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64), dtype=np.uint8)
    features = FeatureCache(model, Volume(frames)).get(1)
    colours = torch.from_numpy(frames[1]).float().expand(1, 3, 64, 64) / 255
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    with torch.no_grad():
        expected = model.encode_image((colours - mean) / std)
    torch.testing.assert_close(features.embedding, expected.embedding)
    assert [level.shape for level in features.high_res] == [level.shape for level in expected.high_res]


def test_half_precision_is_close_to_full() -> None:
    model = small_model()
    volume = Volume(np.random.default_rng(0).integers(0, 256, (1, 64, 64), dtype=np.uint8))
    full = FeatureCache(model, volume).get(0).embedding
    model.runtime = Runtime(torch.device("cpu"), torch.bfloat16)
    half = FeatureCache(model, volume).get(0).embedding
    assert half.shape == full.shape
    torch.testing.assert_close(half.float(), full, atol=0.2, rtol=0.1)


# --------------------------------------------------------------------- windows


def windowed_cache(model: SeeingFake, shape: tuple[int, int] = (80, 60)) -> tuple[FeatureCache, Volume]:
    frames = np.random.default_rng(2).integers(0, 256, (5, *shape), dtype=np.uint8)
    volume = Volume(frames)
    windows = Windows(WindowRules("window", 64), shape, 96)
    return FeatureCache(model.as_model(), volume, windows=windows), volume


def test_windows_are_encoded_at_their_own_size_and_kept_by_frame_and_window() -> None:
    fake = SeeingFake(image_size=96)
    cache, _ = windowed_cache(fake)
    first, second = Box(0, 0, 30, 30), Box(10, 10, 40, 40)
    cache.get(1, first)
    cache.get(1, second)
    cache.get(2, first)
    assert cache.get(1, first) is cache.get(1, first)
    cache.get(1, Box(0, 0, 80, 60))
    assert cache.get(1) is cache.get(1, Box(0, 0, 80, 60))
    assert cache.encoded == 4
    assert fake.sides == [64, 64, 64, 96]
    assert cache.has(2, first)
    assert not cache.has(2, second)


def test_windows_that_are_asked_for_together_are_those_that_are_asked_for_alone() -> None:
    fake, alone = SeeingFake(), SeeingFake()
    cache, _ = windowed_cache(fake)
    sights = [(1, Box(0, 0, 30, 30)), (2, None), (1, Box(0, 0, 30, 30)), (3, Box(5, 5, 35, 35))]
    together = cache.get_all(sights)
    assert cache.encoded == 3
    other, _ = windowed_cache(alone)
    for (frame, window), features in zip(sights, together, strict=True):
        torch.testing.assert_close(features.embedding, other.get(frame, window).embedding)


@pytest.mark.parametrize("is_lazy", [True, False])
def test_a_window_that_sticks_out_goes_on_with_the_values_at_the_border(is_lazy: bool) -> None:
    _, volume = windowed_cache(SeeingFake())
    source = volume if is_lazy else NotedFrames(np.asarray(volume.data))
    window = Box(-10, 20, 90, 50)
    seen = read_window(source, 1, window, (80, 60))[..., 0]
    frame = volume.frame(1)[..., 0]
    assert seen.shape == (100, 30)
    np.testing.assert_array_equal(seen[10:90], frame[:, 20:50])
    np.testing.assert_array_equal(seen[:10], np.broadcast_to(frame[0, 20:50], (10, 30)))
    np.testing.assert_array_equal(seen[90:], np.broadcast_to(frame[-1, 20:50], (10, 30)))


def test_a_window_beside_the_frame_is_an_error() -> None:
    _, volume = windowed_cache(SeeingFake())
    with pytest.raises(ValueError, match="does not lie"):
        read_window(volume, 1, Box(200, 0, 230, 30), (80, 60))


def test_windows_are_read_ahead() -> None:
    fake = SeeingFake()
    cache, volume = windowed_cache(fake)
    window = Box(0, 0, 30, 30)
    cache.read_ahead([3], [window, None, window])
    assert set(cache._ahead) == {(3, window), (3, None)}
    read = cache.get(3, window).embedding
    cache.stop_reading()
    fresh, _ = windowed_cache(fake)
    torch.testing.assert_close(read, fresh.get(3, window).embedding)
    assert volume.num_frames == 5
