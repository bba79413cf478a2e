"""The page of what was measured: `python -m tests.benchmarks` measures all of it and writes it.

Tables are made of `results.json`, beside the notes in `notes.md`, which are written by hand; every benchmark
of the page puts what it measured there and writes the page anew. `python -m tests.benchmarks.compare_speed
bars --render` writes it without measuring.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.other_tables import other_sections

PAGE = Path(__file__).parents[2] / "docs" / "performance.md"
NOTES = Path(__file__).with_name("notes.md")
_MADE = (
    "`python -m tests.benchmarks --reference-python PATH` measures what is in the tables here, but those of "
    "the notes, which are written by hand, the cheapest first, and writes this page; it runs in a checkout "
    "with the extras `all` and `test`. PATH is the interpreter of another environment with PyPI's `sam2` and "
    "`transformers`, without which comparisons are left out. `--list` says what there is and how long it "
    "takes, `--only NAME` runs some of it; what is there already is skipped unless `--again` is given. "
    "Without a screen, start it with `xvfb-run -a`."
)
# Comparisons that are of interest: this package's precision, and that of the faster reference.
_AGAINST = (("float32", "float32"), ("bfloat16", "float32"), ("bfloat16", "bfloat16"))


def write_page(results: dict[str, Any]) -> None:
    """Write docs/performance.md from the results and the notes beside this file."""
    PAGE.write_text(page(results), encoding="utf-8")


def page(results: dict[str, Any]) -> str:
    """Return the page."""
    parts = ["# Performance", _MADE, _overview(results["cases"])]
    parts += [NOTES.read_text(encoding="utf-8").strip(), *other_sections(results)]
    parts += ["## Beside the released sam2 and transformers", _intro(results)]
    for name, case in results["cases"].items():
        parts += _told_case(name, name, case)
    for name, case in results.get("some", {}).items():
        parts += _told_case(f"{name}, another run", name, case)
    return "\n\n".join(part for part in parts if part) + "\n"


def _told_case(title: str, name: str, case: dict[str, Any]) -> list[str]:
    return [f"### {title}", "\n".join(_table(name, case)), _verdict(case["sides"])]


def _overview(cases: Mapping[str, Any]) -> str:
    """Put the ratios of all cases into one table."""
    said = (
        "How many times faster than the faster of the released sam2 and transformers, per frame, on two "
        "threads of a processor; each case is told in full at the end."
    )
    head = (
        "model",
        "side of the input",
        "objects",
        "float32",
        "bfloat16, theirs in float32",
        "both in bfloat16",
    )
    lines = [said, "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, case in sorted(cases.items(), key=lambda each: _order(each[0])):
        told = " | ".join(_told_against(case["sides"], own, other) for own, other in _AGAINST)
        model, size, objects = name.rsplit("-", 2)
        lines.append(f"| {model} | {size} | {objects} | {told} |")
    return "\n".join(lines)


def _order(name: str) -> tuple[str, int, int]:
    model, size, objects = name.rsplit("-", 2)
    return model, int(size), int(objects)


def _told_against(sides: Mapping[str, Any], own: str, other: str) -> str:
    found = _against(sides, own, other)
    return "-" if found is None else f"{found:.2f}x"


def _against(sides: Mapping[str, Any], own: str, other: str) -> float | None:
    """Compare with the faster of the references; None if a side is missing."""
    references = [side for key, side in sides.items() if key.endswith(other) and not key.startswith("ours")]
    if not references or f"ours-{own}" not in sides:
        return None
    return ratio(sides[f"ours-{own}"], min(references, key=lambda side: median(side["wall"])))


def _intro(results: dict[str, Any]) -> str:
    told = results.get("machine", {})
    return (
        f"Measured with torch {told.get('torch', '-')} on {told.get('processor', '-')}. "
        "A case is named by model, side of the network's input and number of objects. "
        "All sides have the same seeded weights, frames, clicks and threads and track a frame in turn, "
        "once all memories are filled, unless it is said that fewer frames came before. "
        "In bfloat16, sam2 runs under autocast and transformers with the whole model cast. "
        "Figures are medians over the timed frames, ratios the median of the ratios frame by frame. "
        "IoU is that of the masks of all objects with sam2 in float32, on the first three frames "
        "and on the last one; with random weights small differences grow from frame to frame. "
        "The difference of logits is the largest one from sam2 in float32, of all objects on each of the "
        "first three frames, over the range of its logits there: of the chosen masks, before they are "
        "enlarged to the frame."
    )


_COLUMNS = (
    "side",
    "s per frame",
    "s per object-frame",
    "CPU s per frame",
    "peak MB",
    "our float32 is faster",
    "our bfloat16 is faster",
    "IoU",
    "difference of logits",
)


def _table(name: str, case: dict[str, Any]) -> list[str]:
    objects = int(name.rsplit("-", 1)[1])
    sides: dict[str, Any] = case["sides"]
    lines = [_circumstances(case), f"| {' | '.join(_COLUMNS)} |", "|---" * len(_COLUMNS) + "|"]
    return lines + [f"| {' | '.join((key, *_cells(sides, key, objects)))} |" for key in sides]


def _cells(sides: Mapping[str, Any], key: str, objects: int) -> tuple[str, ...]:
    side = sides[key]
    wall = median(side["wall"])
    return (
        f"{wall:.2f}",
        f"{wall / objects:.2f}",
        f"{median(side['cpu']):.2f}",
        f"{side['peak']:.0f}",
        *(_told_ratio(sides.get(f"ours-{p}"), side) for p in ("float32", "bfloat16")),
        " ".join(f"{value:.3f}" for value in side["iou"].values()),
        _told_logits(side),
    )


def _told_logits(side: Mapping[str, Any]) -> str:
    """Tell the differences of the first frames; results of before they were measured have none."""
    return " ".join(f"{value:.1e}" if value else "0" for value in side.get("logits", {}).values()) or "-"


def _circumstances(case: dict[str, Any]) -> str:
    timed = len(next(iter(case["sides"].values()))["wall"])
    kept = "on" if case["keep_memory"] else "off"
    # Results of before these were told had eight frames before them, and do not say on what they were made.
    on = f"; on {case['on']}" if "on" in case else ""
    frames = f"{timed} frame{'' if timed == 1 else 's'}"
    return (
        f"Threads: {case['threads']}; {frames} timed, {case.get('warm', 8)} before them; "
        f"memory settings of the command line {kept}{on}.\n"
    )


def ratio(ours: dict[str, Any], other: dict[str, Any]) -> float:
    """How many times longer the other side takes, frame by frame."""
    return float(median(b / a for a, b in zip(ours["wall"], other["wall"], strict=True)))


def _told_ratio(ours: dict[str, Any] | None, other: dict[str, Any]) -> str:
    return "-" if ours is None or ours is other else f"{ratio(ours, other):.2f}x"


def _verdict(sides: Mapping[str, Any]) -> str:
    """Say how the sides compare."""
    compared = [(own, other, _against(sides, own, other)) for own, other in _AGAINST]
    told = "; ".join(
        f"ours in {own} beside the faster reference in {other}: {found:.2f}x"
        for own, other, found in compared
        if found is not None
    )
    return f"{told[:1].upper()}{told[1:]}." if told else ""
