"""What would fail in every sequence, told once and before anything begins: the network, its device."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

from distributed.comm.addressing import parse_address, parse_host_port

from napari_sam2._model import registry
from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.weights import EMBEDDED, checkpoint_file, embedded_path, read_checkpoint
from napari_sam2.device import choose_device

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_sam2._model.config import Sam2Config
    from napari_sam2.batch.plan import ModelChoice
    from napari_sam2.batch.workers import Whereabouts

_HOW_TO_CHOOSE = 'A plan says device = "auto" under [model], the command line --device auto.'


def check_network(choice: ModelChoice) -> None:
    """Refuse what is no network, or images of a side that it cannot take; nothing is downloaded.

    Raises
    ------
    ValueError, CheckpointError
        If that is so.
    """
    config = _config(choice.name or EMBEDDED)
    if choice.image_size is not None:
        replace(config, image_size=choice.image_size)  # which looks at it


def _config(name: str) -> Sam2Config:
    if name in registry.RELEASED:
        return RELEASED_CONFIGS[name]
    return read_checkpoint(embedded_path() if name == EMBEDDED else checkpoint_file(name)).config


def check_device(name: str) -> None:
    """Refuse a device that this machine has not.

    Raises
    ------
    ValueError
        If that is so.
    """
    lacking = lacks(name)
    if lacking:
        raise ValueError(f"{lacking} {_HOW_TO_CHOOSE}")


def check_scheduler(address: str) -> None:
    """Refuse what is no address, for which distributed would wait a minute.

    Raises
    ------
    ValueError
        If that is so.
    """
    try:
        protocol, place = parse_address(address)
        if protocol in {"tcp", "tls"}:
            parse_host_port(place)
    except ValueError as error:
        raise ValueError(
            f"{address!r} is no address of a scheduler: give tcp://HOST:8786, as it says when it starts"
        ) from error


def check_workers(found: Mapping[str, Whereabouts]) -> None:
    """Refuse workers without the device, and tell of those that leave most of their machine idle.

    Parameters
    ----------
    found : mapping of str to Whereabouts
        Workers that somebody else has started, by their addresses.

    Raises
    ------
    ValueError
        If the device is not there.
    """
    for address, worker in found.items():
        if worker.lacks:
            raise ValueError(f"The worker at {address}: {worker.lacks} {_HOW_TO_CHOOSE}")
    for machine in sorted({each.machine for each in found.values()}):
        here = [each for each in found.values() if each.machine == machine]
        threads, cores = sum(each.threads for each in here), max(each.cores for each in here)
        if threads and 2 * threads <= cores:
            warnings.warn(
                f"the workers at {machine} use {threads} of {cores} cores: start them with "
                f"OMP_NUM_THREADS={cores // len(here)}, or start more of them",
                stacklevel=2,
            )


def lacks(name: str) -> str:
    """Say why a device cannot be used on this machine; empty if it can."""
    try:
        choose_device(name)
    except ValueError as error:
        return str(error)
    return ""
