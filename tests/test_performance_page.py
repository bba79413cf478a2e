"""The page of performance: what it is made of, what a run does next, and its tables."""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from tests.benchmarks import __main__ as runner
from tests.benchmarks.compare_speed import logit_error
from tests.benchmarks.other_tables import other_sections
from tests.benchmarks.registry import BENCHMARKS, Benchmark
from tests.benchmarks.results import read_results
from tests.benchmarks.speed_page import PAGE, page

LIGHT = Benchmark("light", ("memory", "light"), ("bench_light",), 1)
HEAVY = Benchmark("heavy", ("cases", "heavy"), ("compare_heavy", "--again"), 9, reference=True)
TAKEN = {"seconds": 3.0, "frames": 12, "encoded": 11}


def test_the_page_is_that_of_the_results() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(read_results())


def test_each_benchmark_has_a_name_a_module_and_a_place_of_its_own() -> None:
    assert len({each.name for each in BENCHMARKS}) == len(BENCHMARKS)
    assert len({each.kept for each in BENCHMARKS}) == len(BENCHMARKS)
    for each in BENCHMARKS:
        assert find_spec(f"tests.benchmarks.{each.argv[0]}") is not None


def test_all_that_is_kept_can_be_measured_again() -> None:
    known = {each.kept for each in BENCHMARKS}
    sections = {name: each for name, each in read_results().items() if name != "machine"}
    assert {(section, name) for section, each in sections.items() for name in each} <= known


def test_the_cheapest_come_first() -> None:
    minutes = [each.minutes for each in runner.chosen(None)]
    assert minutes == sorted(minutes)
    assert [each.name for each in runner.chosen(["jobs", "timer"])] == ["timer", "jobs"]


def test_what_is_there_is_skipped_unless_it_is_wanted_again() -> None:
    results: dict[str, Any] = {"memory": {"light": {}}}
    choice = runner.Choice(threads=2)
    assert choice.reason_to_skip(LIGHT, results) == "is there"
    assert replace(choice, again=True).reason_to_skip(LIGHT, results) is None
    assert choice.reason_to_skip(LIGHT, {}) is None


def test_what_needs_the_references_is_left_out_without_them() -> None:
    choice = runner.Choice(threads=2)
    told = choice.reason_to_skip(HEAVY, {})
    assert told is not None
    assert "--reference-python" in told
    with_them = replace(choice, reference_python="/other/python")
    assert with_them.reason_to_skip(HEAVY, {}) is None
    module = [sys.executable, "-m", "tests.benchmarks.compare_heavy", "--again", "--threads", "2"]
    assert with_them.command(HEAVY) == [*module, "--reference-python", "/other/python"]
    assert "--reference-python" not in with_them.command(LIGHT)


def test_one_that_fails_does_not_end_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commands: list[Any] = []

    def succeeds(command: Any, threads: int) -> bool:
        commands.append((command, threads))
        return "compare_heavy" not in command[2]

    monkeypatch.setattr(runner, "read_results", dict)
    monkeypatch.setattr(runner, "_succeeds", succeeds)
    choice = runner.Choice(threads=3, reference_python="python")
    assert runner.run([HEAVY, LIGHT], choice) == ["heavy"]
    assert [threads for _, threads in commands] == [3, 3]
    assert "failed" in capsys.readouterr().out


def test_how_a_benchmark_ended_is_told_by_its_exit_status() -> None:
    assert runner._succeeds([sys.executable, "-c", ""], threads=1)
    assert not runner._succeeds([sys.executable, "-c", "raise SystemExit(1)"], threads=1)


def test_the_difference_of_logits_is_told_by_the_range_of_the_right_ones() -> None:
    right = np.array([[[-6.0, 2.0]], [[0.0, 4.0]]], np.float32)
    found = right + np.array([[[0.0, 0.05]], [[-0.1, 0.0]]], np.float32)
    assert logit_error(found, right) == pytest.approx(0.01, rel=1e-4)
    with pytest.raises(ValueError, match="cannot be compared"):
        logit_error(found[:1], right)


def test_results_of_before_logits_were_compared_have_none_on_the_page() -> None:
    side = {"wall": [2.0], "cpu": [4.0], "peak": 900.0, "iou": {"0": 1.0}}
    compared = {**side, "logits": {"0": 0.0, "1": 2e-7}}
    case = {"threads": 2, "keep_memory": True, "warm": 3, "on": "a processor"}
    sides = {"sam2-float32": side, "ours-float32": compared}
    written = page({"cases": {"sam2.1-tiny-512-1": {**case, "sides": sides}}})
    assert "| sam2-float32 | 2.00 | 2.00 | 4.00 | 900 | 1.00x | - | 1.000 | - |" in written
    assert "| ours-float32 | 2.00 | 2.00 | 4.00 | 900 | - | - | 1.000 | 0 2.0e-07 |" in written
    assert "; on a processor." in written


def test_features_in_a_folder_have_a_row_for_each_pass() -> None:
    read = {**TAKEN, "seconds": 1.5, "encoded": 0}
    passes = {name: {"without": TAKEN, "folder": read} for name in ("again", "correction", "reverse")}
    case = {"threads": 2, "megabytes_a_frame": 16.0, "passes": passes, "on": "a processor"}
    written = "\n".join(other_sections({"features": {"sam2.1-tiny-1024-float32": case}}))
    assert written.count("| 12 | 11, 0 | 3.00 | 1.50 | 2.00x | 16.00 | a processor |") == 3


def test_memory_jobs_and_the_timer_have_tables() -> None:
    memory = {"objects": 1, "frames": 2000, "side": 128, "threads": 2, "growth": 0.013}
    row = {"job": "undo of it", "longest": 0.05, "whole": 0.07, "pieces": 2}
    results = {
        "memory": {"nano-1-2000": {**memory, "early": 400.3, "late": 405.7}},
        "jobs": {"81-120-2048": {"threads": 2, "rows": [row], "collector": 0.9}},
        "timer": {"180 frames": {"threads": 2, "rest": 0.001, "propagation": 0.035}},
    }
    written = "\n".join(other_sections(results))
    assert "| nano | 1 | 2000 of 128 x 128 | 2 | 400.3 | 405.7 | +1.3% | - |" in written
    assert "| undo of it | 50 | 70 | 2 |" in written
    assert "| 180 frames | 2 | 1.0 | 35.0 | - |" in written
