"""The picture of where tracking failed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from napari_sam2._cli.scoring import evaluate_session
from napari_sam2._cli.worst_frames import FOUND, TRUTH, worst_frames
from napari_sam2.cli import main
from napari_sam2.metrics import ObjectScore
from tests._cli.fake_session import FakeSession, two_squares
from tests._cli.test_scoring import unwatched


def scored(session: FakeSession) -> tuple[ObjectScore, ...]:
    return evaluate_session(session.as_session(), session.truth, unwatched).scores


def drawn(session: FakeSession, columns: int = 6) -> NDArray[np.uint8]:
    sheet = worst_frames(session.as_session(), session.truth, scored(session), columns=columns)
    return np.asarray(sheet)


def count(pixels: NDArray[np.uint8], colour: tuple[int, int, int]) -> int:
    return int((pixels == colour).all(axis=-1).sum())


def panels(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """All but the legend."""
    return pixels[:-20]


def test_what_was_found_covers_the_outline_of_the_truth_where_all_is_right() -> None:
    pixels = panels(drawn(FakeSession(two_squares())))
    assert count(pixels, FOUND) > 200
    assert count(pixels, TRUTH) == 0


def test_where_nothing_was_found_only_the_truth_is_outlined() -> None:
    pixels = panels(drawn(FakeSession(two_squares(), bad_frame=4)))
    assert count(pixels, TRUTH) > 200


def test_the_worst_object_comes_first() -> None:
    session = FakeSession(two_squares())
    right = scored(session)
    session.bad_frame = 4
    lost = [score for score in scored(session) if score.id == 2]
    kept = [score for score in right if score.id == 1]
    pixels = np.asarray(worst_frames(session.as_session(), session.truth, [*kept, *lost]))
    half = pixels.shape[1] // 2
    assert count(panels(pixels)[:, :half], TRUTH) > 200
    assert count(panels(pixels)[:, half:], TRUTH) == 0


@pytest.mark.parametrize("columns", [1, 2, 6])
def test_panels_stand_in_columns(columns: int) -> None:
    pixels = drawn(FakeSession(two_squares()), columns)
    wide, high = min(columns, 2), 2 if columns == 1 else 1
    assert pixels.shape[1] // 200 == wide
    assert pixels.shape[0] // 200 == high


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


def test_the_command_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = two_squares()
    data = tmp_path / "cells.npz"
    np.savez(data, images=(truth * 90).astype(np.uint8), labels=truth)
    picture = tmp_path / "worst.png"
    assert run("evaluate", str(data), "--worst", str(picture)) == 0
    with Image.open(picture) as written:
        assert written.width > 200
    assert run("evaluate", str(data), "--worst", str(tmp_path / "worst.txt")) != 0
    assert "has to be a .png file" in capsys.readouterr().err
