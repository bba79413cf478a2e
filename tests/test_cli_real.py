"""The program with a real, small network of random weights: files in, files out."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
import zarr
from yaozarrs import v05
from yaozarrs.write.v05 import write_image

from napari_sam2 import cli, samples
from napari_sam2._cli import progress
from napari_sam2._model.config import NANO_CONFIG
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.session import Session
from napari_sam2.volume import Volume

FRAMES = 5


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "random.safetensors"
    torch.manual_seed(0)
    save_model(Sam2(replace(NANO_CONFIG, image_size=64)), path)
    return path


@pytest.fixture(scope="module")
def sequence() -> samples.SampleSequence:
    return samples.drifting_cells(frames=FRAMES, shape=(72, 80), cells=2)


@pytest.fixture
def folder(tmp_path: Path, sequence: samples.SampleSequence, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the sequence as TIFF, Zarr and .npz."""
    tifffile.imwrite(tmp_path / "cells.tif", sequence.images, photometric="minisblack")
    zarr.create_array(tmp_path / "cells.zarr", data=sequence.images)
    np.savez(tmp_path / "cells.npz", images=sequence.images, labels=sequence.labels)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: object) -> int:
    return cli.run([str(each) for each in arguments])


@pytest.mark.parametrize("images", ["cells.tif", "cells.zarr", "cells.npz"])
def test_segment_to_tiff(folder: Path, model: Path, images: str) -> None:
    given = ["--click", "1:1,30,30", "--click", "7:3,40,50", "--box", "7:3,30,40,50,60"]
    assert run("segment", images, "labels.tif", *given, "--model", model) == 0
    labels = tifffile.imread("labels.tif")
    assert labels.shape == (FRAMES, 72, 80)
    assert labels.dtype == np.uint16
    assert set(np.unique(labels)) <= {0, 1, 7}


def test_images_of_more_axes_ask_for_a_position_in_the_words_of_the_program(
    folder: Path, model: Path, sequence: samples.SampleSequence, capsys: pytest.CaptureFixture[str]
) -> None:
    images = np.stack([sequence.images] * 2, axis=1)
    tifffile.imwrite("movie.ome.tif", images, metadata={"axes": "TZYX"})
    given = ["segment", "movie.ome.tif", "labels.tif", "--click", "1:1,30,30", "--model", model]
    assert run(*given) != 0
    said = capsys.readouterr().err
    assert "frames along axis 0 (else say --axis)" in said
    assert "Choose one by --index 1:0 (up to 1:1)." in said
    assert run(*given, "--index", "1:0") == 0
    assert tifffile.imread("labels.tif").shape == (FRAMES, 72, 80)


def test_segment_to_zarr_and_challenge_folder(folder: Path, model: Path) -> None:
    for output in ("labels.ome.zarr", "01_RES"):
        assert run("segment", "cells.tif", output, "--click", "1:1,30,30", "--model", model) == 0
    (array,) = (each for _, each in _arrays(zarr.open_group("labels.ome.zarr", mode="r")))
    assert array.shape == (FRAMES, 72, 80)
    assert (folder / "01_RES" / "res_track.txt").is_file()
    assert len(list((folder / "01_RES").glob("mask*.tif"))) == FRAMES


def _arrays(group: zarr.Group) -> Iterator[tuple[str, zarr.Array[Any]]]:
    for name, member in group.members(max_depth=None):
        if isinstance(member, zarr.Array):
            yield name, member


def test_labels_on_disk_are_those_of_a_run_in_memory(
    folder: Path, model: Path, sequence: samples.SampleSequence
) -> None:
    tifffile.imwrite("seeds.tif", sequence.labels[2])
    given = ["--mask", "seeds.tif", "--mask-frame", "2", "--model", model]
    assert run("segment", "cells.tif", "a.ome.zarr", *given) == 0
    (folder / "b.unfinished.ome.zarr").mkdir()  # of a run that was killed
    kept = ["--labels-on-disk", "--save-session", "b.sam2.json"]
    assert run("segment", "cells.tif", "b.ome.zarr", *given, *kept) == 0
    first, second = (np.asarray(zarr.open_array(f"{name}.ome.zarr/0", mode="r")) for name in "ab")
    assert first.any()
    np.testing.assert_array_equal(first, second)
    assert not list(folder.glob("*unfinished*"))
    assert (folder / "b.sam2.json").exists()


def test_labels_on_disk_go_where_a_link_leads_to(folder: Path, model: Path) -> None:
    (folder / "disk").mkdir()
    (folder / "a.ome.zarr").symlink_to(folder / "disk" / "b.ome.zarr")
    given = ["--click", "1:1,30,30", "--model", model, "--labels-on-disk"]
    for _ in range(2):  # the second time there is something to replace
        assert run("segment", "cells.tif", "a.ome.zarr", *given) == 0
        assert (folder / "a.ome.zarr").is_symlink()
        assert [each.name for each in (folder / "disk").iterdir()] == ["b.ome.zarr"]


def test_labels_on_disk_are_an_ome_zarr(
    folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--click", "1:1,30,30", "--model", model, "--labels-on-disk"]
    assert run("segment", "cells.tif", "labels.tif", *given) == 2
    assert "has to end in .ome.zarr" in capsys.readouterr().err
    assert run("segment", "cells.tif", "cells.zarr", *given) == 2
    assert not list(folder.glob("*unfinished*"))


def test_what_was_done_is_on_disk_when_a_run_breaks_off(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_frame = Volume.frame

    def vanishing(volume: Volume, i: int) -> Any:
        if i == 3:
            raise FileNotFoundError("the disk was pulled out")
        return read_frame(volume, i)

    given = ["--mask", "seeds.tif", "--model", model, "--view", "frame", "--labels-on-disk"]
    seeds = np.zeros((72, 80), np.uint8)
    seeds[20:50, 20:50] = 1
    tifffile.imwrite("seeds.tif", seeds)
    with monkeypatch.context() as patch:
        patch.setattr(Volume, "frame", vanishing)
        assert run("segment", "cells.tif", "a.ome.zarr", *given) == 2
    (left,) = folder.glob("*.ome.zarr")
    assert left.name == "a.unfinished.ome.zarr"
    assert np.asarray(zarr.open_array(left / "0", mode="r"))[0].any()
    assert run("segment", "cells.tif", "a.ome.zarr", *given) == 0
    assert [each.name for each in folder.glob("*.ome.zarr")] == ["a.ome.zarr"]


def test_a_second_run_reads_the_features_of_the_first(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--click", "1:1,30,30", "--model", model, "--feature-folder", "features"]
    assert run("segment", "cells.tif", "a.tif", *given) == 0
    monkeypatch.setattr(Sam2, "encode_image", None)
    assert run("segment", "cells.zarr", "b.tif", *given) == 0
    np.testing.assert_array_equal(tifffile.imread("a.tif"), tifffile.imread("b.tif"))


def test_a_level_of_a_pyramid_and_the_session_of_it(
    folder: Path, model: Path, sequence: samples.SampleSequence
) -> None:
    spec = v05.Image(multiscales=[_pyramid()])
    levels = [sequence.images, np.ascontiguousarray(sequence.images[:, ::2, ::2])]
    write_image("pyramid.ome.zarr", spec, levels, writer="zarr")
    given = ["--click", "1:1,15,15", "--model", model, "--level", "1", "--save-session", "s.sam2.json"]
    assert run("segment", "pyramid.ome.zarr", "labels.tif", *given) == 0
    labels = tifffile.imread("labels.tif")
    assert labels.shape == (FRAMES, 36, 40)
    session = Session.load("s.sam2.json", model=load_model(model))
    assert session.geometry.scale == (1.0, 1.0, 1.0)
    assert session.volume.shape == labels.shape
    assert run("segment", "pyramid.ome.zarr", "again.tif", "--session", "s.sam2.json", "--model", model) == 0
    np.testing.assert_array_equal(tifffile.imread("again.tif"), labels)


def _pyramid() -> v05.Multiscale:
    axes: list[Any] = [v05.TimeAxis(name="t"), v05.SpaceAxis(name="y"), v05.SpaceAxis(name="x")]
    steps = [v05.ScaleTransformation(scale=[1.0, size, size]) for size in (0.5, 1.0)]
    datasets = [v05.Dataset(path=str(i), coordinateTransformations=[step]) for i, step in enumerate(steps)]
    return v05.Multiscale(name="cells", axes=axes, datasets=datasets)


def test_a_label_image_and_a_saved_session_give_the_same_labels(
    folder: Path, model: Path, sequence: samples.SampleSequence
) -> None:
    tifffile.imwrite("seeds.tif", sequence.labels[2])
    seeded = ["--mask", "seeds.tif", "--mask-frame", "2", "--click", "1:0,30,30"]
    assert (
        run("segment", "cells.tif", "a.tif", *seeded, "--save-session", "s.sam2.json", "--model", model) == 0
    )
    assert run("segment", "cells.zarr", "b.tif", "--session", "s.sam2.json", "--model", model) == 0
    labels = tifffile.imread("a.tif")
    assert labels[2].any()
    np.testing.assert_array_equal(labels, tifffile.imread("b.tif"))


def test_a_session_brings_its_options_and_its_model(
    folder: Path, model: Path, sequence: samples.SampleSequence
) -> None:
    tifffile.imwrite("many.tif", np.stack([sequence.images, sequence.images[::-1]], axis=1))
    tifffile.imwrite("seeds.tif", sequence.labels[2])
    options = ["--index", "1:0", "--contrast", "90,9000", "--mask", "seeds.tif", "--mask-frame", "2"]
    made = run("segment", "many.tif", "a.tif", *options, "--save-session", "s.sam2.json", "--model", model)
    again = run("segment", "many.tif", "b.tif", "--session", "s.sam2.json")
    assert (made, again) == (0, 0)
    np.testing.assert_array_equal(tifffile.imread("a.tif"), tifffile.imread("b.tif"))


def test_pixel_sizes_are_kept(folder: Path, model: Path, sequence: samples.SampleSequence) -> None:
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite("sized.ome.tif", sequence.images, metadata=metadata)
    assert run("segment", "sized.ome.tif", "labels.tif", "--click", "1:1,30,30", "--model", model) == 0
    with tifffile.TiffFile("labels.tif") as tiff:
        assert tiff.series[0].axes == "TYX"
        assert 'PhysicalSizeY="0.25"' in (tiff.ome_metadata or "")


def test_frames_and_direction(folder: Path, model: Path) -> None:
    options = ["--frames", "1:4", "--direction", "forward", "--model", model]
    assert run("segment", "cells.tif", "labels.tif", "--click", "1:1,30,30", *options) == 0
    labels = tifffile.imread("labels.tif")
    assert not labels[0].any()
    assert not labels[4].any()


def test_ctrl_c_keeps_what_is_done(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(results: Iterable[Any], **options: Any) -> progress.Run:
        def pressed() -> Iterator[Any]:
            for count, result in enumerate(results):
                if count == 1:
                    signal.raise_signal(signal.SIGINT)
                yield result

        return progress.watch(pressed(), **options)

    monkeypatch.setattr("napari_sam2._cli.segment.watch", interrupted)
    status = run("segment", "cells.tif", "labels.tif", "--click", "1:0,30,30", "--model", model)
    assert status == 130
    assert "Stopped by Ctrl-C. What was done is kept: 1 object, 2 frames" in capsys.readouterr().out
    labels = tifffile.imread("labels.tif")
    assert labels.shape == (FRAMES, 72, 80)
    assert not labels[2:].any()


def test_evaluate(folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("evaluate", "cells.npz", "--model", model, "--clicks", 2, "--json", "scores.json") == 0
    written = json.loads((folder / "scores.json").read_text())
    assert [each["id"] for each in written["objects"]] == [1, 2]
    assert 0 <= written["j"] <= 1
    assert written["clicks"] == 2
    assert f"{written['j']:.3f}" in capsys.readouterr().out


def test_demo(
    folder: Path, model: Path, monkeypatch: pytest.MonkeyPatch, sequence: samples.SampleSequence
) -> None:
    monkeypatch.setattr(samples, "sample", lambda name: sequence)
    assert run("demo", "--out", "demo", "--model", model) == 0
    assert tifffile.imread("demo/labels.tif").shape == (FRAMES, 72, 80)
    assert (folder / "demo" / "overlay.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--click", "1:9,3,3"], "frame 9"),
        (["--click", "1:0,300,3"], "300"),
        (["--click", "0:0,3,3"], "object"),
        (["--box", "1:0,9,9,3,3"], "box"),
        (["--click", "1:0,3,3", "--axis", "7"], "axis"),
        (["--click", "1:0,3,3", "--channel", "2"], "channel"),
        (["--click", "1:0,3,3", "--contrast", "9,1"], "contrast"),
        (["--click", "1:0,3,3", "--device", "abacus"], "abacus"),
        (["--session", "cells.tif"], "cells.tif"),
    ],
)
def test_mistakes_are_told_in_one_line(
    folder: Path, model: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("segment", "cells.tif", "labels.tif", *arguments, "--model", model) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert message in err
    assert not (folder / "labels.tif").exists()


@pytest.mark.parametrize("name", ["nothing.safetensors", "cells.npz", "nano3"])
def test_a_wrong_model(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run("segment", "cells.tif", "labels.tif", "--click", "1:0,3,3", "--model", name) == 2
    assert name in capsys.readouterr().err


def test_an_image_that_is_none(folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.tif").write_text("no image")
    assert run("segment", "text.tif", "labels.tif", "--click", "1:0,3,3", "--model", model) == 2
    assert "text.tif" in capsys.readouterr().err


def test_train(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["--steps", "2", "--threads", "1", "--no-bfloat16", "--log-steps", "1"]
    stages = ["--stages", "1", "32", "1", "1", "1", "--stages", "1", "32", "2", "1", "1"]
    monkeypatch.setattr("napari_sam2.training.train.synthetic_j", lambda *_, **__: 0.5)
    assert run("train", "--out", "run", *options, *stages, "--validate", "cells.npz") == 0
    out = capsys.readouterr().out
    assert "cells: 0." in out
    assert out.splitlines()[-1] == str(Path("run") / "model.safetensors")
    assert run("segment", "cells.tif", "a.tif", "--click", "1:1,9,9", "--model", "run/model.safetensors") == 0
    assert run("train", "--out", "run", *options, *stages) == 0


def test_training_needs_a_budget(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--out", "run") == 2
    assert "minutes or steps" in capsys.readouterr().err
