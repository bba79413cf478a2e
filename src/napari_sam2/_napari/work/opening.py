"""How a session is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2._napari.image.network_view import View
    from napari_sam2.session import Session
    from napari_sam2.volume import Volume


class NotOpenError(RuntimeError):
    """A session was needed where none could be opened; why, the user was told when that was tried."""

    def __init__(self) -> None:
        super().__init__("The image is not open: choose an image layer and a model that can be loaded.")


@dataclass(frozen=True, eq=False)
class Opening:
    """How a session is opened.

    Attributes
    ----------
    view : View
        What the network sees.
    axis : int
        Data axis of the frames.
    index : mapping of int to int
        Positions along the other axes, less a channel that is part of the view.
    axes : str
        "zyx" or "tyx".
    scale : (float, float, float)
        Size of a step along frames, rows and columns.
    location : str or None
        The file of the image.
    cache_bytes : int
        How much memory image features may take.
    """

    view: View
    axis: int = 0
    index: Mapping[int, int] = field(default_factory=dict)
    axes: str = "zyx"
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    location: str | None = None
    cache_bytes: int = 512 * 2**20


def open_session(opening: Opening, model: Sam2) -> Session:
    """Open a session as it was said, with nothing said of the images yet."""
    from napari_sam2.io import LabelGeometry
    from napari_sam2.session import Session
    from napari_sam2.window import WindowRules

    view, scale = opening.view, opening.scale
    session = Session(
        view.data,
        model=model,
        axis=opening.axis,
        index={**view.index, **opening.index},
        channel=view.channel,
        contrast=view.contrast,
        view=WindowRules("auto", aspect=scale[1] / scale[2]),
    )
    session.geometry = LabelGeometry(opening.axes, scale)
    session.location = opening.location
    session.made_of = view.made_of
    session.cache_bytes = opening.cache_bytes
    return session


def check_frames(loaded: Session, opened: Session) -> None:
    """Make sure that a session has the frames that another one of the same image has; else ValueError."""
    found, wanted = loaded.volume, opened.volume
    if found.shape != wanted.shape or (wanted.num_frames > 1 and _axis(found) != _axis(wanted)):
        raise ValueError(
            f"the saved session has frames {found.shape} along axis {_axis(found)}, the image {wanted.shape} "
            f"along axis {_axis(wanted)}: choose the axis and the image that it was made with"
        )


def _axis(volume: Volume) -> int:
    return int(volume.options()["axis"]) % len(volume.data.shape)
