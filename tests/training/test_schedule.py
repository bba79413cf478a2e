from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._model.config import NANO_CONFIG
from napari_sam2.training.schedule import Stage, default_stages, rate_factor, stage_at, wide_stages


def test_stages_follow_each_other() -> None:
    stages = [Stage(share=s, size=64, frames=1, batch=1, objects=1) for s in (1, 2, 1)]
    assert [stage_at(stages, p) for p in (0.0, 0.24, 0.25, 0.74, 0.75, 1.0, 1.2)] == [0, 0, 1, 1, 2, 2, 2]


def test_the_default_ends_with_sequences_at_the_size_of_nano() -> None:
    stages = default_stages()
    assert stages[0].frames == 1
    assert stages[-1].size == NANO_CONFIG.image_size
    assert stages[-1].frames >= 6


def test_weights_that_are_there_need_no_discs() -> None:
    fresh, known = default_stages(), default_stages(fresh=False)
    assert fresh[0].spots
    assert not any(stage.spots or stage.dense for stage in known)
    assert known[0].frames == 1
    assert known[-1] == fresh[-1]


def test_on_a_gpu_sizes_and_lengths_take_turns() -> None:
    stages = wide_stages(fresh=False)
    total = sum(stage.share for stage in stages)
    seen = {
        (s.size, s.frames) for s in (stages[stage_at(stages, p)] for p in (0.5, 0.51, 0.52, 0.53, 0.54, 0.55))
    }
    assert len(seen) >= 3
    assert stages[-1].frames >= 6
    assert max(stage.share for stage in stages) / total < 0.05


def test_random_weights_begin_with_discs_on_a_gpu_too() -> None:
    fresh, known = wide_stages(fresh=True), wide_stages(fresh=False)
    assert fresh[0].spots
    assert not any(stage.spots for stage in known)
    opening = sum(stage.share for stage in fresh[: -len(known)]) / sum(stage.share for stage in fresh)
    assert 0.15 < opening < 0.35


def test_on_a_gpu_windows_follow_objects_in_between() -> None:
    turn = wide_stages(fresh=False)[:7]
    followed = [stage for stage in turn if stage.window]
    assert {stage.window for stage in followed} == {NANO_CONFIG.image_size}
    assert all(stage.window < stage.size for stage in followed)
    assert 0.3 < sum(s.share for s in followed) / sum(s.share for s in turn) < 0.6


@pytest.mark.parametrize(
    "wrong", [{"size": 100}, {"batch": 0}, {"share": 0.0}, {"frames": -1}, {"window": 100}, {"window": -32}]
)
def test_bad_stages_are_refused(wrong: dict[str, float]) -> None:
    numbers: dict[str, float] = {"share": 1.0, "size": 64, "frames": 1, "batch": 1, "objects": 1}
    with pytest.raises(ValueError, match="must be"):
        Stage(**{**numbers, **wrong})  # type: ignore[arg-type]


@given(st.floats(0, 1), st.floats(0.001, 0.5))
def test_the_rate_stays_within_its_bounds(progress: float, warmup: float) -> None:
    assert 0 < rate_factor(progress, warmup) <= 1.0001


def test_the_rate_rises_then_falls() -> None:
    factors = [rate_factor(p, 0.1) for p in (0.0, 0.05, 0.1, 0.5, 1.0)]
    assert factors[0] < factors[1] < factors[2] == pytest.approx(1.0)
    assert factors[2] > factors[3] > factors[4] == pytest.approx(0.02)
