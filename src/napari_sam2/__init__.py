"""Segment and track objects in microscopy volumes and movies with SAM 2's video model.

The names below are imported when they are first used: importing the package loads neither torch nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2._model.errors import CheckpointError
    from napari_sam2._model.weights import load_model
    from napari_sam2._napari.oneshot import propagate_prompts
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.prompts import FramePrompts
    from napari_sam2.session import Session
    from napari_sam2.volume import Volume

__version__ = version("napari-sam2")
__all__ = [
    "CheckpointError",
    "FramePrompts",
    "FrameResult",
    "Session",
    "Volume",
    "load_model",
    "propagate_prompts",
]

_MODULES = {
    "CheckpointError": "_model.errors",
    "FramePrompts": "prompts",
    "FrameResult": "frame_result",
    "Session": "session",
    "Volume": "volume",
    "load_model": "_model.weights",
    "propagate_prompts": "_napari.oneshot",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
