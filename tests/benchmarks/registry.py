"""What the page of performance is made of."""

from __future__ import annotations

from dataclasses import dataclass

from tests.benchmarks.speed_cases import BARS, TABLE, Case


@dataclass(frozen=True)
class Benchmark:
    """One measurement of the page.

    Attributes
    ----------
    name : str
        On the command line.
    kept : (str, str)
        Section of the results, and the name there.
    argv : tuple of str
        Module of this folder, and its arguments but for threads and the interpreter of the references.
    minutes : float
        What it takes, roughly, with two threads of a processor that computes in bfloat16.
    reference : bool
        It needs an environment with PyPI's sam2, and with transformers where that takes part.
    """

    name: str
    kept: tuple[str, str]
    argv: tuple[str, ...]
    minutes: float
    reference: bool = False


def _speed(which: str, case: Case, minutes: float) -> Benchmark:
    argv = ("compare_speed", which, "--again", "--only", case.name)
    return Benchmark(f"speed-{case.name}", ("cases", case.name), argv, minutes, reference=True)


def _in_float32(case: Case, minutes: float) -> Benchmark:
    """Measure a bar where the processor does not compute in bfloat16, beside sam2 alone."""
    argv = ("compare_speed", "bars", "--again", "--only", case.name)
    some = ("--precisions", "float32", "--sides", "ours", "sam2")
    name = f"speed-{case.name}-float32"
    return Benchmark(name, ("some", case.name), (*argv, *some), minutes, reference=True)


def _click(precision: str, *more: str, called: str = "", minutes: float = 1) -> Benchmark:
    kept = f"sam2.1-tiny-1024-{precision}{', ' if called else ''}{called}"
    name = f"click-{precision}{'-' if called else ''}{called.replace(' ', '-')}"
    return Benchmark(name, ("clicks", kept), ("bench_click", "--precision", precision, *more), minutes)


def _features(model: str, size: int, frames: int, minutes: float) -> Benchmark:
    argv = ("bench_features", model, "--image-size", str(size), "--frames", str(frames))
    kept = ("features", f"{model}-{size}-float32")
    return Benchmark(f"features-{model}-{size}", kept, (*argv, "--precision", "float32"), minutes)


def _memory(network: str, objects: int, frames: int, *more: str, minutes: float) -> Benchmark:
    name = f"{network}-{objects}-{frames}"
    argv = ("bench_memory", "--objects", str(objects), "--frames", str(frames), *more)
    return Benchmark(f"memory-{name}", ("memory", name), argv, minutes)


def _beside_sam2(kind: str, model: str, *more: str, minutes: float) -> Benchmark:
    argv = (f"compare_{kind}", "--model", model, *more)
    return Benchmark(f"{kind}-{model}", (kind, f"{model}-1024"), argv, minutes, reference=True)


_SMALL = ("--small", "--side", "64")
BENCHMARKS = (
    Benchmark("timer", ("timer", "180 frames, 2 objects"), ("bench_responsive",), 0.5),
    _click("bfloat16"),
    _click("float32"),
    _click("float32", "--view", "auto", called="view auto", minutes=3),
    Benchmark("windows", ("windows", "nano"), ("bench_windows", "--model", "nano"), 5),
    Benchmark(
        "windows-slow",
        ("windows", "nano, drift 0.5"),
        ("bench_windows", "--model", "nano", "--drift", "0.5"),
        5,
    ),
    Benchmark(
        "windows-sam2.1-tiny",
        ("windows", "sam2.1-tiny"),
        ("bench_windows", "--model", "sam2.1-tiny", "--frames", "4", "--warm", "2"),
        4,
    ),
    _features("nano", 128, 24, 1),
    _features("sam2.1-tiny", 512, 12, 1),
    _features("sam2.1-tiny", 1024, 12, 6),
    _memory("nano", 1, 2000, minutes=5),
    _memory("nano", 16, 2000, minutes=20),
    _memory("small", 1, 2000, *_SMALL, minutes=2),
    _memory("small", 16, 2000, *_SMALL, minutes=10),
    Benchmark("jobs", ("jobs", "81-120-2048"), ("bench_jobs",), 6),
    _beside_sam2("stages", "sam2.1-tiny", minutes=3),
    _beside_sam2("stages", "sam2.1-base-plus", minutes=4),
    _beside_sam2("errors", "sam2.1-tiny", "--objects", "2", minutes=4),
    _beside_sam2("errors", "sam2.1-base-plus", "--objects", "2", minutes=6),
    *(_in_float32(case, minutes) for case, minutes in zip(BARS, (7, 8), strict=True)),
    *(_speed("bars", case, minutes) for case, minutes in zip(BARS, (9, 12), strict=True)),
    *(
        _speed("table", case, minutes)
        for case, minutes in zip(TABLE, (1, 1, 2, 2, 2, 3, 2, 2, 4, 4, 11, 12), strict=True)
    ),
)
"""All of them, as the page has them; they are run by their minutes."""
