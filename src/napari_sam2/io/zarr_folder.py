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


def check_zarr(folder: Path) -> None:
    """Raise FileNotFoundError if a folder is no Zarr group or array any more."""
    if not is_zarr(folder):
        raise FileNotFoundError(f"{folder} has vanished, or is no Zarr folder any more")


class ZarrFolder(LocalStore):
    """A folder of chunks; FileNotFoundError once it is no Zarr folder any more.

    Zarr would make it anew for the next chunk that is written, without all that was written before.
    """

    async def get(
        self,
        key: str,
        prototype: BufferPrototype | None = None,
        byte_range: ByteRequest | None = None,
    ) -> Buffer | None:
        """Read a value; None if there is none though the folder is there."""
        found = await super().get(key, prototype, byte_range)
        if found is None:
            check_zarr(self.root)
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
            check_zarr(self.root)
        return found

    async def set(self, key: str, value: Buffer) -> None:
        """Write a value."""
        check_zarr(self.root)
        await super().set(key, value)

    def set_sync(self, key: str, value: Buffer) -> None:
        """Write as `set` does."""
        check_zarr(self.root)
        super().set_sync(key, value)
