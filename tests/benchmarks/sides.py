"""Sides of a comparison, each a process that does its next piece of work when it is asked to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from PIL import Image

from napari_sam2 import load_model
from napari_sam2._model.config import RELEASED_CONFIGS
from napari_sam2._model.sam2 import Sam2
from tests._model.small import seeded_weights
from tests.benchmarks.speed_cases import Case, clicks, draw_frames

# Logit of presence, so that random weights see their objects.
_PRESENT = 5.0


@dataclass(frozen=True)
class Settings:
    """How sides are started.

    Attributes
    ----------
    reference_python : str
        Interpreter of an environment that has the references.
    threads : int
        Of each side.
    keep_memory : bool
        This package runs with the memory settings of its command line.
    device : str
        ``"cpu"`` or ``"cuda"``.
    """

    reference_python: str
    threads: int
    keep_memory: bool = True
    device: str = "cpu"


class Side:
    """A process that takes a step when it is asked to.

    Parameters
    ----------
    module : str
        Of this folder; what ends in ``_ours`` runs in this environment, all else in that of the references.
    case : Case
        What it works on.
    precision : str
        ``"float32"`` or ``"bfloat16"``.
    folder : Path
        Made by `save_inputs`.
    settings : Settings

    Attributes
    ----------
    told : list of dict
        Its answers, one for each step.
    """

    def __init__(self, module: str, case: Case, precision: str, folder: Path, settings: Settings) -> None:
        task = {
            "folder": str(folder),
            "model": case.model,
            "trunk": asdict(RELEASED_CONFIGS[case.model].trunk),
            "size": case.size,
            "threads": settings.threads,
            "precision": precision,
            "clicks": clicks(case),
            "keep_memory": settings.keep_memory,
            "device": settings.device,
        }
        self.name = module.rpartition("_")[2]
        self.key = f"{self.name}-{precision}"
        self.told: list[dict[str, Any]] = []
        self._process = subprocess.Popen(
            [
                sys.executable if self.name == "ours" else settings.reference_python,
                "-m",
                f"tests.benchmarks.{module}",
                json.dumps(task),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(settings.threads)},
        )
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def step(self) -> dict[str, Any]:
        """Let it take a step, and return what it says of it."""
        if self._process.stdin is None:
            raise RuntimeError("the side was started without a pipe")
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        self.told.append(self._read())
        return self.told[-1]

    def masks(self, frame: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Masks that it gave on a frame, as one row of bits."""
        return np.unpackbits(np.load(self.told[frame]["masks"])).astype(bool)

    def logits(self, frame: int) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Logits of all objects on one of the first frames, (n, h, w), before they are enlarged."""
        logits: np.ndarray[Any, np.dtype[np.float32]] = np.load(self.told[frame]["logits"])
        return logits

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError(f"{self.key} ended; what it said is above")
        answer: dict[str, Any] = json.loads(line)
        return answer


def save_inputs(case: Case, folder: Path, draw: int = 0) -> None:
    """Write frames and weights where all sides read them; every `draw` has its own."""
    (folder / "frames").mkdir()
    for index, frame in enumerate(draw_frames(case, draw)):
        Image.fromarray(frame).save(folder / "frames" / f"{index:05d}.jpg", quality=95)
    torch.save({"model": released_weights(case.model, draw)}, folder / "weights.pt")


def released_weights(model: str, draw: int = 0) -> dict[str, torch.Tensor]:
    """Draw weights of a released architecture; the network sees its objects."""
    with torch.device("meta"):
        shapes = {name: tuple(t.shape) for name, t in Sam2(RELEASED_CONFIGS[model]).state_dict().items()}
    tensors = {name: seeded_weights(name, shape, 5 + draw).clone() for name, shape in shapes.items()}
    tensors["sam_mask_decoder.pred_obj_score_head.layers.2.weight"].zero_()
    tensors["sam_mask_decoder.pred_obj_score_head.layers.2.bias"].fill_(_PRESENT)
    return tensors


def released_model(model: str, size: int, precision: str = "auto") -> Sam2:
    """Load a released architecture with such weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        torch.save({"model": released_weights(model)}, path)
        return load_model(path, device="cpu", image_size=size, precision=precision)
