"""Image features: read, resized and encoded once per frame, then kept as long as they fit."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from napari_sam2._model.sam2 import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_sam2._model.results import ImageFeatures
    from napari_sam2._model.sam2 import Sam2

DEFAULT_BUDGET = 512 * 2**20


class FrameSource(Protocol):
    """Frames that can be read one at a time, such as a `Volume`."""

    def frame(self, index: int) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        """Return one frame, (H, W, 1 or 3), uint8 or float32 of 0..255."""
        ...


def resize_frame(
    frame: npt.NDArray[np.uint8] | npt.NDArray[np.float32], side: int
) -> npt.NDArray[np.float32]:
    """Stretch a frame to a square with Pillow's bicubic filter, as the reference does with image files.

    Parameters
    ----------
    frame : array (H, W, C)
        C is 1 or 3; uint8 is rounded to whole values again, float32 is not.
    side : int
        Height and width of the result.

    Returns
    -------
    array (C, side, side), float32
    """
    channels = [Image.fromarray(np.ascontiguousarray(frame[..., c])) for c in range(frame.shape[-1])]
    resized = [channel.resize((side, side), Image.Resampling.BICUBIC) for channel in channels]
    return np.stack([np.asarray(channel, dtype=np.float32) for channel in resized])


class FeatureCache:
    """Features by frame, least recently used ones dropped beyond a budget.

    Parameters
    ----------
    model : Sam2
        Encodes the frames.
    frames : FrameSource
        Where they are read.
    budget : int
        Bytes of features to keep; the newest frame is always kept.

    Attributes
    ----------
    encoded : int
        Number of times that a frame was encoded.
    """

    def __init__(self, model: Sam2, frames: FrameSource, budget: int = DEFAULT_BUDGET) -> None:
        self.encoded = 0
        self._model = model
        self._frames = frames
        self._budget = budget
        self._kept: OrderedDict[int, ImageFeatures] = OrderedDict()
        self._reader: ThreadPoolExecutor | None = None
        self._ahead: dict[int, Future[npt.NDArray[np.float32]]] = {}

    def __contains__(self, frame: int) -> bool:
        return frame in self._kept

    @property
    def nbytes(self) -> int:
        """Bytes of the features that are kept."""
        return sum(features.nbytes for features in self._kept.values())

    def get(self, frame: int) -> ImageFeatures:
        """Return a frame's features, (1, ...) each, encoding it if they are not kept."""
        if frame not in self._kept:
            self._kept[frame] = self._encode(frame)
            self._shrink()
        self._kept.move_to_end(frame)
        return self._kept[frame]

    def read_ahead(self, frames: Sequence[int]) -> None:
        """Start to read the first of these frames that has no features, while others are computed."""
        wanted = next((frame for frame in frames if frame not in self._kept), None)
        if wanted is None or wanted in self._ahead:
            return
        if self._reader is None:
            self._reader = ThreadPoolExecutor(1, thread_name_prefix="napari-sam2-read")
        self._ahead = {wanted: self._reader.submit(self._read, wanted)}

    def stop_reading(self) -> None:
        """End the reading thread; `read_ahead` starts another one."""
        self._ahead = {}
        if self._reader is not None:
            self._reader.shutdown(wait=True, cancel_futures=True)
            self._reader = None

    def _read(self, frame: int) -> npt.NDArray[np.float32]:
        return resize_frame(self._frames.frame(frame), self._model.config.image_size)

    def _encode(self, frame: int) -> ImageFeatures:
        ahead = self._ahead.pop(frame, None)
        pixels = self._read(frame) if ahead is None else ahead.result()
        runtime = self._model.runtime
        with torch.inference_mode(), runtime.autocast():
            image = normalise(torch.from_numpy(pixels)[None].to(runtime.device))
            self.encoded += 1
            return self._model.encode_image(image)

    def _shrink(self) -> None:
        while len(self._kept) > 1 and self.nbytes > self._budget:
            self._kept.popitem(last=False)
