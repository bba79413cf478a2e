"""Where what was measured is kept, so that a run goes on where the last one ended."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).with_name("results.json")


def read_results() -> dict[str, Any]:
    """Return all that is kept: `cases`, and a section for each of the other benchmarks that was run."""
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    return {"cases": {}, **kept}


def write_results(results: dict[str, Any]) -> None:
    """Keep results, and on what machine they were made last."""
    RESULTS.write_text(json.dumps({**results, "machine": machine()}, indent=1) + "\n", encoding="utf-8")


def keep(section: str, name: str, measured: dict[str, Any]) -> None:
    """Put one measurement into a section, and write the page anew."""
    from tests.benchmarks.speed_page import write_page

    results = read_results()
    results.setdefault(section, {})[name] = {**measured, "on": processor()}
    write_results(results)
    write_page(read_results())


def processor() -> str:
    """Name the processor, where the system tells, and whether it computes in bfloat16."""
    info = Path("/proc/cpuinfo")
    told = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in (info.read_text(encoding="utf-8").splitlines() if info.is_file() else ())
        if ":" in line
    )
    name = told.get("model name") or platform.processor() or platform.machine()
    flags = told.get("flags", "").split()
    return f"{name}, {'with' if {'avx512_bf16', 'amx_bf16'} & set(flags) else 'without'} bfloat16"


def machine() -> dict[str, str]:
    """Tell what it ran on."""
    return {"processor": platform.processor() or platform.machine(), "torch": torch.__version__}
