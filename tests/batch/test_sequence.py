"""One sequence: done, skipped, gone on with, failed; and what is left of it after each fault."""

from __future__ import annotations

import errno
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr

from napari_sam2._model.results import ImageFeatures, Prediction, Recall
from napari_sam2._model.sam2 import Sam2
from napari_sam2.batch import sequence as sequences
from napari_sam2.batch.checkpoint import Checkpoint
from napari_sam2.batch.outcome import Outcome
from napari_sam2.batch.plan import SequencePlan
from napari_sam2.batch.resumable import ResumableSession
from napari_sam2.batch.sequence import run_sequence
from napari_sam2.device import Runtime
from napari_sam2.io import atomic, open_image
from napari_sam2.prompts import FramePrompts
from napari_sam2.session import Session
from napari_sam2.volume import Volume
from tests.batch.tiny import Array, drawn, task_of, write_sequence
from tests.fakes import click, noisy_frames, seeing_model
from tests.ome_files import write_ome_files

model = cache(seeing_model)


def no_model() -> Sam2:
    raise AssertionError("the network was asked for")


def read(path: Path) -> Array:
    return np.asarray(open_image(path).array[...])


def tracked(images: Path, frames: range | None = None) -> Session:
    """Track in one go, without files."""
    session = Session(np.load(images), model=model())
    for obj in (1, 2):
        session.paint(obj, 0, drawn() == obj)
    for _ in session.propagate(frames=frames):
        pass
    return session


def expected(images: Path, frames: range | None = None) -> Array:
    return np.asarray(tracked(images, frames).labels)


def test_labels_are_those_of_a_session(tmp_path: Path) -> None:
    task = task_of(write_sequence(tmp_path))
    outcome = run_sequence(task, model, worker="me")
    assert (outcome.status, outcome.error, outcome.notes) == ("done", "", "")
    assert (outcome.frames, outcome.objects, outcome.encoded, outcome.resumed) == (8, 2, 8, 0)
    assert (outcome.worker, outcome.labels) == ("me", str(task.labels))
    assert outcome.doubtful == len(tracked(task.sequence.images).doubtful()) > 0
    labels = read(task.labels)
    assert set(np.unique(labels[-1])) == {0, 1, 2}
    np.testing.assert_array_equal(labels, expected(task.sequence.images))
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {"a.npy", "a_seeds.npy", "a_labels.ome.zarr", "a.done.json"}


@pytest.mark.parametrize("kind", ["tif", "ctc"])
def test_other_formats(tmp_path: Path, kind: str) -> None:
    task = task_of(write_sequence(tmp_path), format=kind)
    assert run_sequence(task, model).status == "done"
    labels = read(task.labels) if kind == "tif" else tifffile.imread(sorted(task.labels.glob("mask*.tif")))
    np.testing.assert_array_equal(labels, expected(task.sequence.images))


def test_frames_and_direction(tmp_path: Path) -> None:
    task = task_of(write_sequence(tmp_path), frames=(0, 4), direction="forward")
    assert run_sequence(task, model).encoded == 4
    labels = read(task.labels)
    assert labels[3].any()
    assert not labels[4:].any()


class TestSkipping:
    def test_what_is_complete_is_left_alone(self, tmp_path: Path) -> None:
        task = task_of(write_sequence(tmp_path))
        run_sequence(task, model)
        before = {each: each.stat().st_mtime_ns for each in task.labels.rglob("*")}
        outcome = run_sequence(task, no_model)
        assert (outcome.status, outcome.frames, outcome.objects) == ("skipped", 8, 2)
        assert {each: each.stat().st_mtime_ns for each in task.labels.rglob("*")} == before

    def test_what_a_worker_finished_and_could_not_tell_is_done_by_this_run(self, tmp_path: Path) -> None:
        task = replace(task_of(write_sequence(tmp_path)), run="today")
        assert run_sequence(task, model).status == "done"
        assert run_sequence(task, no_model).status == "done"
        assert run_sequence(replace(task, run="tomorrow"), no_model).status == "skipped"

    def test_a_copy_is_complete_too(self, tmp_path: Path) -> None:
        (tmp_path / "first").mkdir()
        run_sequence(task_of(write_sequence(tmp_path / "first")), model)
        shutil.copytree(tmp_path / "first", tmp_path / "second", copy_function=shutil.copyfile)
        assert run_sequence(task_of(write_sequence(tmp_path / "second")), no_model).status == "skipped"

    @pytest.mark.parametrize(
        ("what", "told"),
        [
            ("images", "its labels are made anew: the images or prompts changed"),
            ("seeds", "its labels are made anew: the images or prompts changed"),
            ("weights", "its labels are made anew: the model changed"),
            ("options", "its labels are made anew: the options changed"),
            ("labels", "its labels are made anew: a_labels.ome.zarr is not as it was written"),
            ("all labels", "its labels are made anew: a_labels.ome.zarr is gone"),
            ("marker", ""),
        ],
    )
    def test_what_changed_is_done_again(self, tmp_path: Path, what: str, told: str) -> None:
        task = task_of(write_sequence(tmp_path))
        run_sequence(task, model)
        if what == "images":
            np.save(task.sequence.images, noisy_frames(8, 5))
        elif what == "seeds" and task.sequence.seeds:
            np.save(task.sequence.seeds, np.where(drawn() == 2, 0, drawn()))
        elif what == "weights":
            task = replace(task, weights="others")
        elif what == "options":
            task = replace(task, options=replace(task.options, frames=(0, 5)))
        elif what == "labels":
            next(each for each in (task.labels / "0").rglob("*") if each.is_file()).unlink()
        elif what == "all labels":
            shutil.rmtree(task.labels)
        else:
            task.marker.write_text("{}")
        outcome = run_sequence(task, model)
        assert (outcome.status, outcome.resumed, outcome.notes) == ("done", 0, told)
        assert outcome.objects == (1 if what == "seeds" else 2)
        assert run_sequence(task, no_model).status == "skipped"

    def test_how_often_the_state_is_kept_does_not_matter(self, tmp_path: Path) -> None:
        task = task_of(write_sequence(tmp_path))
        run_sequence(task, model)
        task = replace(task, options=replace(task.options, checkpoint_seconds=99))
        assert run_sequence(task, no_model).status == "skipped"

    def test_what_is_no_label_image_is_not_replaced(self, tmp_path: Path) -> None:
        task = task_of(write_sequence(tmp_path))
        task.labels.mkdir()
        (task.labels / "thesis.txt").write_text("")
        outcome = run_sequence(task, model)
        assert outcome.status == "failed"
        assert "not replaced" in outcome.error
        assert (task.labels / "thesis.txt").exists()


class TestPrompts:
    def saved(self, folder: Path, images: Path, *, correct: bool) -> Path:
        session = Session.open(images, model=model())
        session.set_prompts(3, 2, click(8, 8))
        if correct:
            for _ in session.propagate():
                pass
            session.set_prompts(3, 6, click(9, 9, (20, 3, False)))
        session.save(folder / "one.sam2.json")
        return folder / "one.sam2.json"

    def test_a_session_of_these_images_goes_on(self, tmp_path: Path) -> None:
        plan = write_sequence(tmp_path)
        saved = self.saved(tmp_path, plan.images, correct=True)
        task = task_of(replace(plan, seeds=None, session=saved), save_sessions=True)
        outcome = run_sequence(task, model)
        assert (outcome.status, outcome.objects) == ("done", 1)
        session = Session.load(saved, model=model())
        for _ in session.propagate():
            pass
        np.testing.assert_array_equal(read(task.labels), session.labels)
        again = Session.load(task.session, model=model())
        assert list(again.prompts) == list(session.prompts)
        assert not list(again.propagate())

    def test_a_session_whose_prompts_were_taken_back_keeps_its_masks(self, tmp_path: Path) -> None:
        plan = write_sequence(tmp_path)
        saved = self.saved(tmp_path, plan.images, correct=True)
        session = Session.load(saved, model=model())
        for key in session.prompts:
            session.set_prompts(key.obj, key.frame, FramePrompts())
        session.save(saved)
        task = task_of(replace(plan, seeds=None, session=saved))
        assert (run_sequence(task, model).status, session.prompts) == ("done", {})
        assert session.labels[:].any()
        np.testing.assert_array_equal(read(task.labels), session.labels)

    def test_a_session_of_other_images_gives_its_prompts(self, tmp_path: Path) -> None:
        saved = self.saved(tmp_path, write_sequence(tmp_path).images, correct=False)
        plan = write_sequence(tmp_path, "b", seed=3)
        task = task_of(replace(plan, seeds=None, session=saved))
        assert run_sequence(task, model).status == "done"
        session = Session(np.load(plan.images), model=model())
        session.set_prompts(3, 2, click(8, 8))
        for _ in session.propagate():
            pass
        np.testing.assert_array_equal(read(task.labels), session.labels)

    @pytest.mark.parametrize("chosen", [{}, {"series": 1}])
    def test_a_session_says_which_image_of_a_file_it_is(self, tmp_path: Path, chosen: dict[str, Any]) -> None:
        images = tmp_path / "a.tif"
        with tifffile.TiffWriter(images) as tiff:
            for part in (slice(0, 12), slice(None)):
                tiff.write(noisy_frames(4, 0)[:, part], photometric="minisblack", metadata={"axes": "TYX"})
        session = Session.open(images, model=model(), series=1)
        session.set_prompts(3, 2, click(8, 8))
        session.save(tmp_path / "a.sam2.json")
        plan = SequencePlan("a", images, session=tmp_path / "a.sam2.json")
        task = task_of(plan, **chosen)
        assert run_sequence(task, model).status == "done"
        assert read(task.labels).shape == session.labels.shape

    def test_the_prompts_of_another_level_are_refused(self, tmp_path: Path) -> None:
        images = tmp_path / "a.tif"
        with tifffile.TiffWriter(images) as tiff:
            tiff.write(noisy_frames(4, 0), subifds=1, photometric="minisblack")
            tiff.write(noisy_frames(4, 0)[:, ::2, ::2], subfiletype=1, photometric="minisblack")
        session = Session.open(images, model=model())
        session.set_prompts(3, 2, click(8, 8))
        session.save(tmp_path / "a.sam2.json")
        plan = SequencePlan("a", images, session=tmp_path / "a.sam2.json")
        assert "in pixels of level 0" in run_sequence(task_of(plan, level=1), model).error

    def test_seeds_with_the_axes_of_the_images(self, tmp_path: Path) -> None:
        """Of both, the second channel is taken; in the first, seeds would be others."""
        plan = write_sequence(tmp_path, frames=3)
        assert plan.seeds is not None
        np.save(plan.images, np.stack([noisy_frames(3, 0), noisy_frames(3, 1)], axis=1))
        seeds = np.zeros((3, 2, *drawn().shape), np.uint16)
        seeds[0] = np.stack([np.where(drawn(), 7, 0), drawn()])
        np.save(plan.seeds, seeds)
        task = task_of(plan, volume={"channel": 1})
        assert run_sequence(task, model).status == "done"
        assert set(np.unique(read(task.labels)[0])) == {0, 1, 2}

    def test_large_ids(self, tmp_path: Path) -> None:
        plan = write_sequence(tmp_path, frames=2)
        assert plan.seeds is not None
        np.save(plan.seeds, drawn().astype(np.uint32) * 70_000)
        task = task_of(plan)
        assert run_sequence(task, model).status == "done"
        assert set(np.unique(read(task.labels)[0])) == {0, 70_000, 140_000}

    def test_large_ids_are_told_before_the_work_where_the_format_has_none(self, tmp_path: Path) -> None:
        plan = write_sequence(tmp_path, frames=2)
        assert plan.seeds is not None
        np.save(plan.seeds, drawn().astype(np.uint32) * 70_000)
        task = task_of(plan, format="ctc")
        outcome = run_sequence(task, model)
        assert "labels up to 65535, 140000" in outcome.error
        assert not task.unfinished.exists()

    def test_nothing_to_track(self, tmp_path: Path) -> None:
        plan = write_sequence(tmp_path)
        outcome = run_sequence(task_of(replace(plan, seeds=None)), model)
        assert outcome.status == "failed"
        assert "nothing says what to track: there is no a.sam2.json" in outcome.error
        assert plan.seeds is not None
        np.save(plan.seeds, np.zeros_like(drawn()))
        assert "has no objects" in run_sequence(task_of(plan), model).error


def break_after(monkeypatch: pytest.MonkeyPatch, frames: int, error: BaseException) -> None:
    """Let reading fail once so many frames were read."""
    read_frame, seen = Volume.frame, set[int]()

    def limited(self: Volume, i: int) -> Any:
        if i not in seen and len(seen) == frames:
            raise error
        seen.add(i)
        return read_frame(self, i)

    monkeypatch.setattr(Volume, "frame", limited)


def _write_images(path: Path, images: Array) -> Path:
    if path.suffix == ".npy":
        np.save(path, images)
    elif path.suffix == ".tif":
        tifffile.imwrite(path, images, photometric="minisblack")
    else:
        zarr.create_array(path, data=images, chunks=(1, *images.shape[1:]))
    return path


class TestFaults:
    @pytest.mark.parametrize(
        "error",
        [
            FileNotFoundError("the disk was pulled out"),
            OSError(errno.EIO, "input/output error"),
            torch.OutOfMemoryError("CUDA out of memory"),
        ],
    )
    def test_what_was_done_is_gone_on_with(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        task = task_of(write_sequence(tmp_path, frames=12))
        with monkeypatch.context() as patch:
            break_after(patch, 7, error)
            outcome = run_sequence(task, model)
        assert outcome.status == "failed"
        assert str(error).split("]")[-1].strip() in outcome.error
        assert not task.labels.exists()
        assert not task.marker.exists()
        outcome = run_sequence(task, model)
        assert (outcome.status, outcome.resumed) == ("done", 12)  # two objects on the frames 1 to 6
        assert outcome.encoded <= 12 - 7 + 1  # and the prompted frame
        np.testing.assert_array_equal(read(task.labels), expected(task.sequence.images))
        assert not task.unfinished.exists()

    @pytest.mark.parametrize("direction", ["forward", "backward", "both"])
    def test_every_direction_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, direction: str
    ) -> None:
        plan = write_sequence(tmp_path, frames=12)
        plan = replace(plan, seeds_frame={"forward": 0, "backward": 11, "both": 5}[direction])
        with monkeypatch.context() as patch:
            break_after(patch, 9, OSError("gone"))
            run_sequence(task_of(plan, direction=direction), model)
        outcome = run_sequence(task_of(plan, direction=direction), model)
        assert outcome.status == "done"
        assert outcome.encoded < 12
        whole = replace(plan, name="whole")
        run_sequence(task_of(whole, direction=direction), model)
        np.testing.assert_array_equal(read(task_of(plan).labels), read(task_of(whole).labels))

    def test_other_inputs_do_not_go_on(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        task = task_of(write_sequence(tmp_path))
        with monkeypatch.context() as patch:
            break_after(patch, 5, OSError("gone"))
            run_sequence(task, model)
        outcome = run_sequence(replace(task, weights="others"), model)
        assert (outcome.status, outcome.resumed, outcome.encoded) == ("done", 0, 8)
        assert outcome.notes == "what an earlier run had begun is made anew: the model changed"

    @pytest.mark.parametrize("kind", ["zarr", "tif"])
    def test_results_that_are_deleted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        task = task_of(write_sequence(tmp_path), format=kind)
        keep = Checkpoint.keep

        def keep_and_lose(checkpoint: Checkpoint, session: ResumableSession) -> None:
            keep(checkpoint, session)
            if len(checkpoint._parts) == 3:
                shutil.rmtree(task.unfinished)

        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "keep", keep_and_lose)
            outcome = run_sequence(task, model)
        assert (outcome.status, task.labels.exists(), task.marker.exists()) == ("failed", False, False)
        assert "labels.ome.zarr has vanished" in outcome.error
        assert run_sequence(task, model).status == "done"
        np.testing.assert_array_equal(read(task.labels), expected(task.sequence.images))

    def test_what_a_killed_run_has_left_of_its_files_is_deleted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        task = task_of(write_sequence(tmp_path, "a[1]"), format="tif", save_sessions=True)

        def killed(temporary: Path, path: Path) -> None:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(atomic, "_discard", lambda temporary: None)
            patch.setattr(atomic, "_exchange", killed)
            for path in (task.labels, task.session, task.session.with_suffix(".zarr"), task.marker):
                with pytest.raises(SystemExit), atomic.replacing(path) as temporary:
                    temporary.write_text("half")
        others = task.labels.with_name(".b_labels.tif.01234567.part")
        others.touch()
        assert run_sequence(task, model).status == "done"
        assert list(tmp_path.glob(".*")) == [others]

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing more can be written after the third time that the state was kept."""
        keep, count = Checkpoint.keep, [0]

        def full(self: Checkpoint, session: Any) -> None:
            count[0] += 1
            if count[0] > 3:
                raise OSError(errno.ENOSPC, "No space left on device")
            keep(self, session)

        task = task_of(write_sequence(tmp_path))
        with monkeypatch.context() as patch:
            patch.setattr(Checkpoint, "keep", full)
            outcome = run_sequence(task, model)
        assert outcome.status == "failed"
        assert "No space left on device" in outcome.error
        assert task.unfinished.is_dir()
        outcome = run_sequence(task, model)
        assert outcome.status == "done"
        assert outcome.resumed >= 4
        np.testing.assert_array_equal(read(task.labels), expected(task.sequence.images))

    @pytest.mark.parametrize("step", ["finish_labels", "extent"])
    def test_a_full_disk_at_the_very_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        task = task_of(write_sequence(tmp_path))
        with monkeypatch.context() as patch:
            patch.setattr(sequences, step, full)
            assert run_sequence(task, model).status == "failed"
        assert not task.marker.exists()
        outcome = run_sequence(task, model)
        assert (outcome.status, outcome.resumed, outcome.encoded) == ("done", 14, 1)
        np.testing.assert_array_equal(read(task.labels), expected(task.sequence.images))

    def test_too_little_memory_for_a_group_is_noted(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The sequence is done in smaller groups, to the same labels."""
        step = Sam2.step

        def narrow(self: Sam2, features: ImageFeatures, recall: Recall) -> Prediction:
            if len(features.embedding) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return step(self, features, recall)

        task = task_of(write_sequence(tmp_path))
        with monkeypatch.context() as patch:
            patch.setattr(Sam2, "step", narrow)
            patch.setattr(Runtime, "group_size", lambda *_: 4)
            outcome = run_sequence(task, model)
        assert outcome.status == "done"
        assert "going on with groups of 1" in outcome.notes
        np.testing.assert_array_equal(read(task.labels), expected(task.sequence.images))

    def test_images_that_change_meanwhile(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        task = task_of(write_sequence(tmp_path))
        read_frame = Volume.frame

        def changing(self: Volume, i: int) -> Any:
            if i == 5 and (tmp_path / "new.npy").exists():
                (tmp_path / "new.npy").replace(task.sequence.images)
            return read_frame(self, i)

        np.save(tmp_path / "new.npy", noisy_frames(8, 9))
        with monkeypatch.context() as patch:
            patch.setattr(Volume, "frame", changing)
            outcome = run_sequence(task, model)
        assert (outcome.status, task.labels.exists()) == ("failed", False)
        assert "changed while they were read" in outcome.error
        assert run_sequence(task, model).encoded == 8

    @pytest.mark.parametrize("kind", ["npy", "tif", "zarr"])
    def test_images_that_vanish_meanwhile(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
    ) -> None:
        """They are really gone; an open file is still read by some systems, which is noticed at the end."""
        plan = write_sequence(tmp_path)
        images = np.load(plan.images)
        task = task_of(replace(plan, images=_write_images(tmp_path / f"vanishing.{kind}", images)))
        read_frame, place = Volume.frame, task.sequence.images

        def vanishing(self: Volume, i: int) -> Any:
            if i == 5 and place.exists():
                place.rename(tmp_path / "elsewhere")
            return read_frame(self, i)

        with monkeypatch.context() as patch:
            patch.setattr(Volume, "frame", vanishing)
            outcome = run_sequence(task, model)
        assert outcome.status == "failed"
        assert "has vanished" in outcome.error if kind == "zarr" else "there is no file" in outcome.error
        (tmp_path / "elsewhere").rename(place)
        outcome = run_sequence(task, model)
        assert (outcome.status, outcome.encoded) == ("done", 8 - 5 + 1 if kind == "zarr" else 1)
        np.testing.assert_array_equal(read(task.labels), expected(plan.images))

    @pytest.mark.parametrize("broken", ["entries-000001.npz", "state.json", "passes"])
    def test_a_damaged_state_costs_time_only(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
    ) -> None:
        task = task_of(write_sequence(tmp_path))
        with monkeypatch.context() as patch:
            break_after(patch, 6, OSError("gone"))
            run_sequence(task, model)
        (damaged,) = task.unfinished.glob(f"{broken}*")
        damaged.write_bytes(damaged.read_bytes()[:20])
        outcome = run_sequence(task, model)
        assert outcome.status == "done"
        assert "damaged" in outcome.notes
        np.testing.assert_array_equal(read(task.labels), expected(task.sequence.images))


_SLOW_RUN = """
import sys, time
from pathlib import Path
from napari_sam2.batch.outcome import Outcome
from napari_sam2.batch.plan import SequencePlan
from napari_sam2.batch.resumable import ResumableSession
from napari_sam2.batch.sequence import run_sequence
from napari_sam2.volume import Volume
from tests.batch.tiny import task_of
from tests.fakes import seeing_model
from napari_sam2.batch.plan import SequencePlan

read_frame = Volume.frame
def slow(self, i):
    if i > 6:
        time.sleep(60)
    return read_frame(self, i)
Volume.frame = slow
folder = Path(sys.argv[1])
sequence = SequencePlan("a", folder / "a.npy", seeds=folder / "a_seeds.npy")
run_sequence(task_of(sequence), seeing_model)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 on this system")
def test_kill_9_in_the_middle(tmp_path: Path) -> None:
    task = task_of(write_sequence(tmp_path, frames=12))
    process = subprocess.Popen([sys.executable, "-c", _SLOW_RUN, str(tmp_path)])
    try:
        for _ in range(600):
            if (task.unfinished / "entries-000005.npz").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert (task.streamed / "zarr.json").exists()
    outcome = run_sequence(task, model)
    assert outcome.status == "done"
    # Of the state that was being kept in that moment, all but the last frame is there for sure.
    assert outcome.resumed >= 8
    assert outcome.encoded <= 12 - 5 + 1
    np.testing.assert_array_equal(read(task.labels), expected(task.sequence.images))


def test_two_runs_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = task_of(write_sequence(tmp_path))
    read_frame = Volume.frame
    others: list[Outcome] = []

    def disturbed(volume: Volume, i: int) -> Any:
        if i == 5 and not others:
            others.append(Outcome("", "done"))
            others[0] = run_sequence(task, model)
        return read_frame(volume, i)

    monkeypatch.setattr(Volume, "frame", disturbed)
    assert run_sequence(task, model).status == "done"
    np.testing.assert_array_equal(read(task.labels), expected(task.sequence.images))
    assert others[0].status == "failed"
    assert "another run is at work on it" in others[0].error
    assert run_sequence(task, no_model).status == "skipped"


def test_another_file_of_the_images_changes(tmp_path: Path) -> None:
    sequence = write_sequence(tmp_path)
    frames = (noisy_frames(8) * 16).astype(np.uint16)
    paths = (tmp_path / "a.ome.tif", tmp_path / "b.ome.tif")
    write_ome_files(frames, *paths)
    task = task_of(replace(sequence, images=paths[0]))
    assert run_sequence(task, model).status == "done"
    assert run_sequence(task, no_model).status == "skipped"
    write_ome_files(np.concatenate([frames[:4], frames[3::-1]]), tmp_path / "a.ome.tif", paths[1])
    outcome = run_sequence(task, model)
    assert (outcome.status, outcome.notes) == (
        "done",
        "its labels are made anew: the images or prompts changed",
    )
