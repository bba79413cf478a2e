"""Which image it is, also where some of its frames cannot be read."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np

from napari_sam2.volume import SAMPLED_FRAMES

if TYPE_CHECKING:
    from napari_sam2.volume import Volume


def identify(volume: Volume) -> tuple[str, str]:
    """Return a checksum of an image, and why it is of its readable frames alone; empty if it is of all."""
    try:
        return volume.checksum(), ""
    except Exception as error:  # noqa: BLE001 - storage fails in many ways
        return _readable(volume), str(error) or type(error).__name__


def _readable(volume: Volume) -> str:
    """Sum up shape and a sample of the frames that can be read."""
    digest = hashlib.sha256(json.dumps(volume.shape).encode())
    count = min(volume.num_frames, SAMPLED_FRAMES)
    for place in np.linspace(0, volume.num_frames - 1, count):
        try:
            digest.update(volume.frame(round(place)).tobytes())
        except Exception:  # noqa: BLE001 - it has been told
            digest.update(b"unreadable")
    return digest.hexdigest()
