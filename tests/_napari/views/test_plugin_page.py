"""The page about the plugin agrees with the plugin."""

from __future__ import annotations

import re
from pathlib import Path

from napari_sam2._napari.keys import KEYS
from napari_sam2._napari.views.tool_row import TOOLS

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "plugin.md").read_text(encoding="utf8")


def test_every_key_is_in_the_table_and_no_other() -> None:
    table = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", PAGE, flags=re.MULTILINE))
    assert table == {key.label: key.description for key in KEYS}


def test_every_tool_is_explained() -> None:
    assert [name for name, _ in TOOLS.values() if f"| {name} |" not in PAGE] == []


def test_every_picture_is_there_and_made_by_the_script() -> None:
    pictures = set(re.findall(r"\(images/(plugin-[a-z-]+\.png)\)", PAGE))
    script = (ROOT / "scripts" / "screenshots.py").read_text(encoding="utf8")
    made = {f"plugin-{name}.png" for name in re.findall(r'camera\.\w+\(.*"([a-z-]+)"[,)]', script)}
    in_themes = re.findall(r'_dock\(.*f"([a-z]+)-\{theme\}"\)', script)
    made |= {f"plugin-{name}-{theme}.png" for name in in_themes for theme in ("dark", "light")}
    assert pictures <= made
    assert [name for name in sorted(pictures) if not (ROOT / "docs" / "images" / name).is_file()] == []
