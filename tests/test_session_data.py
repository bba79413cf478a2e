"""Sessions over what people have: one frame, dask, zarr, 16 bits, colour, labels of their own; threads."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import torch
import zarr

from napari_sam2.device import Runtime
from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from napari_sam2.volume import Volume
from tests.fakes import SHAPE, FakeModel, ManyFrames, click, noisy_frames, plain_frames, seeing_model

COUNT = 10
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)


def tracked(data: Any, **options: Any) -> Session:
    session = Session(data, model=REAL, **options)
    session.set_prompts(1, 4, click(10, 8))
    run(session)
    return session


def run(session: Session, **options: Any) -> int:
    return len(list(session.propagate(**options)))


def stored(kind: str) -> Any:
    if kind == "dask":
        return da.from_array(IMAGES, chunks=(3, 10, 10))  # type: ignore[no-untyped-call]
    if kind == "zarr":
        return zarr.array(IMAGES, chunks=(1, *SHAPE))
    return Volume(IMAGES) if kind == "volume" else IMAGES.tolist()


# ------------------------------------------------------------------------- data


def test_a_single_image_is_one_frame() -> None:
    session = Session(IMAGES[4], model=REAL)
    result = session.set_prompts(1, 0, click(10, 8))
    assert run(session) == 0
    assert session.labels.shape == (1, *SHAPE)
    np.testing.assert_array_equal(session.labels, result.masks)


def test_a_sequence_of_one_frame() -> None:
    session = Session(IMAGES[4:5], model=REAL)
    session.set_prompts(1, 0, click(10, 8))
    session.set_prompts(2, 0, click(20, 15))
    assert [run(session, direction=d) for d in ("both", "forward", "backward")] == [0, 0, 0]
    np.testing.assert_array_equal(np.unique(session.labels), [0, 1, 2])


@pytest.mark.parametrize("kind", ["dask", "zarr", "volume", "list"])
def test_the_same_images_give_the_same_labels_wherever_they_lie(kind: str) -> None:
    options = {"contrast": (0, 255)} if kind == "list" else {}
    whole = tracked(IMAGES.astype(int), **options) if options else tracked(IMAGES)
    np.testing.assert_array_equal(tracked(stored(kind), **options).labels, whole.labels)


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arrays of a gigabyte be refused, whatever this machine has."""
    zeros = np.zeros

    def refuse(shape: Any, *rest: Any, **options: Any) -> Any:
        if np.prod(shape) > 2**30:
            raise MemoryError
        return zeros(shape, *rest, **options)

    monkeypatch.setattr(np, "zeros", refuse)


@pytest.mark.usefixtures("little_memory")
def test_100_gigabytes_open_at_once_and_are_read_by_the_frame() -> None:
    frames = ManyFrames()
    begun = time.process_time()
    session = Session(frames.as_dask(), model=REAL, view="frame")
    assert time.process_time() - begun < 1
    assert len(frames.read) <= 16  # for the contrast
    frames.read.clear()
    session.set_prompts(1, 12_345, click(1000, 500))
    assert run(session, frames=range(12_343, 12_348)) == 5
    assert sorted(frames.read) == [*range(12_343, 12_348)]
    assert session.labels.nbytes > 100e9
    assert session.labels[12_347].any()


def test_sixteen_bits_are_windowed_once_and_for_all_frames() -> None:
    session = tracked(IMAGES.astype(np.uint16) * 200 + 1000)
    scaled = tracked(IMAGES.astype(np.uint16) * 20)
    assert session.volume.contrast is not None
    agreement = (session.labels == scaled.labels).mean()
    assert agreement > 0.99


def test_frames_lie_along_any_axis() -> None:
    np.testing.assert_array_equal(tracked(IMAGES.transpose(1, 0, 2), axis=1).labels, tracked(IMAGES).labels)


def test_four_axes_need_an_index() -> None:
    stack = np.stack([IMAGES, IMAGES[::-1]])
    with pytest.raises(ValueError, match="index="):
        Session(stack, model=REAL, axis=1)
    np.testing.assert_array_equal(tracked(stack, axis=1, index={0: 0}).labels, tracked(IMAGES).labels)


def test_grey_as_colour_is_grey() -> None:
    colour = np.repeat(IMAGES[..., None], 3, axis=-1)
    np.testing.assert_array_equal(tracked(colour).labels, tracked(IMAGES).labels)


@pytest.mark.parametrize("frames", [slice(None), 4])
def test_colours_are_what_the_file_calls_so(tmp_path: Path, frames: slice | int) -> None:
    colour = np.repeat(IMAGES[frames, ..., None].astype(np.uint16), 3, axis=-1)
    tifffile.imwrite(tmp_path / "cells.tif", colour, photometric="rgb")
    volume = Session.open(tmp_path / "cells.tif", model=REAL).volume
    assert (volume.shape[1:], volume.channels) == (IMAGES.shape[1:], 3)
    red = Session.open(tmp_path / "cells.tif", model=REAL, channel=0).volume
    assert (red.shape, red.channels) == (volume.shape, 1)
    fixed = Session.open(tmp_path / "cells.tif", model=REAL, index={-1: 0}).volume
    assert (fixed.shape, fixed.channels) == (volume.shape, 1)


def test_frames_lie_where_the_file_says(tmp_path: Path) -> None:
    both = np.stack([np.zeros_like(IMAGES), IMAGES])
    tifffile.imwrite(tmp_path / "cells.ome.tif", both, metadata={"axes": "CZYX"}, photometric="minisblack")
    session = Session.open(tmp_path / "cells.ome.tif", model=REAL, channel=1)
    assert session.volume.options()["axis"] == 1
    session.set_prompts(1, 4, click(10, 8))
    run(session)
    np.testing.assert_array_equal(session.labels, tracked(IMAGES).labels)
    crossed = Session.open(tmp_path / "cells.ome.tif", model=REAL, axis=0, index={1: 4})
    assert crossed.volume.num_frames == 2


def test_images_are_opened_from_files(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "cells.tif", IMAGES)
    session = Session.open(tmp_path / "cells.tif", model=REAL)
    session.set_prompts(1, 4, click(10, 8))
    run(session)
    np.testing.assert_array_equal(session.labels, tracked(IMAGES).labels)
    assert session.location == str(tmp_path / "cells.tif")


def test_only_the_frames_that_are_needed_are_read(fake_model: FakeModel) -> None:
    session = Session(plain_frames(COUNT), model=fake_model.as_model())
    session.set_prompts(1, 4, click(10, 8))
    run(session, frames=range(5, 7))
    assert sorted(fake_model.encoded) == [4, 5, 6]


def test_half_precision_tracks() -> None:
    model = seeing_model()
    model.runtime = Runtime(torch.device("cpu"), torch.bfloat16)
    session = Session(IMAGES, model=model)
    session.set_prompts(1, 4, click(10, 8))
    run(session)
    session.set_prompts(1, 7, click(3, 3))
    run(session)
    assert session.labels.any(axis=(1, 2)).all()


def test_image_mode_tracks_without_memory() -> None:
    session = Session(IMAGES, model=seeing_model(memory_frames=0))
    session.set_prompts(1, 4, click(10, 8))
    assert run(session) == COUNT
    session.set_prompts(1, 7, click(3, 3))
    run(session)


# ----------------------------------------------------------------------- labels


@pytest.mark.parametrize("kind", ["uint8", "int64", "zarr"])
def test_labels_are_written_into_the_array_that_is_given(kind: str) -> None:
    shape = (COUNT, *SHAPE)
    target = zarr.zeros(shape, dtype="uint16", chunks=(1, 8, 8)) if kind == "zarr" else np.zeros(shape, kind)
    session = tracked(IMAGES, labels=target)
    assert session.labels is target
    np.testing.assert_array_equal(np.asarray(target[...]), tracked(IMAGES).labels)


def test_labels_grow_where_an_id_needs_it() -> None:
    session = tracked(IMAGES)
    assert session.labels.dtype == np.uint16
    before = session.labels.copy()
    session.paint(70_000, 2, np.eye(*SHAPE, dtype=bool))
    assert session.labels.dtype == np.uint32
    np.testing.assert_array_equal(np.delete(session.labels, 2, axis=0), np.delete(before, 2, axis=0))


def test_labels_of_another_shape_or_type_are_refused() -> None:
    with pytest.raises(ValueError, match="shape of the images"):
        Session(IMAGES, model=REAL, labels=np.zeros((COUNT, 4, 4), np.uint16))
    with pytest.raises(TypeError, match="integers"):
        Session(IMAGES, model=REAL, labels=np.zeros((COUNT, *SHAPE)))


def test_where_objects_meet_the_higher_logit_wins_whatever_came_first() -> None:
    sessions = []
    for order in ((1, 2), (2, 1)):
        session = Session(IMAGES, model=REAL)
        for obj in order:
            session.set_prompts(obj, 4, click(10, 6 * obj))
            run(session, objects=[obj])
        sessions.append(session)
    both = sessions[0].mask(1, 4) & sessions[0].mask(2, 4)
    assert both.any()
    np.testing.assert_array_equal(sessions[0].labels, sessions[1].labels)


# ---------------------------------------------------------------------- threads


def test_prompts_from_another_thread_while_it_runs() -> None:
    session, other = Session(IMAGES, model=REAL), Session(IMAGES, model=REAL)
    for each in (session, other):
        each.set_prompts(1, 4, click(10, 8))
    errors: list[BaseException] = []
    begun = threading.Event()

    def click_around() -> None:
        try:
            begun.wait(10)
            for frame in range(COUNT):
                session.set_prompts(2, frame, click(20, 15))
                session.mask(1, frame)
                session.set_prompts(2, frame, FramePrompts())
            session.set_prompts(2, 6, click(3, 3))
        except BaseException as error:  # noqa: BLE001 - for the thread that tests
            errors.append(error)

    thread = threading.Thread(target=click_around)
    thread.start()
    for _ in session.propagate():
        begun.set()
    thread.join(30)
    assert not errors
    run(session)
    other.set_prompts(2, 6, click(3, 3))
    run(other)
    np.testing.assert_array_equal(session.labels, other.labels)


def test_several_threads_can_propagate_at_once() -> None:
    session, other = Session(IMAGES, model=REAL), Session(IMAGES, model=REAL)
    for each in (session, other):
        for obj in (1, 2, 3):
            each.set_prompts(obj, 3 * obj - 2, click(6 * obj, 5 * obj))
    errors: list[BaseException] = []

    def propagate(obj: int) -> None:
        try:
            run(session, objects=[obj])
        except BaseException as error:  # noqa: BLE001 - for the thread that tests
            errors.append(error)

    threads = [threading.Thread(target=propagate, args=(obj,)) for obj in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not errors
    run(session)
    run(other)
    np.testing.assert_array_equal(session.labels, other.labels)


def test_the_thread_that_reads_ends_with_the_propagation() -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 4, click(10, 8))
    steps = session.propagate()
    next(steps)
    steps.close()  # type: ignore[attr-defined]  # a generator
    run(session)
    assert not [thread for thread in threading.enumerate() if "napari-sam2" in thread.name]
