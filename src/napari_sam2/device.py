"""The device and the precision that the network runs in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

PrecisionName = Literal["auto", "float32", "bfloat16"]
PRECISIONS: tuple[PrecisionName, ...] = ("auto", "float32", "bfloat16")

# Objects that go through the network together fill a card. A processor is filled by one of them, unless the
# maps are small: then calls cost more than what they compute. Small is (pixels of a side x channels)^2.
_GROUP_SIZES = {"cuda": 16, "mps": 4, "cpu": 8}
_FILLS_A_PROCESSOR = (512 * 128) ** 2


def choose_device(name: str = "auto") -> torch.device:
    """Return the torch device of that name; ``"auto"`` takes CUDA, then Apple's MPS, then the CPU.

    Parameters
    ----------
    name : str
        ``"auto"`` or anything that `torch.device` understands, such as ``"cuda:1"``.

    Raises
    ------
    ValueError
        If the name is no device or the device is not present on this machine.
    """
    if name == "auto":
        return torch.device(_best_device_type())
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"{name!r} is no device; use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.") from error
    if not _is_present(device):
        raise ValueError(f"Device {name!r} is not present on this machine; use 'auto' or 'cpu'.")
    return device


def present_devices() -> tuple[str, ...]:
    """List the names of what this machine has: "auto", "cpu", and its cards."""
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    # The first one is what "cuda" means.
    named = tuple("cuda" if index == 0 else f"cuda:{index}" for index in range(cards))
    return ("auto", "cpu", *named, *(("mps",) if torch.backends.mps.is_available() else ()))


def _best_device_type() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _is_present(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
    return device.type != "mps" or torch.backends.mps.is_available()


@dataclass(frozen=True)
class Runtime:
    """Where and how precisely the network runs.

    Attributes
    ----------
    device : torch.device
        Where the weights and the features live.
    dtype : torch.dtype
        ``torch.float32`` (the reference's numbers) or ``torch.bfloat16`` (autocast).
    """

    device: torch.device
    dtype: torch.dtype

    def group_size(self, side: int, width: int) -> int:
        """Return how many objects go through the network at once.

        Parameters
        ----------
        side : int
            Of the images that the network is shown, in pixels.
        width : int
            Channels of its maps.
        """
        most = _GROUP_SIZES.get(self.device.type, 1)
        if self.device.type != "cpu":
            return most
        return min(max(_FILLS_A_PROCESSOR // (side * width) ** 2, 1), most)

    def autocast(self) -> AbstractContextManager[object]:
        """Context in which the network's matrix work runs at this precision."""
        if self.dtype != torch.float32:
            return torch.autocast(self.device.type, dtype=self.dtype)
        return _whole_float32() if self.device.type == "cuda" else nullcontext()


@contextmanager
def _whole_float32() -> Iterator[None]:
    """Context without TF32, to which cuDNN's convolutions otherwise round float32: 10 bits instead of 23."""
    cudnn: Any = torch.backends.cudnn
    before = cudnn.conv.fp32_precision
    cudnn.conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        cudnn.conv.fp32_precision = before


def choose_runtime(device: str = "auto", precision: str = "auto") -> Runtime:
    """Resolve the names of a device and a precision.

    ``precision="auto"`` is bfloat16 on GPUs and processors that compute in it and float32 elsewhere.

    Raises
    ------
    ValueError
        If either name is unknown or the device is not present.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}; got {precision!r}.")
    chosen = choose_device(device)
    if precision == "auto":
        return Runtime(chosen, torch.bfloat16 if computes_bfloat16(chosen) else torch.float32)
    return Runtime(chosen, torch.bfloat16 if precision == "bfloat16" else torch.float32)


def computes_bfloat16(device: torch.device) -> bool:
    """Tell whether matrix products in bfloat16 are faster than in float32: AVX-512 bf16 or AMX on a CPU."""
    if device.type == "cpu":
        capabilities: dict[str, object] = getattr(
            torch.cpu, "get_capabilities", dict
        )()  # not in older versions of torch
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return device.type == "cuda" and torch.cuda.is_bf16_supported()
