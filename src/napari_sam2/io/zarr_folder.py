"""A Zarr folder that is missed when it is gone: to Zarr a chunk that is not there is one of zeros."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zarr.storage import LocalStore

if TYPE_CHECKING:
    from pathlib import Path

    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

_METADATA = ("zarr.json", ".zarray", ".zgroup")


def is_zarr(folder: Path) -> bool:
    """Whether a folder is a Zarr group or array."""
    return any((folder / name).exists() for name in _METADATA)


class ZarrFolder(LocalStore):
    """A folder of chunks that is read; FileNotFoundError once it is no Zarr folder any more."""

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Read a value; None if there is none though the folder is there."""
        found = await super().get(key, prototype, byte_range)
        if found is None:
            self._check()
        return found

    def get_sync(
        self,
        key: str,
        *,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Read as `get` does."""
        found = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        if found is None:
            self._check()
        return found

    def _check(self) -> None:
        if not is_zarr(self.root):
            raise FileNotFoundError(f"{self.root} has vanished, or is no Zarr folder any more")
