"""From options to a model and a session; torch is loaded here and not before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_sam2 import seeding
from napari_sam2._cli import arguments
from napari_sam2.selection import SelectionRules

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_sam2._cli.arguments import ImageOptions, ModelOptions
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.batch.resumable import ResumableSession
    from napari_sam2.session import Session


def open_model(options: ModelOptions) -> Sam2:
    """Load the network that the options name."""
    from napari_sam2._model.weights import load_model

    return load_model(
        options.name, device=options.device, image_size=options.image_size, precision=options.precision
    )


def open_session(
    path: Path,
    model: Sam2,
    options: ImageOptions,
    saved: Mapping[str, Any] | None = None,
    view: ModelOptions | None = None,
    **keeping: Any,  # noqa: ANN401 - options of `Session`
) -> ResumableSession:
    """Open a file as a session; what the options leave open is taken from those of a saved one."""
    from napari_sam2.batch.resumable import ResumableSession

    arguments.check_input(path)
    chosen = {**(saved or {}), **volume_options(options)}
    return ResumableSession.open(path, model=model, **_with_view(chosen, view), **keeping)


def new_session(images: NDArray[Any], model: Sam2) -> Session:
    """Make a session of an array with the frames along its first axis."""
    from napari_sam2.session import Session

    return Session(images, model=model)


def volume_options(options: ImageOptions) -> dict[str, Any]:
    """Give those options that were chosen, in the words of `Session.open`."""
    chosen = {
        "axis": options.axis,
        "index": arguments.parse_index(options.index),
        "channel": arguments.parse_channel(options.channel),
        "contrast": arguments.parse_contrast(options.contrast),
        "level": options.level,
        "series": options.series,
    }
    return {name: value for name, value in chosen.items() if value is not None}


def _with_view(chosen: dict[str, Any], options: ModelOptions | None) -> dict[str, Any]:
    """Add what was chosen of view and memory; what was not is as in a saved session."""
    if options is not None and options.memory is not None:
        chosen = {**chosen, "memory": SelectionRules.parse(options.memory)}
    if options is None or (options.view, options.window_size) == (None, None):
        return chosen
    from napari_sam2.window import WindowRules

    rules = chosen.get("view") or WindowRules("auto")
    return {
        **chosen,
        "view": replace(rules, view=options.view or rules.view, size=options.window_size or rules.size),
    }


def read_labels(path: Path) -> NDArray[np.integer]:
    """Read a label image whole, see `napari_sam2.seeding.read_labels`."""
    arguments.check_input(path)
    return seeding.read_labels(path)
