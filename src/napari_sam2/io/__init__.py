"""Files in and out: images read lazily, labels and sessions written whole or not at all."""

from __future__ import annotations

from napari_sam2.io.exporting import export_labels, export_steps
from napari_sam2.io.journal import DOCUMENT as JOURNAL
from napari_sam2.io.journal import Journal, JournalContent, read_journal, read_journal_document
from napari_sam2.io.ome_files import image_files
from napari_sam2.io.reading import (
    LabelGeometry,
    OpenedImage,
    label_geometry,
    open_image,
)
from napari_sam2.io.session_file import (
    SessionDescription,
    SessionDocument,
    read_description,
    read_session,
    reading_steps,
    remove_session,
    session_steps,
    write_session,
)
from napari_sam2.io.streaming import StreamedLabels, create_labels, finish_labels
from napari_sam2.io.table import write_table
from napari_sam2.io.told_axes import frame_axis, told_options

__all__ = [
    "JOURNAL",
    "Journal",
    "JournalContent",
    "LabelGeometry",
    "OpenedImage",
    "SessionDescription",
    "SessionDocument",
    "StreamedLabels",
    "create_labels",
    "export_labels",
    "export_steps",
    "finish_labels",
    "frame_axis",
    "image_files",
    "label_geometry",
    "open_image",
    "read_description",
    "read_journal",
    "read_journal_document",
    "read_session",
    "reading_steps",
    "remove_session",
    "session_steps",
    "told_options",
    "write_session",
    "write_table",
]
