"""The examples run as they are, with a small network in the place of the embedded one so that it is quick."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
import pytest
import tifffile
import torch

import napari_sam2
from napari_sam2 import samples
from napari_sam2._model import weights
from napari_sam2._model.config import NANO_CONFIG
from napari_sam2._model.sam2 import Sam2

EXAMPLES = Path(__file__).parents[1] / "examples"
FRAMES = 4

Run = Callable[[str], list[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs an example and returns the lines that it prints."""
    torch.manual_seed(0)
    small = Sam2(replace(NANO_CONFIG, image_size=64)).eval()
    few = samples.drifting_cells(frames=FRAMES)
    for module in (napari_sam2, weights):
        monkeypatch.setattr(module, "load_model", lambda *_args, **_options: small, raising=False)
    monkeypatch.setattr(samples, "drifting_cells", lambda: few)
    monkeypatch.chdir(tmp_path)

    def run(name: str) -> list[str]:
        runpy.run_path(str(EXAMPLES / name))
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def in_viewer(make_napari_viewer: Callable[..., Any], run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return the same for examples that open a viewer and leave it to the user."""
    monkeypatch.setattr(napari, "Viewer", lambda: make_napari_viewer(show=True, strict_qt="raise"))
    monkeypatch.setattr(napari, "run", lambda: None)
    return run


def test_every_example_is_run() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == {
        "track_cells.py",
        "in_the_viewer.py",
        "one_call.py",
    }


def test_tracking_in_a_script(run: Run) -> None:
    assert len(run("track_cells.py")) == FRAMES
    assert tifffile.imread("labels.tif").shape == (FRAMES, 256, 256)
    assert Path("cells.sam2.json").is_file()


@pytest.mark.gui
def test_tracking_in_the_viewer(in_viewer: Run) -> None:
    (line,) = in_viewer("in_the_viewer.py")
    assert line.startswith("(ObjectSummary(obj=1")
    assert tifffile.imread("labels.tif").shape == (FRAMES, 256, 256)


@pytest.mark.gui
def test_tracking_in_one_call(in_viewer: Run) -> None:
    assert in_viewer("one_call.py")[0].startswith(f"({FRAMES}, 256, 256)")
