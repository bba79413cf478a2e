"""The page of what was measured."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
NOTES = Path(__file__).with_name("notes.md")


def write_page(results: dict[str, Any]) -> None:
    """Write docs/performance.md from the results and the notes beside this file."""
    parts = ["# Performance", NOTES.read_text().strip(), "## Beside the released sam2", *_intro(results)]
    for name, case in results["cases"].items():
        parts += [f"### {name}", "\n".join(_table(name, case))]
    PAGE.write_text("\n\n".join(parts) + "\n")


def _intro(results: dict[str, Any]) -> list[str]:
    told = results.get("machine", {})
    return [
        (
            f"Measured with torch {told.get('torch', '-')} on {told.get('processor', '-')}. "
            "A case is named by model, side of the network's input and number of objects. "
            "All sides have the same seeded weights, frames, clicks and threads and track a frame in turn, "
            "once all memories are filled. Figures are medians over these frames, "
            "ratios the median of the ratios frame by frame. "
            "IoU is that of the masks of all objects with sam2 in float32, on the first three frames "
            "and on the last one; with random weights small differences grow from frame to frame."
        )
    ]


_COLUMNS = (
    "side",
    "s per frame",
    "s per object-frame",
    "CPU s per frame",
    "peak MB",
    "our float32 is faster",
    "our bfloat16 is faster",
    "IoU",
)


def _table(name: str, case: dict[str, Any]) -> list[str]:
    objects = int(name.rsplit("-", 1)[1])
    sides: dict[str, Any] = case["sides"]
    kept = "on" if case["keep_memory"] else "off"
    lines = [
        f"Threads: {case['threads']}; memory settings of the command line {kept}.\n",
        f"| {' | '.join(_COLUMNS)} |",
        "|---" * len(_COLUMNS) + "|",
    ]
    for key, side in sides.items():
        wall = median(side["wall"])
        ratios = [_ratio(sides.get(f"ours-{p}"), side) for p in ("float32", "bfloat16")]
        ious = " ".join(f"{value:.3f}" for value in side["iou"].values())
        lines.append(
            f"| {key} | {wall:.2f} | {wall / objects:.2f} | {median(side['cpu']):.2f} | {side['peak']:.0f} "
            f"| {' | '.join(ratios)} | {ious} |"
        )
    return lines


def _ratio(ours: dict[str, Any] | None, other: dict[str, Any]) -> str:
    if ours is None or ours is other:
        return "-"
    return f"{median(b / a for a, b in zip(ours['wall'], other['wall'], strict=True)):.2f}x"
