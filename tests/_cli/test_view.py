"""Which part of a frame is looked at and which frames are remembered, as it is said on the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_sam2._cli.arguments import ImageOptions, ModelOptions
from napari_sam2._cli.opening import open_session
from napari_sam2.selection import SelectionRules
from napari_sam2.session import Session
from napari_sam2.window import WindowRules, Windows
from tests.fakes import FakeModel


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.tif"
    tifffile.imwrite(path, np.zeros((3, 96, 96), np.uint8), photometric="minisblack")
    return path


def opened(path: Path, options: ModelOptions | None, **saved: WindowRules | SelectionRules) -> Session:
    model = FakeModel().as_model()
    return open_session(path, model, ImageOptions(), saved or None, view=options)


def windows_of(session: Session) -> Windows:
    return session._tracker.windows


def test_without_a_word_the_program_chooses(images: Path) -> None:
    assert windows_of(opened(images, ModelOptions())).rules.view == "auto"
    assert windows_of(opened(images, None)).rules.view == "auto"


@pytest.mark.parametrize("view", ["auto", "frame", "window"])
def test_the_view_is_the_one_that_was_said(images: Path, view: str) -> None:
    options = ModelOptions(view=view)  # type: ignore[arg-type]
    assert windows_of(opened(images, options)).rules.view == view


def test_the_size_of_windows_is_the_one_that_was_said(images: Path) -> None:
    windows = windows_of(opened(images, ModelOptions(view="window", window_size=96)))
    assert windows.size == 96
    assert windows_of(opened(images, ModelOptions(window_size=96))).rules.view == "auto"


def test_what_was_not_said_is_as_in_the_saved_session(images: Path) -> None:
    saved = WindowRules("frame", size=64, factor=4.0)
    assert windows_of(opened(images, ModelOptions(), view=saved)).rules == saved
    changed = windows_of(opened(images, ModelOptions(view="window"), view=saved)).rules
    assert (changed.view, changed.size, changed.factor) == ("window", 64, 4.0)


def test_a_size_that_does_not_fit_the_network_is_refused(images: Path) -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        opened(images, ModelOptions(view="window", window_size=100))


# --------------------------------------------------------------------- memory


def memory_of(session: Session) -> SelectionRules:
    return session._tracker.rules.selection


def test_without_a_word_a_small_network_passes_over_bad_frames(images: Path) -> None:
    for said in (ModelOptions(), None):
        assert memory_of(opened(images, said)) == SelectionRules(blinks=True)


@pytest.mark.parametrize("words", ["plain", "quality", "blinks", "motion,anchors", "quality,motion,anchors"])
def test_the_rules_of_memory_are_those_that_were_said(images: Path, words: str) -> None:
    session = opened(images, ModelOptions(memory=words))
    assert memory_of(session) == SelectionRules.parse(words)
    assert windows_of(session).rules.view == "auto"


def test_rules_of_memory_that_were_not_said_are_as_in_the_saved_session(images: Path) -> None:
    saved = SelectionRules(quality=True, least_iou=0.3)
    assert memory_of(opened(images, ModelOptions(view="frame"), memory=saved)) == saved
    assert memory_of(opened(images, ModelOptions(memory="plain"), memory=saved)).is_plain


def test_a_rule_of_memory_that_there_is_not_is_refused(images: Path) -> None:
    with pytest.raises(ValueError, match="'speed' is no rule of memory"):
        opened(images, ModelOptions(memory="motion,speed"))
