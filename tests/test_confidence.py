"""How sure masks are: as sure as the worst of those that led to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.confidence import Sources, confidence
from napari_sam2.passes import Anchor, plan_gaps


def of(
    kinds: str, score: list[float], presence: list[float] | None = None, area: list[int] | None = None
) -> list[float]:
    """Tracked masks (s), frames without one (.), confirmed ones (c), and those that say absent (a)."""
    at, there = np.array([list(kinds)]), np.ones(len(kinds)) if presence is None else np.array(presence)
    sources = Sources(at == "c", at == "a", np.array([area or [9] * len(kinds)]))
    found: list[float] = confidence(np.array([score]), there[None], at == "s", sources)[0].tolist()
    return found


def test_no_mask_is_surer_than_those_that_led_to_it() -> None:
    found = of("ssscsss", [0.9, 0.5, 0.8, 1, 0.7, 0.9, 0.6])
    assert found == pytest.approx([0.5, 0.5, 0.8, 1, 0.7, 0.7, 0.6])


def test_worst_score_and_worst_presence_need_not_be_of_one_frame() -> None:
    assert of("csss", [1, 0.5, 1, 1], [1, 1, 0.4, 1]) == pytest.approx([1, 0.5, 0.2, 0.2])


def test_between_two_confirmed_frames_each_half_has_its_own_side() -> None:
    found = of("csssssc", [1, 0.5, 0.9, 0.9, 0.9, 0.8, 1])
    assert found == pytest.approx([1, 0.5, 0.5, 0.5, 0.8, 0.8, 1])


def test_the_larger_one_of_two_confirmed_frames_has_more_of_the_way() -> None:
    score = [1, 0.5, 0.9, 0.9, 0.9, 0.8, 1]
    found = of("csssssc", score, area=[30, 1, 1, 1, 1, 1, 10])
    assert found == pytest.approx([1, 0.5, 0.5, 0.5, 0.5, 0.8, 1])
    found = of("csssssc", score, area=[1, 1, 1, 1, 1, 1, 100])
    assert found == pytest.approx([1, 0.5, 0.8, 0.8, 0.8, 0.8, 1])


def test_tracks_do_not_go_beyond_a_frame_without_the_object() -> None:
    found = of("cssassc", [0.9, 0.5, 0.6, 1, 0.7, 0.8, 0.9])
    assert found == pytest.approx([0.9, 0.5, 0.5, 1, 0.7, 0.8, 0.9])
    assert of("cssa.s", [0.9, 0.5, 0.6, 1, 0.1, 0.8])[-1] == pytest.approx(0.8), "nothing has led to it"


def test_frames_without_a_mask_are_passed_over_and_tell_of_themselves() -> None:
    assert of("cs.s", [1, 0.9, 0.0, 0.95], [1, 1, 0.1, 1]) == pytest.approx([1, 0.9, 0, 0.9])


def test_what_is_not_known_counts_as_sure_on_the_way() -> None:
    found = of("css.", [np.nan, np.nan, 0.8, np.nan], [np.nan, 0.5, 1, np.nan])
    np.testing.assert_allclose(found, [np.nan, 0.5, 0.4, np.nan])


def test_there_may_be_no_objects_or_frames() -> None:
    for shape in ((0, 5), (3, 0)):
        nothing, values = np.zeros(shape, bool), np.zeros(shape)
        sources = Sources(nothing, nothing, values.astype(int))
        assert confidence(values, values, nothing, sources).shape == shape


CELLS = st.tuples(st.sampled_from("s.ca"), st.floats(0, 1), st.floats(0, 1), st.integers(0, 50))


@given(st.lists(CELLS, min_size=1, max_size=40))
def test_it_is_the_worst_on_the_way_as_passes_are_planned(cells: list[tuple[str, float, float, int]]) -> None:
    kinds = "".join(each[0] for each in cells)
    score, presence, area = [c[1] for c in cells], [c[2] for c in cells], [c[3] for c in cells]
    found, ways = of(kinds, score, presence, area), _ways(kinds, area)
    for frame in range(len(cells)):
        way = ways.get(frame, [frame]) if kinds[frame] == "s" else [frame]
        expected = min(score[k] for k in way) * min(presence[k] for k in way)
        assert found[frame] == pytest.approx(expected, abs=1e-6)


def _ways(kinds: str, area: list[int]) -> dict[int, list[int]]:
    """By frame the masks that a pass comes past on the way there, and that on it."""
    anchors = [
        Anchor(frame, 0, present=kind == "c", area=area[frame])
        for frame, kind in enumerate(kinds)
        if kind in "ca"
    ]
    return {
        frame: [k for k in planned.frames[: at + 1] if kinds[k] == "s"]
        for planned in plan_gaps(anchors, num_frames=len(kinds), reach=3)
        for at, frame in enumerate(planned.frames)
    }


@pytest.mark.parametrize("kind", "s.ca")
def test_a_single_frame(kind: str) -> None:
    assert of(kind, [0.5], [0.5]) == pytest.approx([0.25])
