"""What ``segment --labels-on-disk`` has done so far, beside its output, for the next run to go on with."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_sam2.batch.checkpoint import Checkpoint
from napari_sam2.io import finish_labels
from napari_sam2.io.atomic import remove
from napari_sam2.io.claim import claimed
from napari_sam2.io.exporting import check_label_image

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_sam2.batch.identity import MadeFrom
    from napari_sam2.batch.resumable import ResumableSession
    from napari_sam2.frame_result import FrameResult
    from napari_sam2.passes import Direction


@dataclass(frozen=True)
class Unfinished:
    """Labels and state of a run that is under way, or was killed.

    Parameters
    ----------
    output : Path
        The OME-Zarr label image that they are to become.
    seconds : float
        How often, at most, the state is kept; 0: after every frame.

    Raises
    ------
    ValueError
        If labels cannot be streamed to a file of that name.
    FileExistsError
        If what has the name is no label image.
    """

    output: Path
    seconds: float

    def __post_init__(self) -> None:
        """Check the name."""
        if self.output.suffix.lower() != ".zarr":
            raise ValueError(f"Labels on disk are an OME-Zarr image: {self.output} has to end in .ome.zarr.")
        if self.seconds < 0:
            raise ValueError(f"--checkpoint-seconds {self.seconds}: give 0 or more.")
        check_label_image(self.output)

    @property
    def _name(self) -> str:
        return self.output.name.removesuffix(".zarr").removesuffix(".ome")

    @property
    def labels(self) -> Path:
        """Where the labels are while they are made."""
        return self.output.with_name(f"{self._name}.unfinished.ome.zarr")

    @property
    def state(self) -> Path:
        """The folder of what a next run needs to go on."""
        return self.output.with_name(f"{self._name}.unfinished.state")

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Let no other run write into them meanwhile.

        Raises
        ------
        BlockingIOError
            If another run does.
        """
        with claimed(self.state):
            yield

    def clear_labels(self) -> None:
        """Make room for labels; all that is known of those of an earlier run is written again."""
        remove(self.labels)

    def follow(
        self, session: ResumableSession, made_from: MadeFrom, frames: range | None, direction: Direction
    ) -> Iterator[FrameResult]:
        """Track what an earlier run of the same inputs has not done, and keep the state on the way."""
        checkpoint = Checkpoint(self.state, made_from, self.seconds)
        checkpoint.resume(session)
        return checkpoint.follow(session, frames, direction)

    @contextmanager
    def gone_on_with(self) -> Iterator[None]:
        """Let an error that ends the run tell that the next one goes on."""
        try:
            yield
        except Exception as error:
            if (self.state / "state.json").exists():
                error.add_note("What was done is kept: the same command goes on.")
            raise

    def finish(self, *, stopped: bool) -> None:
        """Give the labels their name; the state stays where more could be done."""
        finish_labels(self.labels, self.output)
        if not stopped:
            remove(self.state)
