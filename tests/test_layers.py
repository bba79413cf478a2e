"""The contracts in pyproject.toml speak of every module: a new one must be given its place."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import napari_sam2

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
PACKAGE = Path(napari_sam2.__file__).parent
MODULES = {
    path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()
}
MODULES -= {"__init__"}


def contract(name: str) -> dict[str, Any]:
    contracts = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    (found,) = (each for each in contracts if each["name"] == name)
    assert isinstance(found, dict)
    return found


def test_every_module_has_its_layer() -> None:
    rows = contract("One way down")["layers"]
    placed = set(re.findall(r"\w+", " ".join(rows)))
    optional = set(re.findall(r"\((\w+)\)", " ".join(rows)))
    assert placed - optional <= MODULES <= placed


def test_every_module_but_the_plugin_is_kept_from_napari() -> None:
    sources = {
        each.removeprefix("napari_sam2.")
        for each in contract("Only the plugin knows napari and Qt")["source_modules"]
    }
    assert sources == MODULES - {"_napari"}


def test_every_value_module_is_kept_from_torch() -> None:
    (values,) = (row for row in contract("One way down")["layers"] if "prompts" in row.split(" | "))
    sources = {
        each.removeprefix("napari_sam2.")
        for each in contract("Values and files know no torch")["source_modules"]
    }
    assert set(re.findall(r"\w+", values)) & MODULES < sources


def test_the_map_of_the_code_names_every_module_and_room() -> None:
    page = (PYPROJECT.parent / "docs" / "code.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)(?:\.py|/)`", page))
    rooms = {path.parent.name for path in (PACKAGE / "_napari").glob("*/__init__.py")}
    assert named >= (MODULES - {"__main__"}) | rooms
    others = {path.stem for path in (PACKAGE / "_napari").glob("*.py")} | {"tests", "scripts"}
    assert named <= MODULES | rooms | others
