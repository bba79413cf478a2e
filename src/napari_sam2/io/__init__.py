"""Files in and out: images read lazily, labels and sessions written whole or not at all."""

from __future__ import annotations

from napari_sam2.io.exporting import export_labels
from napari_sam2.io.reading import LabelGeometry, OpenedImage, label_geometry, open_image
from napari_sam2.io.session_file import SessionDocument, read_session, write_session

__all__ = [
    "LabelGeometry",
    "OpenedImage",
    "SessionDocument",
    "export_labels",
    "label_geometry",
    "open_image",
    "read_session",
    "write_session",
]
