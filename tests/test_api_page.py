"""The page on Python: its code runs, and every public name is on it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import napari_sam2
from napari_sam2 import FramePrompts, FrameResult, Session, Volume, samples
from napari_sam2._model import weights
from napari_sam2._model.config import NANO_CONFIG
from napari_sam2._model.sam2 import Sam2
from napari_sam2.prompts import PromptKey

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
CODE = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
FRAMES = 5


@pytest.fixture
def few_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a small network and a short sequence in the place of those of the page."""
    torch.manual_seed(0)
    small = Sam2(changed(NANO_CONFIG, image_size=64)).eval()
    few, real = samples.drifting_cells(frames=FRAMES), weights.load_model

    def load(name: str) -> Sam2:
        return small if name == "nano" else real(name)

    for module in (napari_sam2, weights):
        monkeypatch.setattr(module, "load_model", load, raising=False)
    monkeypatch.setattr(samples, "drifting_cells", lambda: few)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("few_frames")
def test_its_code_runs_piece_after_piece(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known: dict[str, Any] = {}
    for number, code in enumerate(CODE):
        exec(compile(code, f"piece {number} of docs/api.md", "exec"), known)
    *_, cropped, failed = capsys.readouterr().out.splitlines()
    session = known["session"]
    assert cropped.endswith(" True")
    assert "broken.pt" in failed
    assert known["second"].volume.shape == (FRAMES, 256, 256)
    np.testing.assert_array_equal(known["again"].mask(1, 3), session.mask(1, 3))
    assert (session.objects, session.names, session.parents) == ((1, 2, 3), {1: "mother"}, {})
    assert session.prompts[PromptKey(3, 3)].says_absent
    assert {path.name for path in tmp_path.iterdir()} >= {"labels.tif", "objects.csv", "cells.sam2.json"}


def names() -> Iterator[str]:
    yield from napari_sam2.__all__
    for each in (Session, FramePrompts, FrameResult, Volume):
        yield from (name for name in vars(each) if not name.startswith("_"))
    for base in Session.__mro__[1:-1]:
        yield from (name for name in vars(base) if not name.startswith("_"))
    yield from (field.name for field in fields(FrameResult))


@pytest.mark.parametrize("name", sorted(set(names())))
def test_every_public_name_is_told(name: str) -> None:
    assert re.search(rf"`[^`]*\b{name}\b[^`]*`", PAGE)
