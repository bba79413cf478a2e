"""What the command line refuses before the work begins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from napari_sam2 import cli
from napari_sam2.samples import SAMPLES, sample
from napari_sam2.seeding import read_labels, shows_intensities


def speckled(share: float) -> NDArray[np.bool_]:
    """Strew pixels over a plane."""
    found: NDArray[np.bool_] = np.random.default_rng(0).random((200, 200)) < share
    return found


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def loading(*_: object, **__: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr("napari_sam2._model.weights.load_model", loading)


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.random.default_rng(0).integers(1, 60_000, (3, 40, 50)).astype(np.uint16))
    labels = np.zeros((3, 40, 50), np.uint16)
    labels[:, 4:20, 4:20] = 1
    np.save("a_seeds.npy", labels)
    return Path("a.npy")


@pytest.mark.parametrize("folder", ["features", "features/within"])
@pytest.mark.parametrize("command", [["segment", "a.npy", "o.tif", "--mask", "a_seeds.npy"], ["batch", "."]])
def test_a_file_for_a_folder_of_features(
    images: Path, capsys: pytest.CaptureFixture[str], command: list[str], folder: str
) -> None:
    Path("features").touch()
    assert cli.run([*command, "--feature-folder", folder]) == 2
    said = f"{images.absolute().with_name('features')} is a file, not a folder that image features"
    assert said in capsys.readouterr().err
    assert not Path("results").exists()


@pytest.mark.parametrize(
    "command", [["evaluate", "a.npy", "a.npy"], ["segment", "a.npy", "o.tif", "--mask", "a.npy"]]
)
def test_intensities_in_place_of_labels(
    images: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert cli.run(command) == 2
    assert f"{images} is no label image: its values change from pixel to pixel" in capsys.readouterr().err


@pytest.mark.parametrize("name", SAMPLES)
def test_labels_are_told_from_images(name: str) -> None:
    sequence = sample(name)
    assert shows_intensities(np.asarray(sequence.images).astype(np.int64))
    assert not shows_intensities(sequence.labels)
    assert not shows_intensities(sequence.labels[0])


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("width", [2, 4, 8])
@pytest.mark.parametrize("most", [90, 255])
def test_smooth_images_are_told_from_labels(name: str, width: int, most: int) -> None:
    smooth = gaussian_filter(np.asarray(sample(name).images, float), (0, width, width))
    low, high = np.quantile(smooth, (0.01, 0.999))
    assert shows_intensities(np.clip((smooth - low) * (most / (high - low)), 0, 255).astype(np.uint8))


def territories(count: int, side: int) -> NDArray[np.intp]:
    """Share a plane out among objects that touch, numbered from top to bottom."""
    centres = np.random.default_rng(0).random((count, 2)) * side
    places = np.moveaxis(np.indices((side, side)), 0, -1)
    return np.asarray(cKDTree(centres[np.argsort(centres[:, 0])]).query(places)[1]) + 1


def tile(side: int) -> NDArray[np.int64]:
    """Put 8 times 8 squares side by side, numbered row by row."""
    return np.kron(np.arange(1, 65).reshape(8, 8), np.ones((side, side), np.int64))


LABELS = {
    "territories": territories(500, 200),
    "debris that shares an id": np.where(speckled(0.02), 999, territories(100, 200)),
    "tiles that have the same ids": np.tile(tile(4), (6, 6)),
    "tiles of other objects that have the same ids": np.tile(territories(100, 60), (4, 4)),
    "ids that begin again after 255": territories(2000, 400) % 255 + 1,
    "pixels of some classes": gaussian_filter(np.random.default_rng(1).normal(7, 12, (200, 200)), 2).astype(
        int
    ),
    "ids in stripes": np.tile(np.repeat(np.arange(1, 51), 3), (150, 1)),
    "specks of one object": speckled(0.3).astype(np.uint8),
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_are_much_like_images(name: str) -> None:
    assert not shows_intensities(LABELS[name])


@pytest.mark.parametrize("side", [2, 3])
def test_small_objects_side_by_side(images: Path, side: int) -> None:
    ids = np.arange(1, 401, dtype=np.uint16).reshape(20, 20)
    np.save(images, np.kron(ids, np.ones((side, side), np.uint16)))
    assert read_labels(images).max() == 400


def test_nothing_and_numbers_without_a_plane() -> None:
    assert not shows_intensities(np.zeros((0, 4, 4), np.uint8))
    assert not shows_intensities(np.zeros((2, 4, 4), np.uint8))
    assert not shows_intensities(np.arange(9))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--checkpoint-seconds", "5"], "--checkpoint-seconds goes with --labels-on-disk"),
        (["--feature-gigabytes", "3"], "--feature-gigabytes goes with --feature-folder"),
        (["--click", "1:0,9,9", "--mask-frame", "2"], "--mask-frame goes with --mask"),
    ],
)
def test_options_that_would_change_nothing(
    images: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    seeds = [] if "--click" in options else ["--mask", "a_seeds.npy"]
    assert cli.run(["segment", "a.npy", "o.tif", *seeds, *options]) == 2
    assert said in capsys.readouterr().err


def test_a_size_for_no_folder_of_features_of_a_batch(
    images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["batch", ".", "--feature-gigabytes", "3"]) == 2
    assert "--feature-gigabytes goes with --feature-folder" in capsys.readouterr().err


def test_labels_among_the_images_of_a_folder(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("stack").mkdir()
    for number in range(3):
        tifffile.imwrite(f"stack/{number}.tif", np.load("a.npy")[number])
    for name in ("stack/o.tif", "./stack/../stack/o.TIFF"):
        assert cli.run(["segment", "stack", name, "--mask", "a_seeds.npy"]) == 2
        assert "would be one of the images" in capsys.readouterr().err


def test_a_file_for_the_folder_of_the_demo(images: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["demo", "--out", "a.npy"]) == 2
    assert "a.npy is a file, not a folder" in capsys.readouterr().err
