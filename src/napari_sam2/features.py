"""Image features: read, resized and encoded once per frame, then kept as long as they fit."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from napari_sam2._model.pixels import prepare
from napari_sam2.grouping import Groups
from napari_sam2.keeping import Keeping
from napari_sam2.placement import Box

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from napari_sam2._model.results import ImageFeatures
    from napari_sam2._model.sam2 import Sam2
    from napari_sam2.feature_store import FeatureStore
    from napari_sam2.window import Windows


class FrameSource(Protocol):
    """Frames that can be read one at a time, such as a `Volume`; windows need its `crop`, too."""

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


@runtime_checkable
class CropSource(Protocol):
    """Frames of which a part can be read."""

    def crop(self, i: int, box: Sequence[int]) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        """Return the part (y0, x0, y1, x1) of a frame, (y1 - y0, x1 - x0, 1 or 3)."""
        ...


class Sight(NamedTuple):
    """What was encoded: a frame and the window of it, None for the whole."""

    frame: int
    window: Box | None = None


class _Input(NamedTuple):
    """What was read of a sight: what is to be encoded, or its features where a store has them."""

    pixels: npt.NDArray[np.float32] | None
    features: ImageFeatures | None = None
    key: str = ""


def read_window(
    frames: FrameSource, frame: int, window: Box, frame_shape: tuple[int, int]
) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    """Read a window; where it sticks out of the frame, the border's values go on.

    Parameters
    ----------
    frames : FrameSource
        Where to read; only the window is, where the source lets one.
    frame : int
        Which frame.
    window : Box
        At least one of its pixels lies on the frame.
    frame_shape : (int, int)
        Height and width of the frame.

    Returns
    -------
    array (height, width, C)
    """
    inside = window.intersection(Box(0, 0, *frame_shape))
    if inside is None:
        raise ValueError(f"window {tuple(window)} does not lie on a frame of shape {frame_shape}")
    if isinstance(frames, CropSource):
        part = frames.crop(frame, inside)
    else:
        part = frames.frame(frame)[inside.slices]
    margins = (
        (inside.y0 - window.y0, window.y1 - inside.y1),
        (inside.x0 - window.x0, window.x1 - inside.x1),
        (0, 0),
    )
    if inside == window:
        return part
    padded: npt.NDArray[Any] = np.pad(part, margins, mode="edge")
    return padded


class FeatureCache:
    """Features by frame and window, least recently used ones dropped beyond a budget.

    Parameters
    ----------
    model : Sam2
        Encodes the frames.
    frames : FrameSource
        Where they are read.
    budget : int
        Bytes of features to keep; the newest frame is always kept.
    windows : Windows, optional
        What windows there are; without it there is only the whole frame.
    most_frames : int, optional
        Frames to keep at most, however little they take.
    store : FeatureStore, optional
        Where features are kept on disk.
    groups : Groups, optional
        How many are encoded at once; by default one.

    Attributes
    ----------
    encoded : int
        Number of times that a frame or a window of one was encoded.
    """

    def __init__(
        self,
        model: Sam2,
        frames: FrameSource,
        budget: int = Keeping.features,
        *,
        windows: Windows | None = None,
        most_frames: int | None = None,
        store: FeatureStore | None = None,
        groups: Groups | None = None,
    ) -> None:
        self.encoded = 0
        self._model = model
        self._frames = frames
        self.budget = budget
        self._windows = windows
        self._most_frames = most_frames
        self._store = store
        self._groups = groups or Groups(1, model.runtime.device)
        self._kept: OrderedDict[Sight, ImageFeatures] = OrderedDict()
        self._nbytes = 0
        self._reader: ThreadPoolExecutor | None = None
        self._ahead: dict[Sight, Future[_Input]] = {}

    def __contains__(self, frame: int) -> bool:
        return self.has(frame)

    @property
    def nbytes(self) -> int:
        """Bytes of the features that are kept."""
        return self._nbytes

    def glance(self, frame: int, window: Box | None, side: int) -> npt.NDArray[np.float32]:
        """Read a frame or a window of it, (C, side, side), without encoding it."""
        return resize_frame(self._pixels(self._sight(frame, window)), side)

    def has(self, frame: int, window: Box | None = None) -> bool:
        """Tell whether the features of a frame, or of a window of it, are kept."""
        return self._sight(frame, window) in self._kept

    def get(self, frame: int, window: Box | None = None) -> ImageFeatures:
        """Return the features of a frame or of a window, (1, ...) each, encoding what is not kept."""
        return self.get_all([(frame, window)])[0]

    def get_all(self, sights: Sequence[tuple[int, Box | None]]) -> list[ImageFeatures]:
        """Return the features of several windows; those that are not kept are encoded together.

        As many go through the network at once as objects do.
        """
        wanted = [self._sight(*each) for each in sights]
        missing = list(dict.fromkeys(sight for sight in wanted if sight not in self._kept))
        found = {sight: self._kept[sight] for sight in wanted if sight in self._kept}
        found.update(self._found_or_encoded({sight: self._input(sight) for sight in missing}))
        for sight in wanted:
            self._nbytes += 0 if sight in self._kept else found[sight].nbytes
            self._kept[sight] = found[sight]
            self._kept.move_to_end(sight)
        self._shrink()
        return [found[sight] for sight in wanted]

    def in_groups(self, sights: Sequence[tuple[int, Box | None]]) -> Iterator[None]:
        """Encode what is not kept of several windows, as many at a time as go through the network at once."""
        missing = [each for each in dict.fromkeys(sights) if not self.has(*each)]
        start = 0
        while start < len(missing):
            part = missing[start : start + self._groups.size]
            self.get_all(part)
            start += len(part)
            yield

    def read_ahead(self, frames: Sequence[int], windows: Sequence[Box | None] = (None,)) -> None:
        """Start to read the first of these frames that has no features, while others are computed."""
        for frame in frames:
            wanted = [self._sight(frame, window) for window in windows]
            missing = [sight for sight in dict.fromkeys(wanted) if sight not in self._kept]
            if missing:
                self._read_all(missing)
                return

    def _read_all(self, sights: Sequence[Sight]) -> None:
        if self._reader is None:
            self._reader = ThreadPoolExecutor(1, thread_name_prefix="napari-sam2-read")
        reader, before = self._reader, self._ahead
        # What was asked for last is about to be taken; what is older is not wanted any more.
        latest = next(reversed(before)).frame if before else None
        kept = {sight: future for sight, future in before.items() if sight.frame == latest}
        self._ahead = kept | {s: before.get(s) or reader.submit(self._read, s) for s in sights}

    def stop_reading(self) -> None:
        """End the reading thread; `read_ahead` starts another one."""
        self._ahead = {}
        if self._reader is not None:
            self._reader.shutdown(wait=True, cancel_futures=True)
            self._reader = None

    def _sight(self, frame: int, window: Box | None) -> Sight:
        is_whole = window is None or self._windows is None or window == self._windows.whole
        return Sight(frame, None if is_whole else window)

    def _input(self, sight: Sight) -> _Input:
        """Take what was read ahead, or read it."""
        ahead = self._ahead.pop(sight, None)
        return self._read(sight) if ahead is None else ahead.result()

    def _read(self, sight: Sight) -> _Input:
        pixels, side = self._pixels(sight), self._model.config.image_size
        if sight.window is not None and self._windows is not None:
            side = self._windows.resolution(sight.window)
        key = "" if self._store is None else self._store.key(pixels, side)
        features = None if self._store is None else self._store.load(key)
        return _Input(resize_frame(pixels, side) if features is None else None, features, key)

    def _pixels(self, sight: Sight) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
        if sight.window is None or self._windows is None:
            return self._frames.frame(sight.frame)
        return read_window(self._frames, sight.frame, sight.window, self._windows.frame_shape)

    def _found_or_encoded(self, inputs: dict[Sight, _Input]) -> Iterator[tuple[Sight, ImageFeatures]]:
        """Give the features of what was read; those of equal resolution are encoded together."""
        sizes: dict[int, dict[Sight, npt.NDArray[np.float32]]] = {}
        for sight, (pixels, features, _) in inputs.items():
            if features is not None:
                yield sight, features.to(device=self._model.runtime.device)
            elif pixels is not None:
                sizes.setdefault(pixels.shape[-1], {})[sight] = pixels
        for alike in sizes.values():
            encoded = [
                each for group in self._groups.run(list(alike.values()), self._encode) for each in group
            ]
            for sight, features in zip(alike, encoded, strict=True):
                if self._store is not None:
                    self._store.save(inputs[sight].key, features)
                yield sight, features

    def _encode(self, pixels: Sequence[npt.NDArray[np.float32]]) -> list[ImageFeatures]:
        runtime = self._model.runtime
        with torch.inference_mode(), runtime.autocast():
            image = prepare(torch.from_numpy(np.stack(pixels)).to(runtime.device), self._model.config)
            features = self._model.encode_image(image)
            self.encoded += len(pixels)
            return [features] if len(pixels) == 1 else [features.row(i) for i in range(len(pixels))]

    def shrink(self, budget: int) -> None:
        """Keep so many bytes from now on; what is beyond goes at once."""
        self.budget = budget
        self._shrink()

    def _shrink(self) -> None:
        while len(self._kept) > 1 and (self.nbytes > self.budget or self._has_too_many_frames()):
            _, dropped = self._kept.popitem(last=False)
            self._nbytes -= dropped.nbytes

    def _has_too_many_frames(self) -> bool:
        return self._most_frames is not None and len({each.frame for each in self._kept}) > self._most_frames
