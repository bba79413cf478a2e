"""A session that knows the truth: it stands in for the network where only the commands are tested."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from napari_sam2.doubt import Stretch
from napari_sam2.prompts import FramePrompts, PromptKey
from napari_sam2.volume import Volume

if TYPE_CHECKING:
    from napari_sam2.session import Session


@dataclass(frozen=True)
class FakeResult:
    frame: int
    objects: tuple[int, ...]


class FakeSession:
    """Finds the truth, except on one frame, where a mask is empty until it is corrected there."""

    def __init__(self, truth: NDArray[np.integer[Any]], *, bad_frame: int | None = None) -> None:
        self.truth = truth
        self.bad_frame = bad_frame
        self.volume = Volume((truth * 60).astype(np.uint8))
        self.labels = np.zeros(truth.shape, np.uint16)
        self.prompts: dict[PromptKey, FramePrompts] = {}
        self.interrupt_at: int | None = None
        self.calls: list[dict[str, object]] = []
        self.written: list[Path] = []
        self.stretches: tuple[Stretch, ...] = ()

    @property
    def objects(self) -> tuple[int, ...]:
        return tuple(sorted({key.obj for key in self.prompts}))

    def set_prompts(self, obj: int, frame: int, prompts: FramePrompts) -> None:
        self.prompts[PromptKey(obj, frame)] = prompts

    def paint(self, obj: int, frame: int, mask: NDArray[np.bool_]) -> None:
        self.prompts[PromptKey(obj, frame)] = FramePrompts(mask=mask)

    def mask(self, obj: int, frame: int) -> NDArray[np.bool_]:
        lost = frame == self.bad_frame and PromptKey(obj, frame) not in self.prompts
        found: NDArray[np.bool_] = (self.truth[frame] == obj) & (not lost)
        return found

    def propagate(self, **options: object) -> Iterator[FakeResult]:
        self.calls.append(options)
        frames = cast("range | None", options.get("frames")) or range(len(self.truth))
        for frame in frames:
            for obj in self.objects:
                self.labels[frame][self.mask(obj, frame)] = obj
            if frame == self.interrupt_at:
                signal.raise_signal(signal.SIGINT)
            yield FakeResult(frame, self.objects)

    def doubtful(self) -> tuple[Stretch, ...]:
        return self.stretches

    def export(self, path: Path) -> None:
        self.written.append(path)

    def save(self, path: Path) -> None:
        self.written.append(path)

    def as_session(self) -> Session:
        """Claim to be a session, for the type checker."""
        return cast("Session", self)


def two_squares(frames: int = 6) -> NDArray[np.uint16]:
    """Draw objects 1 and 2, which drift to the right."""
    labels = np.zeros((frames, 40, 48), np.uint16)
    for frame in range(frames):
        labels[frame, 4:16, 4 + frame : 18 + frame] = 1
        labels[frame, 22:34, 8 + frame : 20 + frame] = 2
    return labels
