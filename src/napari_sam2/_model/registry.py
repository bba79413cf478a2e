"""The released SAM 2 checkpoints: where they are, what they must hash to, and how they get into the cache."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

import pooch

from napari_sam2._model.errors import CheckpointError

_BASE_URL = "https://dl.fbaipublicfiles.com/segment_anything_2"
_LICENCE = "Apache-2.0"


class ProgressBar(Protocol):
    """What is told of the progress of a download, in bytes."""

    total: int

    def update(self, count: int, /) -> object:
        """Count bytes that have come."""
        ...

    def reset(self) -> object:
        """Begin to count anew."""
        ...

    def close(self) -> object:
        """All has come."""
        ...


@dataclass(frozen=True)
class ReleasedCheckpoint:
    """One checkpoint file as the SAM 2 authors released it.

    Attributes
    ----------
    name : str
        The public name, for example ``"sam2.1-tiny"``.
    url : str
        Where the file is.
    sha256 : str
        Checksum of the file, hexadecimal.
    size : int or None
        Length in bytes; where the file has not been seen, that of its tensors to four digits.
    licence : str
        SPDX identifier of the licence of the weights.
    """

    name: str
    url: str
    sha256: str
    size: int | None = None
    licence: str = _LICENCE

    @property
    def file_name(self) -> str:
        """Name of the file, here and at its source."""
        return self.url.rsplit("/", 1)[1]


def _released(name: str, path: str, sha256: str, size: int | None = None) -> ReleasedCheckpoint:
    return ReleasedCheckpoint(name, f"{_BASE_URL}/{path}", sha256, size)


_CHECKPOINTS = (
    _released(
        "sam2-tiny",
        "072824/sam2_hiera_tiny.pt",
        "65b50056e05bcb13694174f51bb6da89c894b57b75ccdf0ba6352c597c5d1125",
        155_906_050,
    ),
    _released(
        "sam2-small",
        "072824/sam2_hiera_small.pt",
        "95949964d4e548409021d47b22712d5f1abf2564cc0c3c765ba599a24ac7dce3",
        184_309_650,
    ),
    _released(
        "sam2-base-plus",
        "072824/sam2_hiera_base_plus.pt",
        "d0bb7f236400a49669ffdd1be617959a8b1d1065081789d7bbff88eded3a8071",
        323_493_298,
    ),
    _released(
        "sam2-large",
        "072824/sam2_hiera_large.pt",
        "7442e4e9b732a508f80e141e7c2913437a3610ee0c77381a66658c3a445df87b",
        897_952_466,
    ),
    _released(
        "sam2.1-tiny",
        "092824/sam2.1_hiera_tiny.pt",
        "7402e0d864fa82708a20fbd15bc84245c2f26dff0eb43a4b5b93452deb34be69",
        156_008_466,
    ),
    _released(
        "sam2.1-small",
        "092824/sam2.1_hiera_small.pt",
        "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
        184_400_000,
    ),
    _released(
        "sam2.1-base-plus",
        "092824/sam2.1_hiera_base_plus.pt",
        "a2345aede8715ab1d5d31b4a509fb160c5a4af1970f199d9054ccfb746c004c5",
        323_600_000,
    ),
    _released(
        "sam2.1-large",
        "092824/sam2.1_hiera_large.pt",
        "2647878d5dfa5098f2f8649825738a9345572bae2d4350a2468587ece47dd318",
        898_083_611,
    ),
)

RELEASED: Mapping[str, ReleasedCheckpoint] = MappingProxyType({each.name: each for each in _CHECKPOINTS})
"""The released checkpoints by their public names."""


def released(name: str) -> ReleasedCheckpoint:
    """Look up a released checkpoint.

    Parameters
    ----------
    name : str
        A key of `RELEASED`.

    Raises
    ------
    CheckpointError
        If there is no checkpoint of that name; the message lists those that are there.
    """
    if name not in RELEASED:
        raise CheckpointError(f"There is no released checkpoint {name!r}. There are: {', '.join(RELEASED)}.")
    return RELEASED[name]


def cache_dir() -> Path:
    """Give the folder that downloaded checkpoints are kept in (the platform's cache folder of the user)."""
    return Path(pooch.os_cache("napari-sam2"))


def checkpoint_path(name: str, *, folder: Path | None = None) -> Path:
    """Tell where a released checkpoint is, or would be, on this machine.

    Parameters
    ----------
    name : str
        A key of `RELEASED`.
    folder : Path, optional
        The folder to look in instead of `cache_dir`.
    """
    return (folder or cache_dir()) / released(name).file_name


def download(name: str, *, progressbar: bool = True, folder: Path | None = None) -> Path:
    """Fetch a released checkpoint unless it is there already, and verify its checksum.

    A download that breaks off, or whose content is not what was released, leaves no file behind.

    Parameters
    ----------
    name : str
        A key of `RELEASED`.
    progressbar : bool
        Whether to show a progress bar on standard error.
    folder : Path, optional
        The folder to put the file in instead of `cache_dir`.

    Returns
    -------
    Path
        The verified file.

    Raises
    ------
    CheckpointError
        If the name is unknown, the server is out of reach, the download breaks off, or the content is wrong.
    """
    return fetch(released(name), folder or cache_dir(), progressbar=progressbar)


def fetch(checkpoint: ReleasedCheckpoint, folder: Path, *, progressbar: bool | ProgressBar = False) -> Path:
    """Fetch any checkpoint into a folder; see `download`, which does it by name.

    Parameters
    ----------
    checkpoint : ReleasedCheckpoint
        What to fetch.
    folder : Path
        Made if it is not there.
    progressbar : bool or ProgressBar
        Whether to show a progress bar on standard error, or what to tell of the progress.

    Raises
    ------
    CheckpointError
        If the file cannot be fetched as it was released.
    """
    downloader = pooch.HTTPDownloader(progressbar=progressbar, timeout=60)
    with _explained(checkpoint, folder):
        found = pooch.retrieve(
            checkpoint.url,
            known_hash=f"sha256:{checkpoint.sha256}",
            fname=checkpoint.file_name,
            path=folder,
            downloader=downloader,
        )
    return Path(found)


@contextmanager
def _explained(checkpoint: ReleasedCheckpoint, folder: Path) -> Iterator[None]:
    """Turn what can go wrong in a download into one error that says what to do."""
    by_hand = f"You can also fetch {checkpoint.url} by any other means and pass the path of the file."
    try:
        yield
    except PermissionError as error:
        raise CheckpointError(f"You have no right to write into {folder}: ask for it. {by_hand}") from error
    except (OSError, RuntimeError) as error:  # requests' errors are OSErrors, urllib3 may add others
        raise CheckpointError(
            f"Could not fetch {checkpoint.name} ({_reason(error)}). Nothing was kept; "
            f"{_advice(error, folder)} and try again. {by_hand}"
        ) from error
    except ValueError as error:  # pooch's word for a checksum that differs
        raise CheckpointError(
            f"What came from {checkpoint.url} is not the released file: its SHA-256 is not "
            f"{checkpoint.sha256}. Nothing was kept; try again. {by_hand}"
        ) from error


def _advice(error: BaseException, folder: Path) -> str:
    is_full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return f"make room on the disk of {folder}" if is_full else "check the network"


def _reason(error: BaseException) -> str:
    words = error.strerror if isinstance(error, OSError) else None
    text = words or str(error).strip() or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
