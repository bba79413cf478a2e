"""Sections of the page beside those of `compare_speed`: stages, errors, clicks, windows, memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def other_sections(results: dict[str, Any]) -> list[str]:
    """Return headings and tables of all that was measured."""
    made = (
        ("Stages of a frame", _stages(results.get("stages", {}))),
        ("Errors of the lower precision", _errors(results.get("errors", {}))),
        ("A click on a frame that is ready", _clicks(results.get("clicks", {}))),
        ("Moving windows beside the whole frame", _windows(results.get("windows", {}))),
    )
    return [part for title, parts in made if parts for part in (f"## {title}", *parts)]


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lay out a table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _stages(measured: dict[str, Any]) -> list[str]:
    said = (
        "Multiply-adds are those of matrix products and convolutions, in units of 1e9: of the network as it "
        "was published, and of what is left of them here. The limit is a product of two matrices of "
        "2048 x 2048 in the same process and precision. The share is what is left of the multiply-adds over "
        "the time, in parts of that. Memory attention has a full bank: 7 memories and 16 pointers. What a "
        "frame sees of itself is computed for its first object only."
    )
    parts = [said]
    for name, case in measured.items():
        parts += [f"{name}, {case['threads']} threads, medians of {case['rounds']} rounds in turn:"]
        parts += [_stage_table(case["sides"], precision) for precision in ("float32", "bfloat16")]
    return parts if measured else []


def _stage_table(sides: dict[str, Any], precision: str) -> str:
    ours, theirs = sides[f"ours-{precision}"], sides.get(f"sam2-{precision}", {"seconds": {}})
    limit = ours["peak_rate"]
    columns = (
        f"{precision}, limit {limit:.0f} a second",
        "published",
        "left",
        "ours, ms",
        "share of the limit",
        "sam2, ms",
        "ratio",
    )
    rows = []
    for stage, seconds in ours["seconds"].items():
        other = theirs["seconds"].get(stage)
        rows.append(
            (
                stage,
                f"{ours['published'][stage]:.1f}",
                f"{ours['ours'][stage]:.1f}",
                f"{1000 * seconds:.0f}",
                f"{ours['ours'][stage] / seconds / limit:.0%}",
                "-" if other is None else f"{1000 * other:.0f}",
                "-" if other is None else f"{other / seconds:.2f}x",
            )
        )
    return table(columns, rows)


def _errors(measured: dict[str, Any]) -> list[str]:
    said = (
        "Against sam2 in float32, the same weights, frames and clicks, several draws of them. Largest "
        "difference over the largest value / root mean square of the difference over that of the values, of "
        "all draws. The maps are those that the encoder hands on, strides 4, 8 and 16; of clicks and of the "
        "tracked frame it is the logits."
    )
    parts = [said]
    for name, case in measured.items():
        sides = case["sides"]
        rows = [
            (what, *(f"{side[what]['max']:.2e} / {side[what]['rms']:.2e}" for side in sides.values()))
            for what in next(iter(sides.values()))
        ]
        parts += [f"{name}, {case['objects']} objects, {case['draws']} draws:", table(("", *sides), rows)]
    return parts if measured else []


def _clicks(measured: dict[str, Any]) -> list[str]:
    rows = [
        (
            name,
            f"{case['threads']}",
            f"{case['clicks']}",
            *(
                f"{1000 * case[which]['wall']:.0f} / {1000 * case[which]['wall_90']:.0f} / "
                f"{1000 * case[which]['cpu']:.0f}"
                for which in ("first", "second")
            ),
            case.get("on", "-"),
        )
        for name, case in measured.items()
    ]
    columns = ("model, size, precision", "threads", "clicks", "first click, ms", "second click, ms", "on")
    said = (
        "From the prompt to the labels of the frame, through `Session`: median, ninth decile, and CPU time. "
        "A second click is answered step by step, so that it decodes twice. Where windows are looked at "
        "(view auto, as in the dock), the first click of an object is looked at in several of them, which no "
        "one can prepare before it is known where it comes."
    )
    return [said, table(columns, rows)] if rows else []


def _windows(measured: dict[str, Any]) -> list[str]:
    said = (
        "The same weights on 16 objects of at most 60 pixels on a phantom with truth, 1024 x 1024 pixels: in "
        "windows of 256 and as whole frames of 1024, both tracked in turn. J is the mean over objects and "
        "frames from one click each; random weights have none."
    )
    columns = (
        "model, precision",
        "threads",
        "frames before, timed",
        "window, s per object-frame",
        "frame, s per object-frame",
        "ratio",
        "CPU ratio",
        "J, window",
        "J, frame",
        "on",
    )
    rows = [_window_row(name, case) for name, case in measured.items()]
    return [said, table(columns, rows)] if rows else []


def _window_row(name: str, case: dict[str, Any]) -> Sequence[str]:
    window, frame = case["views"]["window"], case["views"]["frame"]
    return (
        f"{name}, {case['precision']}",
        f"{case['threads']}",
        f"{case['warm']}, {case['frames'] - case['warm']}",
        f"{window['wall']:.4f}",
        f"{frame['wall']:.4f}",
        f"{frame['wall'] / window['wall']:.1f}x",
        f"{frame['cpu'] / window['cpu']:.1f}x",
        *("-" if view["j"] is None else f"{view['j']:.3f}" for view in (window, frame)),
        case.get("on", "-"),
    )
