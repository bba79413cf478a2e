"""Sections of the page beside those of `compare_speed`, one for each section of the results."""

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
        ("Features in a folder", _features(results.get("features", {}))),
        ("Memory of a long sequence", _memory(results.get("memory", {}))),
        ("Pieces of work that a click waits for", _jobs(results.get("jobs", {}))),
        ("A timer of the viewer", _timer(results.get("timer", {}))),
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
        "A second click is answered step by step, so that it decodes twice. No other object is on the frame. "
        "View auto, that of the dock, is the whole frame here, too: a released network answers clicks there "
        "and tracks in windows."
    )
    return [said, table(columns, rows)] if rows else []


def _windows(measured: dict[str, Any]) -> list[str]:
    said = (
        "The same weights on 16 objects of at most 60 pixels on a phantom with truth, 1024 x 1024 pixels: "
        "in windows of 256 and as whole frames of 1024, both tracked in turn from the masks of the first "
        "frame. Objects drift by up to 3 pixels a frame along either axis unless another drift is named. "
        "Seconds are means, since windows change their size on some frames only, and what is remembered is "
        "then seen anew in them. J is the mean over objects and the frames after the first; random weights "
        "have none, and their windows are kept where the first masks are."
    )
    columns = (
        "model, precision",
        "threads",
        "frames before, timed in windows, whole",
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
        f"{case['warm']}, {window['frames']}, {frame['frames']}",
        f"{window['wall']:.4f}",
        f"{frame['wall']:.4f}",
        f"{frame['wall'] / window['wall']:.1f}x",
        f"{frame['cpu'] / window['cpu']:.1f}x",
        *("-" if view["j"] is None else f"{view['j']:.3f}" for view in (window, frame)),
        case.get("on", "-"),
    )


_PASSES = {
    "again": "a second pass of a session opened anew",
    "correction": "a correction on the frame in the middle",
    "reverse": "backwards from a click on the last frame, after both",
}


def _features(measured: dict[str, Any]) -> list[str]:
    said = (
        "A disc on frames of 512 x 512 pixels, tracked once; then two sessions that are opened anew take "
        "turns, one with image features in a folder and one without. Neither holds features in memory. "
        "Labels of both are equal, bit for bit. Seconds are those of a pass; encoded is how many frames went "
        "through the image encoder without the folder and with it."
    )
    columns = (
        "model, size, precision",
        "threads",
        "pass",
        "frames",
        "encoded",
        "without, s",
        "folder, s",
        "ratio",
        "MB a frame on disk",
        "on",
    )
    rows = [_feature_row(name, case, each) for name, case in measured.items() for each in case["passes"]]
    return [said, table(columns, rows)] if rows else []


def _feature_row(name: str, case: dict[str, Any], each: str) -> Sequence[str]:
    without, folder = (case["passes"][each][which] for which in ("without", "folder"))
    return (
        name,
        f"{case['threads']}",
        _PASSES[each],
        f"{without['frames']}",
        f"{without['encoded']}, {folder['encoded']}",
        f"{without['seconds']:.2f}",
        f"{folder['seconds']:.2f}",
        f"{without['seconds'] / folder['seconds']:.2f}x",
        f"{case['megabytes_a_frame']:.2f}",
        case.get("on", "-"),
    )


def _memory(measured: dict[str, Any]) -> list[str]:
    said = (
        "Of the whole process, labels on disk, frames drawn when they are read: after frame 100 and after "
        "the last one. Small is the seeded network of the tests: what is held does not depend on the network."
    )
    columns = ("network", "objects", "frames, pixels", "threads", "after 100, MB", "last, MB", "growth", "on")
    rows = [
        (
            name.partition("-")[0],
            f"{case['objects']}",
            f"{case['frames']} of {case['side']} x {case['side']}",
            f"{case['threads']}",
            f"{case['early']:.1f}",
            f"{case['late']:.1f}",
            f"{case['growth']:+.1%}",
            case.get("on", "-"),
        )
        for name, case in measured.items()
    ]
    return [said, table(columns, rows)] if rows else []


def _jobs(measured: dict[str, Any]) -> list[str]:
    said = (
        "A click waits for the piece that is under way. Milliseconds of the longest piece and of all of "
        "them, less the pauses of Python's collector."
    )
    parts = [said]
    for name, case in measured.items():
        objects, frames, side = name.split("-")
        head = (
            f"{objects} objects with a mask on each of {frames} frames of {side} x {side} pixels, "
            f"threads: {case['threads']}; collector, in all: {1000 * case['collector']:.0f} ms; "
            f"on {case.get('on', '-')}:"
        )
        parts += [head, table(("job", "longest, ms", "all, ms", "pieces"), map(_job_row, case["rows"]))]
    return parts if measured else []


def _job_row(row: dict[str, Any]) -> Sequence[str]:
    return row["job"], f"{1000 * row['longest']:.0f}", f"{1000 * row['whole']:.0f}", f"{row['pieces']}"


def _timer(measured: dict[str, Any]) -> list[str]:
    said = "How late it is, 99th percentile, at rest and while a made-up network propagates."
    rows = [
        (
            name,
            f"{case['threads']}",
            f"{1000 * case['rest']:.1f}",
            f"{1000 * case['propagation']:.1f}",
            case.get("on", "-"),
        )
        for name, case in measured.items()
    ]
    columns = ("", "threads", "at rest, ms", "during a propagation, ms", "on")
    return [said, table(columns, rows)] if rows else []
