"""``napari-sam2 models``: which networks there are, and where they lie."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App
from rich.console import Console
from rich.table import Table

from napari_sam2._cli.arguments import DEFAULT_MODEL
from napari_sam2._model.registry import RELEASED, ReleasedCheckpoint, cache_dir, checkpoint_path
from napari_sam2._model.registry import download as fetch

models = App(name="models", help="List, download and find networks.")


@models.command(name="list")
def list_models() -> None:
    """List the networks by name."""
    table = Table()
    for heading in ("name", "size", "licence", "state"):
        table.add_column(heading, justify="right" if heading == "size" else "left", no_wrap=True)
    table.add_row("nano", "", "BSD-3-Clause", "in the package")
    for each in RELEASED.values():
        table.add_row(each.name, _size(each), each.licence, _state(each))
    console = Console()
    console.print(table)
    _say(console, f"Downloads are kept in {cache_dir()}")


@models.command
def download(name: str, /) -> None:
    """Download a released checkpoint, verify it, and print its path.

    Parameters
    ----------
    name
        As `models list` shows it.
    """
    _say(Console(), str(_packaged(name) or fetch(name)))


@models.command
def path(name: str | None = None, /) -> None:
    """Print where a checkpoint is, or would be after its download; without a name, the cache folder.

    Parameters
    ----------
    name
        As `models list` shows it.
    """
    _say(Console(), str(cache_dir() if name is None else _packaged(name) or checkpoint_path(name)))


def _packaged(name: str) -> Path | None:
    """Return where the model of the package is; None for others."""
    if name != DEFAULT_MODEL:
        return None
    from napari_sam2._model.weights import embedded_path

    return embedded_path()


def _size(checkpoint: ReleasedCheckpoint) -> str:
    return "" if checkpoint.size is None else f"{checkpoint.size / 1e6:.0f} MB"


def _state(checkpoint: ReleasedCheckpoint) -> str:
    return "downloaded" if checkpoint_path(checkpoint.name).exists() else "not downloaded"


def _say(console: Console, text: str) -> None:
    """Print a line as it is: paths are not wrapped, coloured or read as markup."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)
