from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_sam2.training.curve import draw_curve, read_curves

LINES = [
    {"step": 20, "minutes": 1.0, "stage": 0, "j": 0.1},
    {"step": 40, "minutes": 2.0, "stage": 0, "j": 0.3},
    {"step": 40, "minutes": 2.0, "validation": {"synthetic_j": 0.2, "mine": 0.5}},
    {"step": 60, "minutes": 4.0, "validation": {"synthetic_j": 0.4, "mine": 0.6}},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in LINES) + '\n{"step": 80, "min')
    return path


def test_a_log_is_read_up_to_a_line_that_is_cut_off(log: Path) -> None:
    curves = read_curves(log)
    assert curves.training == ((1.0, 0.1), (2.0, 0.3))
    assert curves.validation == {
        "synthetic_j": ((2.0, 0.2), (4.0, 0.4)),
        "mine": ((2.0, 0.5), (4.0, 0.6)),
    }


def test_steps_that_were_made_again_are_those_of_the_last_time(tmp_path: Path) -> None:
    """A run that was killed at step 60 went on from its checkpoint at step 30."""
    steps = [(20, 0.1), (40, 0.2), (60, 0.3), (40, 0.6), (60, 0.7), (80, 0.8)]
    lines: list[dict[str, object]] = [{"step": step, "minutes": step / 10, "j": j} for step, j in steps]
    lines.insert(3, {"step": 60, "minutes": 6.0, "validation": {"mine": 0.5}})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    curves = read_curves(tmp_path / "log.jsonl")
    assert curves.training == ((2.0, 0.1), (4.0, 0.6), (6.0, 0.7), (8.0, 0.8))
    assert curves.validation == {}


def test_the_picture_has_a_line_for_each_curve(log: Path, tmp_path: Path) -> None:
    draw_curve(log, tmp_path / "curve.png")
    picture = np.asarray(Image.open(tmp_path / "curve.png"))
    assert picture.shape == (480, 960, 3)
    for colour in ((150, 175, 205), (190, 60, 40), (30, 110, 60)):
        assert (picture == colour).all(2).sum() > 100


def test_a_higher_j_is_drawn_higher(tmp_path: Path) -> None:
    heights = []
    for value in (0.2, 0.9):
        entries = [{"step": at, "minutes": at, "validation": {"mine": value}} for at in (1, 2)]
        (tmp_path / "log.jsonl").write_text("\n".join(json.dumps(entry) for entry in entries))
        draw_curve(tmp_path / "log.jsonl", tmp_path / "curve.png")
        line = (np.asarray(Image.open(tmp_path / "curve.png"))[:, :700] == (190, 60, 40)).all(2)
        heights.append(np.nonzero(line)[0].mean())
    assert heights[1] < heights[0] - 200


def test_an_empty_log_is_an_empty_picture(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text("")
    draw_curve(tmp_path / "log.jsonl", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 0
