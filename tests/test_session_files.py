"""Sessions on disk: back bit for bit, and tracked again to the same bits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr

from napari_sam2._model.weights import save_model
from napari_sam2._session import document as session_document
from napari_sam2._session import saved as session_saved
from napari_sam2._tracking.conditioning import Base
from napari_sam2.cleanup import Cleanup
from napari_sam2.device import Runtime
from napari_sam2.io import journal, open_image, read_description, session_file
from napari_sam2.lineage import Life
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.selection import SelectionRules
from napari_sam2.session import Session
from napari_sam2.window import WindowRules
from tests.fakes import SHAPE, absent, click, noisy_frames, seeing_model

pytestmark = pytest.mark.usefixtures(
    "one_at_a_time"
)  # else the last bits depend on how many threads there are
COUNT = 10
REAL = seeing_model()
IMAGES = noisy_frames(COUNT)
Facts = dict[PromptKey, tuple[object, ...]]


def square(y: int, x: int) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[y : y + 6, x : x + 4] = True
    return mask


def busy_session(**options: Any) -> Session:
    """Use everything once: clicks, boxes, masks, corrections, paint, locks, ends, sweeps, stops."""
    session = Session(IMAGES, model=REAL, **options)
    session.set_prompts(1, 4, click(10, 8))
    session.set_prompts(2, 6, FramePrompts(box=(2, 3, 12, 15), points=((4, 5),), positive=(True,)))
    run(session)
    session.set_prompts(1, 7, click(3, 3, (20, 10, False)))
    session.set_prompts(300, 2, FramePrompts(mask=square(9, 9)))
    run(session, direction="forward", objects=[300])
    run(session)
    session.lock(2, 3)
    session.paint(2, 8, square(1, 2))
    session.set_prompts(300, 5, absent())
    session.lock(1, 4)
    for _, _result in zip(range(4), session.propagate(), strict=False):
        pass
    return session


def run(session: Session, **options: Any) -> int:
    return len(list(session.propagate(**options)))


def facts(session: Session) -> Facts:
    found: Facts = {}
    for obj in session.objects:
        for frame in range(COUNT):
            entry = session.entry(obj, frame)
            if entry is not None:
                logits = entry.logits.logits.tobytes() if entry.logits else None
                painted = entry.painted.unpack().tobytes() if entry.painted else None
                state = (entry.locked, entry.provenance, entry.score, entry.presence)
                found[PromptKey(obj, frame)] = (logits, painted, *state)
    return found


def assert_same(first: Session, second: Session) -> None:
    np.testing.assert_array_equal(first.labels, second.labels)
    assert first.labels.dtype == second.labels.dtype
    assert first.prompts == second.prompts
    assert facts(first) == facts(second)


def saved(session: Session, folder: Path) -> Path:
    path = folder / "cells.sam2.json"
    session.save(path)
    return path


# ------------------------------------------------------------------- round trip


def test_what_is_noted_beside_a_session_is_read_without_it(tmp_path: Path) -> None:
    session = busy_session()
    path = saved(session, tmp_path)
    assert read_description(path).remarks == {}
    session.save(path, together="one", number=3)
    assert read_description(path).remarks == {"together": "one", "number": 3}
    assert_same(Session.load(path, IMAGES, REAL), session)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_session_comes_back_bit_for_bit(tmp_path: Path, recompute: bool) -> None:
    session = busy_session()
    loaded = Session.load(saved(session, tmp_path), IMAGES, REAL, recompute=recompute)
    assert_same(loaded, session)


@pytest.mark.parametrize("recompute", [False, True])
def test_a_loaded_session_goes_on_as_the_saved_one_does(tmp_path: Path, recompute: bool) -> None:
    session = busy_session()
    loaded = Session.load(saved(session, tmp_path), IMAGES, REAL, recompute=recompute)
    for each in (session, loaded):
        run(each)
        each.set_prompts(1, 7, click(3, 3))  # from the tracked mask of its first correction
        each.unlock(1, 4)
        each.set_prompts(2, 6, FramePrompts())
        run(each)
    assert_same(loaded, session)


def test_sessions_with_masks_as_pixels_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_document, "mask_arrays", lambda name, mask: {name: mask.unpack()})
    monkeypatch.setattr(session_file, "VERSION", 2)
    monkeypatch.setattr(journal, "VERSION", 1)
    session = busy_session()
    path, folder = saved(session, tmp_path), tmp_path / "auto"
    session.autosave(folder)
    monkeypatch.undo()
    assert_same(Session.load(path, IMAGES, REAL), session)
    assert_same(Session.load(folder, IMAGES, REAL), session)


def test_a_finished_session_is_not_tracked_again(tmp_path: Path) -> None:
    session = busy_session()
    run(session)
    loaded = Session.load(saved(session, tmp_path), IMAGES, REAL)
    assert run(loaded) == 0
    assert loaded.frames_encoded == 0


def test_tracking_again_really_tracks(tmp_path: Path) -> None:
    session = busy_session()
    path = saved(session, tmp_path)
    loaded = Session.load(path, IMAGES, REAL, recompute=True)
    assert loaded.frames_encoded == COUNT
    assert_same(loaded, session)


def test_tracking_again_keeps_what_earlier_prompts_left(tmp_path: Path) -> None:
    """Masks of prompts that have changed since cannot be tracked again; the others are the same bits."""
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 4, click(10, 8))
    session.set_prompts(2, 4, click(20, 15))
    run(session)
    session.set_prompts(1, 4, click(3, 3))
    run(session, frames=range(2, 6))
    session.set_prompts(2, 7, click(4, 4))
    run(session, frames=range(8, 10))
    assert_same(Session.load(saved(session, tmp_path), IMAGES, REAL, recompute=True), session)


def test_tracking_sweeps_again_gives_the_same(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    session.set_prompts(2, 6, click(20, 15))
    run(session, direction="forward")
    run(session, direction="backward")
    assert_same(Session.load(saved(session, tmp_path), IMAGES, REAL, recompute=True), session)


def test_an_empty_session_can_be_saved(tmp_path: Path) -> None:
    loaded = Session.load(saved(Session(IMAGES, model=REAL), tmp_path), IMAGES, REAL, recompute=True)
    assert loaded.objects == ()
    assert not loaded.labels.any()


def test_large_ids_and_clean_up_come_back(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL, cleanup=Cleanup(fill_holes=9, keep_largest=True))
    session.set_prompts(2**32 - 1, 4, click(10, 8))
    run(session)
    loaded = Session.load(saved(session, tmp_path), IMAGES, REAL)
    assert loaded.labels.dtype == np.uint32
    assert loaded.cleanup == session.cleanup
    assert_same(loaded, session)


def test_numbers_that_came_from_arrays_can_be_saved(tmp_path: Path) -> None:
    view = WindowRules("window", np.int64(64), np.float32(2.5))  # type: ignore[arg-type]
    memory = SelectionRules(anchors=np.int64(2), motion=np.float32(0.25))  # type: ignore[arg-type]
    session = Session(IMAGES, model=REAL, view=view, memory=memory)
    session.set_prompts(1, 4, click(10, 8))
    session.begins_here(1, np.int64(2))  # type: ignore[arg-type]
    session.ends_here(1, np.uint8(8))  # type: ignore[arg-type]
    again = Session.load(saved(session, tmp_path), IMAGES, REAL)
    assert again.life(1) == Life(2, 8)
    assert (again._tracker.windows.rules, again._tracker.rules.selection) == (view, memory)
    assert session.autosave(tmp_path / "auto")


def test_preprocessing_comes_back(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(3, 5, 2, *SHAPE))
    options = {"axis": 1, "index": {0: 2}, "channel": 1, "contrast": (-1.5, 2)}
    session = Session(data, model=REAL, **options)  # type: ignore[arg-type]
    session.set_prompts(1, 2, click(10, 8))
    run(session)
    loaded = Session.load(saved(session, tmp_path), data, REAL, recompute=True)
    np.testing.assert_array_equal(loaded.volume.frame(3), session.volume.frame(3))
    np.testing.assert_array_equal(loaded.labels, session.labels)
    assert run(loaded) == 0


def test_contrast_that_was_measured_is_kept(tmp_path: Path) -> None:
    data = IMAGES.astype(np.uint16) * 37
    session = Session(data, model=REAL)
    loaded = Session.load(saved(session, tmp_path), data, REAL)
    assert loaded.volume.contrast == session.volume.contrast


def test_images_and_model_are_found_where_they_were(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "cells.tif", IMAGES)
    save_model(REAL, tmp_path / "mine.safetensors", half=False)
    session = Session(IMAGES, model=REAL)
    session.location = str(tmp_path / "cells.tif")
    session.model.source = str(tmp_path / "mine.safetensors")
    session.set_prompts(1, 4, click(10, 8))
    path = saved(session, tmp_path)
    REAL.source = None
    loaded = Session.load(path)
    assert loaded.location == session.location
    run(loaded)
    run(session)
    assert_same(loaded, session)


def test_saving_again_replaces_the_file(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 4, click(10, 8))
    saved(session, tmp_path)
    run(session)
    session.remove_object(1)
    session.set_prompts(2, 3, click(4, 4))
    assert_same(Session.load(saved(session, tmp_path), IMAGES, REAL), session)


def test_the_document_says_what_people_want_to_know(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 4, click(10, 8))
    document = json.loads(saved(session, tmp_path).read_text())
    assert document["version"] == 3
    assert document["program"]
    assert document["model"]["name"] == "small"
    assert len(document["model"]["checksum"]) == 64
    assert document["prompts"][0]["points"] == [[10, 8]]
    labels = zarr.open_array(tmp_path / "cells.sam2.zarr" / "labels", mode="r")
    np.testing.assert_array_equal(np.asarray(labels[...]), session.labels)


# ------------------------------------------------------------- another network


def test_other_weights_are_told_and_the_masks_are_kept(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 4, click(10, 8))
    run(session)
    path = saved(session, tmp_path)
    with pytest.warns(UserWarning, match=r"another model than this one \(small, 64 pixels, float32\)"):
        loaded = Session.load(path, IMAGES, seeing_model(seed=1))
    assert_same(loaded, session)


def test_corrections_go_on_with_a_network_of_another_shape(tmp_path: Path) -> None:
    path = saved(busy_session(), tmp_path)
    with pytest.warns(UserWarning, match="another model"):
        loaded = Session.load(path, IMAGES, seeing_model(model_dim=64, image_size=96))
    bases = [record.base for record in loaded._state.records.values() if record.base]
    assert bases
    assert all(base.embedding is None for base in bases)
    loaded.set_prompts(1, 7, click(3, 3))
    run(loaded)
    second = Session.load(saved(loaded, tmp_path), IMAGES, loaded.model)
    assert_same(second, loaded)


@pytest.mark.parametrize("change", ["size", "precision"])
def test_another_size_or_precision_is_told(tmp_path: Path, change: str) -> None:
    path = saved(Session(IMAGES, model=REAL), tmp_path)
    model = seeing_model(image_size=96) if change == "size" else seeing_model()
    if change == "precision":
        model.runtime = Runtime(torch.device("cpu"), torch.bfloat16)
    with pytest.warns(UserWarning, match="another model"):
        Session.load(path, IMAGES, model)


def test_the_same_weights_are_not_warned_of(tmp_path: Path) -> None:
    Session.load(saved(busy_session(), tmp_path), IMAGES, seeing_model())


def test_a_correction_that_was_taken_back_can_be_saved(tmp_path: Path) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 4, click(10, 8))
    run(session)
    session.set_prompts(1, 7, click(3, 3))
    session.set_prompts(1, 7, FramePrompts())
    entry = session.entry(1, 7)
    assert entry is not None
    assert isinstance(entry.origin, Base)
    assert_same(Session.load(saved(session, tmp_path), IMAGES, REAL), session)


def test_what_is_saved_in_steps_is_the_session_as_it_was_at_first(tmp_path: Path) -> None:
    session = busy_session()
    whole, path = saved(session, tmp_path), tmp_path / "steps.sam2.json"
    steps = session.save_steps(path, number=3)
    next(steps)
    session.remove_object(2)
    session.set_prompts(7, 0, click(20, 4))
    session.lock(7, 0)
    assert not path.exists(), "whole or not at all"
    for _ in steps:
        pass
    assert_same(Session.load(path, IMAGES, REAL), Session.load(whole, IMAGES, REAL))
    assert read_description(path).remarks == {"number": 3}


def test_steps_that_are_not_taken_to_the_end_leave_nothing(tmp_path: Path) -> None:
    session = busy_session()
    steps = session.save_steps(tmp_path / "steps.sam2.json")
    next(steps)
    steps.close()
    assert not list(tmp_path.iterdir())
    assert all(each._closed for each in session._state.labels._snapshots)


# --------------------------------------------------------------------- exported


def test_labels_are_exported_as_they_are(tmp_path: Path) -> None:
    session = busy_session()
    session.export(tmp_path / "labels.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), session.labels)


def test_the_scale_may_be_that_of_a_napari_layer(tmp_path: Path) -> None:
    session = busy_session()
    session.export(tmp_path / "labels.ome.zarr", scale=np.array([2.0, 0.5, 0.25]))  # type: ignore[arg-type]
    assert open_image(tmp_path / "labels.ome.zarr").scale == (2.0, 0.5, 0.25)


def test_positions_along_other_axes_are_read_without_the_session(tmp_path: Path) -> None:
    session = Session(np.stack([IMAGES] * 3), model=REAL, axis=1, index={0: 2})
    path = tmp_path / "cells.sam2.json"
    session.save(path)
    assert read_description(path).index == {0: 2}
    document = json.loads(path.read_text(encoding="utf-8"))
    document["images"] = None
    path.write_text(json.dumps(document), encoding="utf-8")
    assert read_description(path).index == {}


@pytest.mark.parametrize("recompute", [False, True])
def test_a_session_is_loaded_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recompute: bool
) -> None:
    session = busy_session()
    session.lock_object(2)
    session.save(tmp_path / "a.sam2.json")
    monkeypatch.setattr(session_saved, "_AT_A_TIME", 5)
    steps = Session.load_steps(tmp_path / "a.sam2.json", IMAGES, REAL, recompute=recompute)
    count, loaded = 0, None
    while loaded is None:
        try:
            next(steps)
            count += 1
        except StopIteration as end:
            loaded = end.value
    assert count > len(session.objects) * COUNT // 5
    assert loaded.is_settled
    np.testing.assert_array_equal(loaded.labels, session.labels)
    assert {change.frame for change in loaded.take_changes()} == set(range(COUNT))


def test_stored_labels_are_not_read_to_load_a_session(tmp_path: Path) -> None:
    session = busy_session()
    session.save(tmp_path / "a.sam2.json")
    stored = zarr.open_group(tmp_path / "a.sam2.zarr", mode="r+")
    stored["labels"][...] = 7  # type: ignore[index]
    loaded = Session.load(tmp_path / "a.sam2.json", IMAGES, REAL)
    np.testing.assert_array_equal(loaded.labels, session.labels)


@pytest.mark.parametrize("seen", [True, False])
def test_older_files_say_only_whether_an_answer_shows_the_object(tmp_path: Path, seen: bool) -> None:
    session = Session(IMAGES, model=REAL)
    session.set_prompts(1, 2, click(10, 8))
    path = saved(session, tmp_path)
    document = json.loads(path.read_text())
    (row,) = document["prompts"]
    assert row.pop("area") > 0
    row["seen"] = seen
    path.write_text(json.dumps(document))
    (record,) = Session.load(path, IMAGES, REAL)._state.records.values()
    assert record.area == (None if seen else 0)
