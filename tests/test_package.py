"""The package as a whole: what importing it loads, what it carries, and what the README says of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import napari_sam2

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {"torch", "qtpy", "napari", "scipy"}
    code = f"import sys, napari_sam2; raise SystemExit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", napari_sam2.__all__)
def test_public_names_are_there(name: str) -> None:
    assert getattr(napari_sam2, name).__doc__
    assert name in dir(napari_sam2)


def test_an_unknown_name() -> None:
    with pytest.raises(AttributeError, match="elephants"):
        _ = napari_sam2.elephants


def test_types_and_manifest_are_carried() -> None:
    package = Path(napari_sam2.__file__).parent
    assert (package / "py.typed").is_file()
    assert (package / "napari.yaml").is_file()


def test_the_readme_and_the_page_on_python_show_the_example() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"<!-- example -->\n```python\n(.*?)```", README, flags=re.DOTALL)
    assert shown == (ROOT / "examples" / "track_cells.py").read_text(encoding="utf-8")
    assert re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)[0] == shown


@pytest.mark.parametrize("marker", ["demo", "test"])
def test_the_readme_has_its_commands_in_one_line(marker: str) -> None:
    (command,) = re.findall(rf"<!-- {marker} -->\n```\n(.*?)\n```", README, flags=re.DOTALL)
    assert command.startswith("pip install -c constraints.txt ")
    assert "\n" not in command


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).is_file(), f"{page.name} links to {link}"


def test_files_are_small_enough_to_read() -> None:
    long = {
        path.name: count
        for path in (ROOT / "src").rglob("*.py")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) >= 400
    }
    assert not long
