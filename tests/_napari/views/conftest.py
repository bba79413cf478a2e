"""Views are tested with real widgets, which need a display."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import pytest

collect_ignore_glob = [] if find_spec("napari") else ["test_*.py"]


@pytest.fixture(autouse=True)
def display() -> None:
    if sys.platform == "linux" and not os.environ.get("DISPLAY") and os.environ.get("CI") != "true":
        pytest.skip("no display: start Xvfb and install the xvfb package")
