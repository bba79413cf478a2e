"""Image features in a folder: bit by bit, by what they are made from, within a size, whole at any time."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_sam2._model.results import ImageFeatures
from napari_sam2.device import Runtime
from napari_sam2.feature_store import FeatureStore
from napari_sam2.features import FeatureCache
from napari_sam2.passes import DIRECTIONS
from napari_sam2.placement import Box
from napari_sam2.session import Session
from napari_sam2.volume import Volume
from napari_sam2.window import WindowRules, Windows
from tests._model.small import small_model
from tests.fakes import FakeModel, click, noisy_frames, seeing_model
from tests.seeing import SeeingFake, phantom

LARGE = 2**30


def features_of(value: float, dtype: torch.dtype = torch.float32) -> ImageFeatures:
    maps = [torch.full((1, 4, side, side), value, dtype=dtype) for side in (8, 32, 16)]
    return ImageFeatures(maps[0], tuple(maps[1:]))


def pixels_of(value: int) -> NDArray[np.uint8]:
    return np.full((6, 5, 1), value, np.uint8)


def store_in(folder: Path, limit: int = LARGE, model: FakeModel | None = None) -> FeatureStore:
    return FeatureStore(folder, (model or FakeModel()).as_model(), limit=limit)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.features.safetensors"))


def same(first: ImageFeatures | None, second: ImageFeatures) -> bool:
    if first is None:
        return False
    pairs = zip((first.embedding, *first.high_res), (second.embedding, *second.high_res), strict=True)
    return all(torch.equal(a, b) and a.dtype == b.dtype for a, b in pairs)


# ---------------------------------------------------------------------- entries


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_what_is_kept_comes_back_bit_by_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    features = features_of(0.1, dtype)
    store_in(tmp_path).save("a", features)
    again = store_in(tmp_path)
    assert same(again.load("a"), features)
    assert again.load("b") is None
    assert again.found == 1


def test_a_row_of_a_batch_is_kept_alone(tmp_path: Path) -> None:
    both = ImageFeatures(torch.arange(32.0).reshape(2, 1, 4, 4), ())
    store = store_in(tmp_path)
    store.save("a", both.select(slice(1, 2)))
    assert same(store.load("a"), ImageFeatures(both.embedding[1:], ()))
    assert entries(tmp_path)[0].stat().st_size < 400


def test_the_name_tells_all_that_features_are_made_from(tmp_path: Path) -> None:
    other_weights, other_config, other_dtype = FakeModel(), FakeModel(exposure=0.5), FakeModel()
    other_weights.state_dict = lambda: {"weight": torch.zeros(1)}  # type: ignore[method-assign]
    other_dtype.runtime = Runtime(torch.device("cpu"), torch.bfloat16)
    pixels, store = pixels_of(7), store_in(tmp_path)
    names = [
        store_in(tmp_path, model=each).key(pixels, 64) for each in (other_weights, other_config, other_dtype)
    ]
    names += [store.key(pixels, 96), store.key(pixels_of(8), 64), store.key(pixels.astype(np.float32), 64)]
    names += [store.key(pixels.reshape(5, 6, 1), 64)]
    assert len({store.key(pixels, 64), *names}) == 8
    assert store_in(tmp_path).key(pixels.copy(), 64) == store.key(pixels, 64)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_entry_is_none_and_is_written_again(tmp_path: Path, damage: str) -> None:
    store = store_in(tmp_path)
    store.save("a", features_of(1))
    path = entries(tmp_path)[0]
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes({"cut": content[:-50], "flipped": content, "empty": bytearray()}[damage])
    assert store.load("a") is None
    assert not entries(tmp_path)
    store.save("a", features_of(1))
    assert same(store.load("a"), features_of(1))


def test_an_entry_of_another_user_is_read_and_left_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    store_in(tmp_path).save("a", features_of(1))
    monkeypatch.setattr(os, "utime", refuse)
    store = store_in(tmp_path)
    assert same(store.load("a"), features_of(1))
    assert store.found == 1
    assert len(entries(tmp_path)) == 1


def test_a_full_disk_is_told_once_and_ends_the_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> int:
        path.open("wb").close()
        raise OSError(28, "No space left on device")

    store = store_in(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.warns(UserWarning, match="not kept in .* any more: .*No space left") as told:
        store.save("a", features_of(1))
    store.save("b", features_of(1))
    assert len(told) == 1
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------- size


def test_the_folder_stays_within_its_limit_and_keeps_what_was_used_last(tmp_path: Path) -> None:
    store_in(tmp_path).save("one", features_of(0))
    size = entries(tmp_path)[0].stat().st_size
    entries(tmp_path)[0].unlink()
    store = store_in(tmp_path, limit=10 * size)
    for i in range(30):
        store.save(f"{i:02d}", features_of(i))
        assert store.load("00") is not None
        assert sum(path.stat().st_size for path in entries(tmp_path)) <= 10 * size
    kept = [path.name[:2] for path in entries(tmp_path)]
    assert len(kept) >= 8
    assert kept == ["00", *[f"{i:02d}" for i in range(31 - len(kept), 30)]]


def test_what_others_wrote_counts(tmp_path: Path) -> None:
    for i in range(8):
        store_in(tmp_path).save(f"old{i}", features_of(i))
    size = entries(tmp_path)[0].stat().st_size
    store_in(tmp_path, limit=4 * size).save("new", features_of(9))
    left = [path.name.split(".")[0] for path in entries(tmp_path)]
    assert "new" in left
    assert len(left) <= 4


def test_what_does_not_fit_at_all_is_not_kept(tmp_path: Path) -> None:
    store_in(tmp_path / "new", limit=100).save("a", features_of(1))
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="give 0 or more"):
        store_in(tmp_path, limit=-1)


def test_only_what_is_the_stores_own_is_deleted(tmp_path: Path) -> None:
    stranger = tmp_path / "images.tif"
    stranger.write_bytes(b"x" * 10000)
    forsaken, fresh = tmp_path / "1.features.part", tmp_path / "2.features.part"
    for path in (forsaken, fresh):
        path.write_bytes(b"x")
    os.utime(forsaken, (time.time() - 7200,) * 2)
    store_in(tmp_path).save("a", features_of(1))
    assert stranger.exists()
    assert fresh.exists()
    assert not forsaken.exists()


# -------------------------------------------------------------------- processes

_WRITE_FOR_EVER = """
import sys, torch
from pathlib import Path
from napari_sam2.feature_store import FeatureStore
from tests.test_feature_store import features_of, store_in
store = store_in(Path(sys.argv[1]), limit=int(sys.argv[2]))
for i in range(10**6):
    store.save(f"{i % 40:02d}", features_of(i % 40))
    if i == 0:
        print("begun", flush=True)
"""


def writer(folder: Path, limit: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITE_FOR_EVER, str(folder), str(limit)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    return process


def test_two_processes_write_read_and_delete_in_one_folder_and_one_is_killed(tmp_path: Path) -> None:
    """What is read is whole at any time, also after the kill."""
    process = writer(tmp_path, 150_000)  # about eight entries: both delete all the time
    store, found = store_in(tmp_path, limit=150_000), 0
    try:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            for i in range(40):
                features = store.load(f"{i:02d}")
                found += features is not None
                assert features is None or same(features, features_of(i))
                store.save(f"{i:02d}", features_of(i))
    finally:
        process.kill()
        process.communicate()
    assert found
    assert len(entries(tmp_path)) <= 16
    for path in entries(tmp_path):
        name = path.name[:2]
        assert same(store.load(name), features_of(int(name)))


# ---------------------------------------------------------------- in the package


def test_a_cache_reads_what_another_has_encoded_and_gives_the_same(tmp_path: Path) -> None:
    model, volume = small_model(), Volume(noisy_frames(4))
    first = FeatureCache(model, volume, store=FeatureStore(tmp_path, model, limit=LARGE))
    second = FeatureCache(model, volume, store=FeatureStore(tmp_path, model, limit=LARGE))
    first.get_all([(frame, None) for frame in range(4)])
    second.read_ahead([2])
    for frame in (2, 0, 3):
        assert same(second.get(frame), first.get(frame))
    second.stop_reading()
    assert (first.encoded, second.encoded) == (4, 0)


def test_windows_are_kept_by_what_they_show(tmp_path: Path) -> None:
    model, volume = small_model(), Volume(noisy_frames(2))
    windows = Windows(WindowRules("window", 64), volume.frame_shape, 64)
    options: dict[str, Any] = {"windows": windows, "store": FeatureStore(tmp_path, model, limit=LARGE)}
    sights = [(0, Box(0, 0, 12, 12)), (0, None), (0, Box(4, 4, 16, 16)), (1, Box(0, 0, 12, 12))]
    FeatureCache(model, volume, **options).get_all(sights)
    again = FeatureCache(model, volume, **options)
    again.get_all([*sights, (1, None)])
    assert again.encoded == 1


def tracked(folder: Path | None, **options: Any) -> Session:
    """A session that can hold the features of one frame only."""
    session = Session(noisy_frames(12), model=seeing_model(), view="frame", feature_folder=folder, **options)
    session.cache_bytes = 0
    session.set_prompts(1, 5, click(12, 10))
    list(session.propagate())
    return session


def test_no_frame_is_encoded_twice(tmp_path: Path) -> None:
    """Not for a correction, nor for what is tracked again, the other way, or in a new session."""
    session = tracked(tmp_path)
    assert session.frames_encoded == 12
    session.set_prompts(1, 9, click(8, 8))
    list(session.propagate())
    list(session.propagate(direction="forward"))
    list(session.propagate(direction="backward"))
    assert session.frames_encoded == 12
    again = tracked(tmp_path)
    assert again.frames_encoded == 0
    np.testing.assert_array_equal(again.labels, tracked(None).labels)


def test_what_fits_into_memory_is_not_encoded_twice_either() -> None:
    session = Session(noisy_frames(12), model=seeing_model(), view="frame")
    session.set_prompts(1, 5, click(12, 10))
    for direction in DIRECTIONS:
        list(session.propagate(direction=direction))
    assert session.frames_encoded == 12
    session.set_prompts(1, 9, click(8, 8))
    session.set_prompts(2, 0, click(3, 3))
    for direction in DIRECTIONS[::-1]:
        list(session.propagate(direction=direction))
    session.undo()
    session.set_prompts(1, 2, click(9, 8))
    list(session.propagate())
    assert session.frames_encoded == 12


def test_windows_of_more_objects_than_fit_into_memory_are_encoded_once_on_each_frame() -> None:
    def encoded(cache_bytes: int) -> int:
        still = [phantom((200, 200), [place] * 4, [8] * 4) for place in ((50.0, 50.0), (150.0, 150.0))]
        frames = np.maximum(still[0].frames, still[1].frames)
        rules = WindowRules("window", 64, 3, smallest=16)
        session = Session(frames, model=SeeingFake().as_model(), view=rules)
        session.set_prompts(1, 0, click(50, 50))
        session.set_prompts(2, 0, click(150, 150))
        session.cache_bytes = cache_bytes
        before = session.frames_encoded
        assert len(list(session.propagate())) == 4
        return session.frames_encoded - before

    # With room for one, those of the two prompts are encoded again for their memories, and no others.
    assert encoded(0) <= encoded(2**30) + 2


def test_windows_that_are_seen_again_are_not_encoded_again(tmp_path: Path) -> None:
    """Each is another picture, as long as the object moves; tracked again, they are the same ones."""
    options: dict[str, Any] = {"view": WindowRules("window", 64, smallest=8), "feature_folder": tmp_path}

    def run() -> Session:
        session = Session(noisy_frames(6), model=seeing_model(), **options)
        session.set_prompts(1, 2, click(12, 10))
        list(session.propagate())
        return session

    first = run()
    assert first.frames_encoded > 0
    assert run().frames_encoded == 0
    first.save(tmp_path / "cells.sam2.json")
    again = Session.load(
        tmp_path / "cells.sam2.json",
        noisy_frames(6),
        seeing_model(),
        recompute=True,
        feature_folder=tmp_path,
    )
    assert again.frames_encoded == 0
    np.testing.assert_array_equal(again.labels, first.labels)


def test_without_a_folder_frames_are_encoded_again() -> None:
    session = tracked(None)
    list(session.propagate(direction="forward"))
    assert session.frames_encoded > 12


def test_a_session_that_is_opened_again_encodes_nothing(tmp_path: Path) -> None:
    first = tracked(tmp_path / "features")
    first.save(tmp_path / "cells.sam2.json")
    again = Session.load(
        tmp_path / "cells.sam2.json",
        noisy_frames(12),
        seeing_model(),
        recompute=True,
        feature_folder=tmp_path / "features",
    )
    assert again.frames_encoded == 0
    np.testing.assert_array_equal(again.labels, first.labels)
    assert first.labels.any()


def test_the_folder_is_limited_through_the_session(tmp_path: Path) -> None:
    tracked(tmp_path, feature_bytes=100)
    assert not list(tmp_path.iterdir())
