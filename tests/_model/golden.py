"""Reference outputs of the released implementation, and the seeded weights and inputs behind them."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.weights import build_model
from napari_sam2.device import Runtime

if TYPE_CHECKING:
    from napari_sam2._model.sam2 import Sam2

SHARED = Path(__file__).resolve().parents[3] / "shared"
SIZE = 256
GRID = SIZE // 16
_STORED_WHOLE = 70_000
_SAMPLES = 20_000
CPU = torch.device("cpu")

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the reference outputs are not beside the repository"
)


def load_recipe() -> Any:
    spec = importlib.util.spec_from_file_location("golden_recipe", SHARED / "golden" / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def manifest(file: str) -> dict[str, list[int]]:
    content: dict[str, list[int]] = json.loads((SHARED / "manifests" / f"{file}.json").read_text())
    return content


@dataclass(frozen=True)
class Case:
    config: str
    manifest: str
    outputs: str


CASES = (
    Case("sam2.1-tiny", "sam2.1_hiera_tiny", "sam2.1_tiny_256"),
    Case("sam2-tiny", "sam2_hiera_tiny", "sam2_tiny_256"),
    Case("sam2.1-base-plus", "sam2.1_hiera_base_plus", "sam2.1_base_plus_256"),
)


class Golden:
    """One case's network with seeded weights, its inputs and its recorded outputs.

    Parameters
    ----------
    case : Case
        Which network.
    device : torch.device
        Where the network and its inputs are put; all is in float32.
    """

    def __init__(self, case: Case, device: torch.device = CPU) -> None:
        self.case = case
        self.device = device
        self.recipe = load_recipe()
        self.arrays = dict(np.load(SHARED / "golden" / f"{case.outputs}.npz"))

    def model(self, **options: Any) -> Sam2:
        from dataclasses import replace

        config = replace(RELEASED_CONFIGS[self.case.config], image_size=SIZE, **options)
        state = self.recipe.state_dict(manifest(self.case.manifest))
        model = build_model(config, {name: torch.from_numpy(value) for name, value in state.items()})
        model.runtime = Runtime(self.device, torch.float32)
        return model.to(self.device)

    def input(self, tag: str, *shape: int, scale: float = 1.0) -> torch.Tensor:
        return torch.from_numpy(self.recipe.array(tag, shape, scale=scale)).to(self.device)

    def difference(self, key: str, got: torch.Tensor | np.ndarray[Any, Any]) -> float:
        """Return the largest difference from the recorded output, in units of its largest absolute value."""
        value = np.asarray(got.detach().cpu() if isinstance(got, torch.Tensor) else got, np.float32)
        wanted = self.arrays[key]
        assert value.shape == tuple(self.arrays[f"{key}|shape"]), key
        scale = float(np.abs(wanted).max()) or 1.0
        return float(np.abs(_as_stored(value) - wanted).max()) / scale

    def sum_difference(self, key: str, got: torch.Tensor) -> float:
        """Return the difference of the sum over the whole array, in units of the sum of absolutes."""
        total, absolute = (float(x) for x in self.arrays[f"{key}|sum"])
        return abs(float(got.double().sum()) - total) / absolute

    @property
    def keys(self) -> set[str]:
        return {key for key in self.arrays if "|" not in key}


def _as_stored(value: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if value.size <= _STORED_WHOLE:
        return value
    return value.reshape(-1)[:: max(1, value.size // _SAMPLES)]
