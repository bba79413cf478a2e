"""The plugin uses what napari offers, and nothing else of it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import napari_sam2

ROOM = Path(napari_sam2.__file__).parent / "_napari"
FILES = sorted(ROOM.rglob("*.py"))


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOM)))
def test_no_private_names_of_napari_are_used(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name in imported(tree):
        parts = name.split(".")
        assert parts[0] != "napari" or not any(part.startswith("_") for part in parts), name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOM)))
def test_no_private_attributes_of_others_are_used(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.startswith("__"):
            continue
        owner = node.value
        ours = isinstance(owner, ast.Name) and owner.id in {"self", "cls", "other"}
        assert ours, f"{path.name}:{node.lineno} uses {ast.unparse(node)}"


def test_there_is_something_to_look_at() -> None:
    assert {"prompt_layers.py", "label_writer.py"} <= {path.name for path in FILES}
