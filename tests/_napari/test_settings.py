"""Preferences are those of the manifest, and what is set there is taken."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest

import napari_sam2
from napari_sam2._napari.model_choices import DEVICES
from napari_sam2._napari.settings import Settings, read_settings
from napari_sam2._napari.widget import Sam2Widget
from napari_sam2.device import PRECISIONS

MANIFEST = Path(napari_sam2.__file__).parent / "napari.yaml"


def properties() -> dict[str, Any]:
    groups = PluginManifest.from_file(MANIFEST).contributions.configurations.values()
    return {name: values for group in groups for name, values in group.properties.items()}


def test_the_manifest_repeats_the_defaults() -> None:
    said = properties()
    assert {name: values.default for name, values in said.items()} == asdict(Settings())
    assert tuple(said["device"].enum) == DEVICES
    assert tuple(said["precision"].enum) == PRECISIONS
    assert set(said) == {each.name for each in fields(Settings)}


def test_an_older_napari_has_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "napari.settings", ModuleType("napari.settings"))
    assert read_settings() == Settings()


def test_a_plugin_that_napari_does_not_know_has_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari has no preferences of plugins")
    monkeypatch.setattr(settings, "get_plugin_settings", dict)
    assert read_settings() == Settings()


@pytest.fixture
def stored(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the plugin's settings as napari makes them from the manifest; nothing is written to disk."""
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari has no preferences of plugins")
    monkeypatch.setattr(settings, "_PLUGIN_SETTINGS", {})
    return settings.get_plugin_settings("napari-sam2", path_dir=None)


def test_what_is_set_is_read(stored: Any) -> None:
    assert read_settings() == Settings()
    stored.computing.device = "cpu"
    stored.computing.cache_megabytes = 128
    stored.saving.autosave = False
    assert read_settings() == Settings(device="cpu", cache_megabytes=128, autosave=False)


def test_the_preferences_are_asked_for_only_when_a_dock_opens(
    model: ViewerModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = pytest.importorskip("napari.settings")
    if not hasattr(settings, "get_plugin_settings"):
        pytest.skip("this napari has no preferences of plugins")
    asked: list[int] = []

    def ask() -> dict[str, Any]:
        asked.append(1)
        return {}

    monkeypatch.setattr(settings, "get_plugin_settings", ask)
    widget = Sam2Widget(model)
    assert len(asked) == 1
    widget.controller.close()
    widget.deleteLater()
    program = """
import napari.settings
napari.settings.get_plugin_settings = lambda: 1 / 0
from napari_sam2._napari import oneshot, sample_data, settings, widget
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("name", "value"), [("device", "abacus"), ("cache_megabytes", 1)])
def test_nonsense_is_refused(stored: Any, name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        setattr(stored.computing, name, value)
