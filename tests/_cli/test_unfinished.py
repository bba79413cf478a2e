"""``segment --labels-on-disk`` after it was killed, stopped, or could not write: the next run goes on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr

from napari_sam2 import cli, samples
from napari_sam2._cli import progress
from napari_sam2._model.config import NANO_CONFIG
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.session import Session
from napari_sam2.volume import Volume
from tests.full_disk import SAID, fill, full_disk

FRAMES = 8
LINE = ["segment", "cells.tif", "labels.ome.zarr", "--mask", "seeds.tif", "--model", "m.safetensors"]
ON_DISK = [*LINE, "--view", "frame", "--labels-on-disk", "--checkpoint-seconds", "0"]


def write_model(path: Path, seed: int) -> None:
    """Make a network of random weights which takes all objects for present."""
    torch.manual_seed(seed)
    model = Sam2(replace(NANO_CONFIG, image_size=64))
    model.get_parameter("sam_mask_decoder.pred_obj_score_head.layers.2.bias").data.fill_(5.0)
    save_model(model, path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    sequence = samples.drifting_cells(frames=FRAMES, shape=(72, 80), cells=2)
    tifffile.imwrite(tmp_path / "cells.tif", sequence.images, photometric="minisblack")
    tifffile.imwrite(tmp_path / "seeds.tif", sequence.labels[0])
    write_model(tmp_path / "m.safetensors", 0)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the frames that go through the encoder."""
    counts = [0]
    encode = Sam2.encode_image

    def counting(self: Sam2, images: torch.Tensor) -> Any:
        counts[0] += len(images)
        return encode(self, images)

    monkeypatch.setattr(Sam2, "encode_image", counting)
    return counts


def labels() -> np.ndarray[Any, Any]:
    return np.asarray(zarr.open_array("labels.ome.zarr/0", mode="r"))


def whole(*more: str) -> np.ndarray[Any, Any]:
    """The labels of a run that nothing disturbs."""
    line = [*LINE, "--view", "frame", *more]
    line[2] = "whole.tif"
    assert cli.run(line) == 0
    found = tifffile.imread("whole.tif")
    assert found[1:].any(axis=(1, 2)).sum() >= FRAMES - 2
    return found


def break_off(monkeypatch: pytest.MonkeyPatch, frame: int, *more: str) -> None:
    """Run until a frame cannot be read."""
    read_frame = Volume.frame

    def vanishing(volume: Volume, i: int) -> Any:
        if i == frame:
            raise FileNotFoundError("the disk was pulled out")
        return read_frame(volume, i)

    with monkeypatch.context() as patch:
        patch.setattr(Volume, "frame", vanishing)
        assert cli.run([*ON_DISK, *more]) == 2


def test_a_file_that_vanishes(folder: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[int]) -> None:
    break_off(monkeypatch, 5)
    assert not (folder / "labels.ome.zarr").exists()
    encoded[0] = 0
    assert cli.run(ON_DISK) == 0
    assert encoded[0] <= FRAMES - 5 + 1  # and the prompted frame
    np.testing.assert_array_equal(labels(), whole())
    assert not list(folder.glob("*unfinished*"))


@pytest.mark.parametrize("what", ["model", "images", "seeds", "frames", "precision"])
def test_what_was_made_from_other_inputs_is_not_gone_on_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[int], what: str
) -> None:
    break_off(monkeypatch, 5)
    more = {"frames": ["--frames", "0:7"], "precision": ["--precision", "bfloat16"]}.get(what, [])
    if what == "model":
        write_model(folder / "m.safetensors", 1)
    elif what == "images":
        tifffile.imwrite("cells.tif", tifffile.imread("cells.tif")[::-1], photometric="minisblack")
    elif what == "seeds":
        tifffile.imwrite("seeds.tif", np.roll(tifffile.imread("seeds.tif"), 5, axis=1))
    encoded[0] = 0
    told = {"frames": "options", "precision": "model", "model": "model"}.get(what, "images or prompts")
    with pytest.warns(UserWarning, match=f"begun is made anew: the {told} changed$"):
        assert cli.run([*ON_DISK, *more]) == 0
    assert encoded[0] == (7 if what == "frames" else FRAMES)
    np.testing.assert_array_equal(labels(), whole(*more))


@pytest.mark.parametrize("room", [0, 3000])
def test_a_full_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], room: int
) -> None:
    """From the last frame on nothing, or nothing large, can be written."""
    read_frame = Volume.frame

    def filling(volume: Volume, i: int) -> Any:
        if i == FRAMES - 1:
            fill(room)
        return read_frame(volume, i)

    with monkeypatch.context() as patch, full_disk():
        patch.setattr(Volume, "frame", filling)
        assert cli.run(ON_DISK) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert SAID in said
    assert said.endswith("What was done is kept: the same command goes on.")
    assert not (folder / "labels.ome.zarr").exists()
    assert np.asarray(zarr.open_array("labels.unfinished.ome.zarr/0", mode="r"))[0].any()
    assert cli.run(ON_DISK) == 0
    np.testing.assert_array_equal(labels(), whole())
    assert not list(folder.glob("*unfinished*"))


def test_ctrl_c_leaves_what_is_done_and_can_be_gone_on_with(
    folder: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[int]
) -> None:
    def interrupted(results: Iterable[Any], **options: Any) -> progress.Run:
        def pressed() -> Iterator[Any]:
            for count, result in enumerate(results):
                if count == 2:
                    signal.raise_signal(signal.SIGINT)
                yield result

        return progress.watch(pressed(), **options)

    with monkeypatch.context() as patch:
        patch.setattr("napari_sam2._cli.segment.watch", interrupted)
        assert cli.run(ON_DISK) == 130
    assert not labels()[4:].any()
    encoded[0] = 0
    assert cli.run(ON_DISK) == 0
    assert encoded[0] < FRAMES
    np.testing.assert_array_equal(labels(), whole())
    assert not list(folder.glob("*unfinished*"))


def test_features_of_a_model_file_that_has_changed_are_not_taken(folder: Path, encoded: list[int]) -> None:
    line = [*LINE, "--view", "frame", "--feature-folder", "features"]
    line[2] = "first.tif"
    assert cli.run(line) == 0
    assert encoded[0] == FRAMES
    write_model(folder / "m.safetensors", 1)
    line[2] = "second.tif"
    assert cli.run(line) == 0
    assert encoded[0] == 2 * FRAMES
    np.testing.assert_array_equal(tifffile.imread("second.tif"), whole())


_SLOW_RUN = """
import sys, time
from napari_sam2 import cli
from napari_sam2.volume import Volume

read_frame = Volume.frame
def slow(self, i):
    if i > 5:
        time.sleep(60)
    return read_frame(self, i)
Volume.frame = slow
cli.main(sys.argv[1:])
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 on this system")
def test_kill_9_in_the_middle(folder: Path, encoded: list[int]) -> None:
    state = folder / "labels.unfinished.state"
    # With as many threads as here: others round otherwise, and random weights give many logits near zero.
    told = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen([sys.executable, "-c", _SLOW_RUN, *ON_DISK], env=told)
    try:
        for _ in range(600):
            if len(list(state.glob("entries-*.npz"))) >= 4 or process.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "labels.ome.zarr").exists()
    assert cli.run(ON_DISK) == 0
    # Of the four frames that were being kept in that moment, all but the last one are there for sure; the
    # frame of the prompts is encoded again.
    assert encoded[0] <= FRAMES - 3 + 1
    np.testing.assert_array_equal(labels(), whole())
    assert not list(folder.glob("*unfinished*"))


@pytest.mark.parametrize(
    ("output", "seconds", "message"),
    [("labels.tif", "0", "has to end in .ome.zarr"), ("a.ome.zarr", "-1", "give 0 or more")],
)
def test_mistakes(
    folder: Path, capsys: pytest.CaptureFixture[str], output: str, seconds: str, message: str
) -> None:
    line = [*LINE, "--labels-on-disk", "--checkpoint-seconds", seconds]
    line[2] = output
    assert cli.run(line) == 2
    assert message in capsys.readouterr().err


def meanwhile(monkeypatch: pytest.MonkeyPatch, done: Callable[[], object], frame: int = 5) -> list[Any]:
    """Do something once, when a frame is read; gives what it returned."""
    read_frame = Volume.frame
    returned: list[Any] = []

    def disturbed(volume: Volume, i: int) -> Any:
        if i == frame and not returned:
            returned.append(None)
            returned[0] = done()
        return read_frame(volume, i)

    monkeypatch.setattr(Volume, "frame", disturbed)
    return returned


def test_two_runs_at_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    statuses = meanwhile(monkeypatch, lambda: cli.run(ON_DISK))
    assert cli.run(ON_DISK) == 0
    assert statuses == [2]
    assert "another run is at work on it" in capsys.readouterr().err
    np.testing.assert_array_equal(labels(), whole())
    assert not list(folder.glob("*unfinished*"))


def test_labels_that_are_deleted_while_they_are_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch:
        meanwhile(patch, lambda: shutil.rmtree("labels.unfinished.ome.zarr"))
        assert cli.run(ON_DISK) == 2
    assert "labels.unfinished.ome.zarr has vanished" in capsys.readouterr().err
    assert not (folder / "labels.ome.zarr").exists()
    assert cli.run(ON_DISK) == 0
    np.testing.assert_array_equal(labels(), whole())


def rewrite(path: str) -> None:
    array = tifffile.imread(path)
    tifffile.imwrite(path, np.roll(array, 3, axis=-1), photometric="minisblack")


@pytest.mark.parametrize("line", [ON_DISK, [*LINE, "--view", "frame"]], ids=["on disk", "in memory"])
@pytest.mark.parametrize("what", ["cells.tif", "seeds.tif"])
def test_files_that_change_while_they_are_read(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: list[str],
    what: str,
) -> None:
    with monkeypatch.context() as patch:
        meanwhile(patch, lambda: rewrite(what))
        assert cli.run(line) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"napari-sam2: {what} changed while it was read: run it again. No labels are made of it."
    assert not (folder / "labels.ome.zarr").exists()
    if line is ON_DISK:
        with pytest.warns(UserWarning, match="begun is made anew: the images or prompts changed$"):
            assert cli.run(line) == 0
    else:
        assert cli.run(line) == 0
    np.testing.assert_array_equal(labels(), whole())


def test_labels_within_the_images(folder: Path, monkeypatch: pytest.MonkeyPatch, encoded: list[int]) -> None:
    image = zarr.create_group("cells.ome.zarr")
    image.create_array("0", data=tifffile.imread("cells.tif"))
    image.create_group("labels")
    line = [ON_DISK[0], "cells.ome.zarr", "cells.ome.zarr/labels/found.zarr", *ON_DISK[3:]]
    read_frame = Volume.frame

    def vanishing(volume: Volume, i: int) -> Any:
        if i == 5:
            raise FileNotFoundError("the disk was pulled out")
        return read_frame(volume, i)

    with monkeypatch.context() as patch:
        patch.setattr(Volume, "frame", vanishing)
        assert cli.run(line) == 2
    encoded[0] = 0
    assert cli.run(line) == 0
    assert encoded[0] <= FRAMES - 5 + 1
    found = np.asarray(zarr.open_array("cells.ome.zarr/labels/found.zarr/0", mode="r"))
    np.testing.assert_array_equal(found, whole())


@pytest.mark.parametrize("said", ["click", "mask", "session"])
def test_ids_that_need_a_wider_type(folder: Path, said: str) -> None:
    seeds = tifffile.imread("seeds.tif").astype(np.uint32)
    seeds[seeds == 1] = 70_000
    tifffile.imwrite("seeds.tif", seeds)
    line = list(ON_DISK)
    if said == "session":
        kept = [
            "segment",
            "cells.tif",
            "first.tif",
            *LINE[3:],
            "--frames",
            "0:2",
            "--save-session",
            "a.sam2.json",
        ]
        assert cli.run(kept) == 0
        line[3:5] = ["--session", "a.sam2.json"]
    elif said == "click":
        y, x = np.argwhere(seeds == 70_000).mean(axis=0).round()
        line[3:5] = ["--click", f"70000:0,{y:.0f},{x:.0f}"]
    assert cli.run(line) == 0
    assert labels().dtype == np.uint32
    assert 70_000 in labels()


def test_the_session_is_saved_where_the_labels_cannot_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    line = [*LINE, "--view", "frame", "--save-session", "kept.sam2.json"]
    with monkeypatch.context() as patch:
        patch.setattr(Session, "export", full)
        assert cli.run(line) == 2
    assert "No space left" in capsys.readouterr().err
    assert not (folder / "labels.ome.zarr").exists()
    kept = Session.load("kept.sam2.json", model=load_model("m.safetensors"))
    np.testing.assert_array_equal(kept.labels, whole())
