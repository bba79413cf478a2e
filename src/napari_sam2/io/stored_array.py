"""Arrays of files, whose damage is told as what it is, whichever library decodes them."""

from __future__ import annotations

import gzip
import lzma
import zlib
from typing import TYPE_CHECKING, Any

import zarr

if TYPE_CHECKING:
    from pathlib import Path

_UNDECODABLE = (RuntimeError, ValueError, EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error)
"""What codecs raise; wrong indices are another error."""


class StoredArray(zarr.Array):  # type: ignore[type-arg] # older ones have no type of their own
    """An array that lies in a file or folder.

    Attributes
    ----------
    file : Path
        The file or folder.
    """

    file: Path

    @classmethod
    def of(cls, array: zarr.Array[Any], file: Path) -> StoredArray:
        """Make one of an array that was opened."""
        made = cls(array._async_array)  # noqa: SLF001 - it was made public later
        made.file = file
        return made

    def __getitem__(self, selection: Any) -> Any:  # noqa: ANN401 - an index, what lies there
        try:
            return super().__getitem__(selection)
        except _UNDECODABLE as error:
            raise OSError(f"{self.file} is damaged, part of it cannot be read: {error}") from error
