"""What the labels of a ``segment`` are made from, as checksums: files may change while they are read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_sam2._model.weights import checksum
from napari_sam2.batch.identity import digest, made_from

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from napari_sam2.batch.identity import MadeFrom
    from napari_sam2.batch.resumable import ResumableSession


@dataclass(frozen=True)
class Inputs:
    """Files that are read.

    Parameters
    ----------
    files : sequence of Path
        Images first, then what has prompts.
    sums : list
        Their checksums when they were first looked at.
    written : sequence of Path
        What the run itself writes, which may lie among them.
    """

    files: Sequence[Path]
    sums: Sequence[Any]
    written: Sequence[Path]

    @classmethod
    def of(cls, files: Sequence[Path | None], written: Sequence[Path]) -> Inputs:
        """Sum up those that there are.

        Raises
        ------
        FileNotFoundError
            If one is missing.
        """
        given = [each for each in files if each is not None]
        return cls(given, list(_sums(given, written)), written)

    def check(self) -> None:
        """Make sure that they are as they were: labels of a mixture would be those of neither.

        Raises
        ------
        ValueError
            If they are not.
        FileNotFoundError
            If one is gone.
        """
        for path, before, now in zip(self.files, self.sums, _sums(self.files, self.written), strict=True):
            if now != before:
                raise ValueError(f"{path} changed while it was read: run it again. No labels are made of it.")

    def made_from(self, said: object, session: ResumableSession) -> MadeFrom:
        """Sum up what labels depend on: these, what else was said, the network and its precision."""
        model = session.model
        network = [checksum(model), model.config.image_size, str(model.runtime.dtype)]
        return made_from(self.sums, network, said)


def _sums(files: Sequence[Path], written: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    for path in files:
        yield path.name, digest(path, written), _arrays(path)


def _arrays(path: Path) -> str:
    """Sum up the arrays that lie beside a saved session."""
    arrays = path.with_suffix(".zarr")
    return digest(arrays) if path.name.endswith(".sam2.json") and arrays.exists() else ""
