"""What the user has set on the plugin's page of napari's Preferences."""

from __future__ import annotations

from dataclasses import dataclass

PLUGIN = "napari-sam2"


@dataclass(frozen=True)
class Settings:
    """Preferences; these are the defaults, which the manifest repeats.

    Attributes
    ----------
    device : str
        Where the network runs: "auto", "cpu", "cuda" or "mps".
    precision : str
        "auto", "float32" or "bfloat16".
    cache_megabytes : int
        Image features that are kept in memory.
    autosave : bool
        Whether sessions are saved by themselves.
    autosave_seconds : int
        Time from one saving to the next, at least.
    """

    device: str = "auto"
    precision: str = "auto"
    cache_megabytes: int = 512
    autosave: bool = True
    autosave_seconds: int = 20


def read_settings() -> Settings:
    """Read the Preferences; the defaults where napari has no page for them (before 0.9).

    Call it when a dock opens and not before: it makes napari look up all plugins.
    """
    try:
        from napari.settings import get_plugin_settings
    except ImportError:
        return Settings()
    stored = get_plugin_settings().get(PLUGIN)
    if stored is None:  # switched off, or the manifest was read by an older npe2
        return Settings()
    computing, saving = stored.computing, stored.saving
    return Settings(
        device=computing.device,
        precision=computing.precision,
        cache_megabytes=computing.cache_megabytes,
        autosave=saving.autosave,
        autosave_seconds=saving.autosave_seconds,
    )
