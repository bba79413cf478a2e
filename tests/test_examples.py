"""The examples run as they are, with a small network in the place of the embedded one so that it is quick."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import tifffile
import torch

import napari_sam2
from napari_sam2 import samples
from napari_sam2._model.config import NANO_CONFIG
from napari_sam2._model.sam2 import Sam2

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(
    example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    small = Sam2(replace(NANO_CONFIG, image_size=64)).eval()
    few = samples.drifting_cells(frames=4)
    monkeypatch.setattr(napari_sam2, "load_model", lambda name: small, raising=False)
    monkeypatch.setattr(samples, "drifting_cells", lambda: few)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example))
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert tifffile.imread("labels.tif").shape == few.images.shape
    assert Path("cells.sam2.json").is_file()
