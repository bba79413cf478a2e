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


def _layers(sequence: samples.SampleSequence, axis: str) -> list[LayerData]:
    """Give the image alone; the truth is for the command line to compare with."""
    title = sequence.name.replace("_", " ").capitalize()
    return [(sequence.images, {"name": title, "axis_labels": (axis, "y", "x")}, "image")]
