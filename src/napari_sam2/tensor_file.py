"""Write tensors to a file; what the file system refuses is told as it says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from pathlib import Path


def save_tensors(content: object, path: Path) -> None:
    """Write what `torch.save` can write.

    Parameters
    ----------
    content : object
        Tensors, in dictionaries and lists.
    path : Path
        File to write.

    Raises
    ------
    OSError
        If the file system refuses; the disk is full, for example.
    """
    try:
        with path.open("wb") as file:
            torch.save(content, file)
    except RuntimeError as error:
        raise _refusal(error) or error from error


def _refusal(error: BaseException) -> OSError | None:
    """Look up what the file system said: closing its archive, torch complains of another length instead."""
    before = error.__context__
    return before if before is None or isinstance(before, OSError) else _refusal(before)
