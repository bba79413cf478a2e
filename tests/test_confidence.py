"""How sure masks are: as sure as the worst of those that led to them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from napari_sam2.confidence import Sources, confidence


def rows(kinds: str) -> tuple[NDArray[np.bool_], Sources]:
    """Tracked masks (s), frames without one (.), confirmed ones (c), and those that say absent (a)."""
    at = np.array([list(kinds)])
    return at == "s", Sources(at == "c", at == "a")


def of(kinds: str, score: list[float], presence: list[float] | None = None) -> list[float]:
    seen, sources = rows(kinds)
    there = np.ones(len(kinds)) if presence is None else np.array(presence)
    found: list[float] = confidence(np.array([score]), there[None], seen, sources)[0].tolist()
    return found


def test_no_mask_is_surer_than_those_that_led_to_it() -> None:
    found = of("ssscsss", [0.9, 0.5, 0.8, 1, 0.7, 0.9, 0.6])
    assert found == pytest.approx([0.5, 0.5, 0.8, 1, 0.7, 0.7, 0.6])


def test_worst_score_and_worst_presence_need_not_be_of_one_frame() -> None:
    assert of("csss", [1, 0.5, 1, 1], [1, 1, 0.4, 1]) == pytest.approx([1, 0.5, 0.2, 0.2])


def test_between_two_confirmed_frames_each_half_has_its_own_side() -> None:
    found = of("csssssc", [1, 0.5, 0.9, 0.9, 0.9, 0.8, 1])
    assert found == pytest.approx([1, 0.5, 0.5, 0.5, 0.8, 0.8, 1])


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
        assert confidence(values, values, nothing, Sources(nothing, nothing)).shape == shape


CELLS = st.tuples(st.sampled_from("s.ca"), st.floats(0, 1), st.floats(0, 1))


@given(st.lists(CELLS, min_size=1, max_size=40))
def test_it_is_what_a_walk_from_the_nearest_confirmed_frame_finds(
    cells: list[tuple[str, float, float]],
) -> None:
    kinds = "".join(kind for kind, _, _ in cells)
    score, presence = [each[1] for each in cells], [each[2] for each in cells]
    found = of(kinds, score, presence)
    for frame, kind in enumerate(kinds):
        way = _way(kinds, frame) if kind == "s" else [frame]
        expected = min(score[k] for k in way) * min(presence[k] for k in way)
        assert found[frame] == pytest.approx(expected, abs=1e-6)


def _way(kinds: str, frame: int) -> list[int]:
    """Masks from the nearest confirmed frame, the earlier of two, up to this one; itself where none is."""
    for distance in range(1, len(kinds)):
        for source, step in ((frame - distance, 1), (frame + distance, -1)):
            if 0 <= source < len(kinds) and kinds[source] == "c":
                between = list(range(source + step, frame + step, step))
                if "a" not in {kinds[k] for k in between}:
                    return [k for k in between if kinds[k] == "s"]
    return [frame]


@pytest.mark.parametrize("kind", "s.ca")
def test_a_single_frame(kind: str) -> None:
    assert of(kind, [0.5], [0.5]) == pytest.approx([0.25])
