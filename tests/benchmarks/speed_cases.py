"""What is compared: cases, the frames and clicks of each, and what one side tells of itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Frames after which every bank of memories is full, and those whose masks are compared.
WARM, COMPARED = 8, 3
# With many objects or large frames memories cost most of the time: fewer of them, and fewer frames, or a case
# takes an hour. The bars have full banks at 1024.
MANY, LARGE, WARM_FEW = 16, 1024, 3


@dataclass(frozen=True)
class Case:
    """One comparison.

    Attributes
    ----------
    model : str
        Released name, such as ``"sam2.1-tiny"``.
    objects : int
        One click each on the first frame.
    size : int
        Side of frames and of the network's input.
    precisions : tuple of str
        ``"float32"`` and ``"bfloat16"``.
    pairs : int
        Frames that are timed, the sides in turn.
    warm : int
        Frames before them.
    """

    model: str
    objects: int
    size: int
    precisions: tuple[str, ...]
    pairs: int = 5
    warm: int = WARM

    @property
    def name(self) -> str:
        """Name in results and on the command line."""
        return f"{self.model}-{self.size}-{self.objects}"

    @property
    def frames(self) -> int:
        """Frames of the sequence: the clicked one, those that fill the memories, those that are timed."""
        return self.warm + self.pairs


BOTH = ("float32", "bfloat16")
BARS = (Case("sam2.1-tiny", 2, 1024, BOTH), Case("sam2.1-base-plus", 2, 1024, BOTH))
TABLE = tuple(
    Case(
        f"sam2.1-{trunk}",
        objects,
        size,
        BOTH,
        pairs=1 if objects == MANY or (size == LARGE and objects > 1) else 3,
        warm=WARM_FEW if objects == MANY or size == LARGE else WARM,
    )
    for size, objects in ((512, 1), (512, 4), (1024, 1), (512, MANY), (1024, 4), (1024, MANY))
    for trunk in ("tiny", "base-plus")
)


def clicks(case: Case) -> list[tuple[float, float]]:
    """Return one place (y, x) for each object, on a grid."""
    side = int(np.ceil(case.objects**0.5))
    step = case.size / side
    return [((i // side + 0.5) * step, (i % side + 0.5) * step) for i in range(case.objects)]


def draw_frames(case: Case, draw: int = 0) -> npt.NDArray[np.uint8]:
    """Draw discs that drift over a noisy ground, (T, size, size, 3)."""
    rng = np.random.default_rng(draw)
    yy, xx = np.mgrid[: case.size, : case.size]
    frames = np.empty((case.frames, case.size, case.size, 3), np.uint8)
    for index in range(case.frames):
        image = rng.normal(90, 12, (case.size, case.size))
        for y, x in clicks(case):
            image[(yy - y - 2 * index) ** 2 + (xx - x - 3 * index) ** 2 < (case.size / 24) ** 2] += 80
        frames[index] = np.clip(image, 0, 255).astype(np.uint8)[..., None]
    return frames
