"""Benchmarks are collected on request only."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    """Collect ``quick_*.py`` where pytest-benchmark is asked to run benchmarks and nothing else."""
    wanted = parent.config.getoption("benchmark_only", default=False)
    if not wanted or not file_path.match("quick_*.py"):
        return None
    return pytest.Module.from_parent(parent, path=file_path)
