"""Plans of propagation: every frame once, edits that stay in their gaps, both directions alike."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from napari_sam2.passes import Anchor, Pass, PassKey, Seed, limited, plan_gaps, plan_sweep

LENGTH = 24
REACH = 6

frames = st.integers(0, LENGTH - 1)


@st.composite
def anchor_sets(draw: st.DrawFn, min_size: int = 0) -> tuple[Anchor, ...]:
    chosen = draw(st.frozensets(frames, min_size=min_size, max_size=6))
    return tuple(
        Anchor(frame, draw(st.integers(0, 9)), draw(st.booleans()), draw(st.booleans()))
        for frame in sorted(chosen)
    )


@st.composite
def windows(draw: st.DrawFn) -> range:
    low = draw(frames)
    return range(low, draw(st.integers(low, LENGTH - 1)) + 1)


def gaps(anchors: tuple[Anchor, ...], limits: range | None = None) -> tuple[Pass, ...]:
    return plan_gaps(anchors, num_frames=LENGTH, reach=REACH, limits=limits)


def sweep(
    anchors: tuple[Anchor, ...], start: int, *, reverse: bool, limits: range | None = None
) -> tuple[Pass, ...]:
    return plan_sweep(anchors, num_frames=LENGTH, start=start, reverse=reverse, limits=limits)


def neighbours(anchors: tuple[Anchor, ...], frame: int) -> tuple[Anchor | None, Anchor | None]:
    before = [anchor for anchor in anchors if anchor.frame < frame]
    after = [anchor for anchor in anchors if anchor.frame > frame]
    return (before[-1] if before else None), (after[0] if after else None)


def leading(anchors: tuple[Anchor, ...]) -> set[Anchor]:
    """Frames that the object is seen on; where there are none, those that it is on."""
    present = {anchor for anchor in anchors if anchor.present}
    return {anchor for anchor in present if anchor.seen} or present


def reachable(anchors: tuple[Anchor, ...], *, led: bool = False) -> list[int]:
    """Frames with a neighbouring confirmed frame that the object is on, and is seen on if it has to lead."""
    confirmed = {anchor.frame for anchor in anchors}
    fit = leading(anchors) if led else {anchor for anchor in anchors if anchor.present}
    free = [frame for frame in range(LENGTH) if frame not in confirmed]
    return [frame for frame in free if fit.intersection(neighbours(anchors, frame))]


def computed(passes: tuple[Pass, ...]) -> list[int]:
    return sorted(frame for planned in passes for frame in planned.frames)


# ------------------------------------------------------------------- both ways


@given(anchor_sets())
def test_every_reachable_frame_is_computed_exactly_once(anchors: tuple[Anchor, ...]) -> None:
    assert computed(gaps(anchors)) == reachable(anchors, led=True)


@given(anchor_sets(), windows())
def test_limits_leave_out_frames_and_add_none(anchors: tuple[Anchor, ...], limits: range) -> None:
    assert computed(gaps(anchors, limits)) == [
        frame for frame in reachable(anchors, led=True) if frame in limits
    ]


@given(anchor_sets())
def test_a_frame_is_tracked_from_the_nearer_end_of_its_gap(anchors: tuple[Anchor, ...]) -> None:
    for planned in gaps(anchors):
        for frame in planned.frames:
            before, after = neighbours(anchors, frame)
            source = after if planned.reverse else before
            other = before if planned.reverse else after
            assert source in leading(anchors)
            if other in leading(anchors):
                assert abs(frame - source.frame) <= abs(frame - other.frame)


@given(anchor_sets())
def test_a_gap_attends_to_its_two_ends_where_the_object_is_there(anchors: tuple[Anchor, ...]) -> None:
    for planned in gaps(anchors):
        ends = neighbours(anchors, planned.frames[0])
        assert planned.anchors == tuple(end for end in ends if end in leading(anchors))


@given(anchor_sets(), windows())
def test_passes_go_away_from_their_start_forward_ones_first(
    anchors: tuple[Anchor, ...], limits: range
) -> None:
    passes = gaps(anchors, limits)
    assert [planned.reverse for planned in passes] == sorted(planned.reverse for planned in passes)
    for planned in passes:
        assert list(planned.frames) == sorted(planned.frames, reverse=planned.reverse)
        assert planned.span[0] == planned.first
        assert planned.span[-1] == planned.last


def keys_by_frame(passes: tuple[Pass, ...]) -> dict[int, PassKey]:
    return {frame: planned.key for planned in passes for frame in planned.frames}


@given(
    anchor_sets(),
    st.integers(0, LENGTH - 2),
    st.none() | st.tuples(st.integers(10, 19), st.booleans(), st.booleans()),
)
def test_an_edit_changes_the_passes_of_the_two_gaps_beside_it_and_no_others(
    anchors: tuple[Anchor, ...], edited: int, state: tuple[int, bool, bool] | None
) -> None:
    """Wherever there is a frame that the object is seen on."""
    anchors = (*(anchor for anchor in anchors if anchor.frame != LENGTH - 1), Anchor(LENGTH - 1, 0))
    others = tuple(anchor for anchor in anchors if anchor.frame != edited)
    after = others if state is None else tuple(sorted((*others, Anchor(edited, *state))))
    low, high = neighbours(others, edited)
    touched = range(low.frame + 1 if low else 0, high.frame if high else LENGTH)
    old, new = keys_by_frame(gaps(anchors)), keys_by_frame(gaps(after))
    for frame in set(range(LENGTH)) - set(touched):
        assert old.get(frame) == new.get(frame)


@given(anchor_sets(min_size=1), st.data())
def test_another_revision_changes_every_frame_that_attends_to_it(
    anchors: tuple[Anchor, ...], data: st.DataObject
) -> None:
    edited = data.draw(st.sampled_from(anchors))
    changed = tuple(replace(a, revision=99) if a == edited else a for a in anchors)
    old, new = keys_by_frame(gaps(anchors)), keys_by_frame(gaps(changed))
    different = {frame for frame in old if old[frame] != new[frame]}
    beside = {f for f in old if edited in neighbours(anchors, f)}
    assert different == (beside if edited in leading(anchors) else set())


@pytest.mark.parametrize("edited", [0, 8, 16, 23])
def test_an_edit_at_the_first_or_last_of_several_prompts(edited: int) -> None:
    anchors = tuple(Anchor(frame, 0) for frame in (0, 8, 16, 23))
    moved = tuple(replace(a, revision=1) if a.frame == edited else a for a in anchors)
    old, new = keys_by_frame(gaps(anchors)), keys_by_frame(gaps(moved))
    different = sorted(frame for frame in old if old[frame] != new[frame])
    confirmed = [0, 8, 16, 23]
    at = confirmed.index(edited)
    left, right = confirmed[max(at - 1, 0)], confirmed[min(at + 1, 3)]
    assert different == [frame for frame in range(left, right) if frame not in confirmed]


def test_one_prompt_is_tracked_forward_then_backward_with_the_forward_memories() -> None:
    anchor = Anchor(10, 3)
    forward, backward = gaps((anchor,))
    assert forward == Pass(10, 23, reverse=False, anchors=(anchor,), returns=10)
    assert backward == Pass(10, 0, reverse=True, anchors=(anchor,), seed=Seed(10, 10 + REACH))


def test_seeds_end_with_the_sequence() -> None:
    (backward,) = [planned for planned in gaps((Anchor(20, 0),)) if planned.reverse]
    assert backward.seed == Seed(20, 23)


def test_there_is_no_seed_beyond_the_last_frame() -> None:
    (backward,) = gaps((Anchor(23, 0),))
    assert backward == Pass(23, 0, reverse=True, anchors=(Anchor(23, 0),))


def test_more_of_a_gap_is_tracked_from_the_larger_mask() -> None:
    def borders(*areas: int | None) -> list[int]:
        passes = gaps(tuple(Anchor(frame, 0, area=area) for frame, area in zip((4, 16), areas, strict=True)))
        return [planned.last for planned in passes if planned.span[-1] not in {0, LENGTH - 1}]

    assert borders(None, None) == borders(70, 70) == borders(None, 10) == [10, 11]
    assert borders(90, 30) == [13, 14]
    assert borders(30, 90) == [7, 8]
    assert borders(1000, 1) == [15], "nothing is left for the other one"
    assert borders(1, 1000) == [5]


def test_a_gap_has_no_seed_since_both_ends_are_attended() -> None:
    inner = [planned for planned in gaps((Anchor(5, 0), Anchor(15, 0))) if len(planned.anchors) == 2]
    assert [(p.first, p.last, p.seed) for p in inner] == [(5, 10, None), (15, 11, None)]


def test_limits_away_from_the_prompt_start_where_they_begin() -> None:
    forward, backward = gaps((Anchor(10, 0),), range(3, 8)), gaps((Anchor(10, 0),), range(14, 18))
    assert [(planned.first, planned.last, planned.seed) for planned in forward] == [(7, 3, None)]
    assert [(planned.first, planned.last) for planned in backward] == [(14, 17)]


def test_only_passes_that_a_backward_one_starts_from_are_kept_for_it() -> None:
    """Else every other range that is asked for leaves its memories behind."""
    (planned,) = gaps((Anchor(10, 0),), range(14, 18))
    assert planned.returns is None


def test_empty_limits_plan_nothing() -> None:
    assert gaps((Anchor(10, 0),), range(0)) == ()
    assert sweep((Anchor(10, 0),), 10, reverse=True, limits=range(0)) == ()
    assert sweep((Anchor(10, 0),), 10, reverse=False, limits=range(0)) == ()


def test_from_an_empty_answer_nothing_is_tracked_into_a_gap() -> None:
    ends = (Anchor(5, 0), Anchor(15, 0, seen=False))
    (into,) = [planned for planned in gaps(ends) if not planned.reverse]
    assert (into.first, into.last, into.anchors) == (5, 14, ends[:1])
    assert computed(gaps(ends)) == [*range(5), *range(6, 15)]
    assert computed(gaps(ends[1:])) == [*range(15), *range(16, LENGTH)], "there is no other"


def test_what_a_gap_was_tracked_through_does_not_stand_once_it_is_empty_there() -> None:
    start, between = Anchor(5, 0), Anchor(10, 0, seen=False)
    through = PassKey(5, reverse=False, anchors=(start,))
    assert through.reaches(12, (start,))
    assert through.reaches(9, (start, between))
    assert not through.reaches(12, (start, between))
    assert PassKey(5, reverse=False, anchors=(start, between)).reaches(12, (start, between)), "a sweep"


def test_nothing_is_planned_without_a_frame_that_the_object_is_on() -> None:
    absent = (Anchor(4, 0, present=False), Anchor(9, 0, present=False))
    assert gaps(()) == gaps(absent) == ()
    for reverse in (False, True):
        assert sweep((), 6, reverse=reverse) == sweep(absent, 6, reverse=reverse) == ()


# --------------------------------------------------------------------- one way


@given(anchor_sets(), frames)
def test_a_sweep_computes_what_lies_ahead_and_can_be_reached(anchors: tuple[Anchor, ...], start: int) -> None:
    frames_of = computed(sweep(anchors, start, reverse=False))
    assert len(frames_of) == len(set(frames_of))
    assert set(frames_of) <= {frame for frame in reachable(anchors) if frame >= start}


@given(anchor_sets(), frames)
def test_a_sweep_goes_on_from_every_frame_that_the_object_is_on(
    anchors: tuple[Anchor, ...], start: int
) -> None:
    expected = []
    for frame in range(start, LENGTH):
        before = neighbours(anchors, frame)[0]
        if frame not in {a.frame for a in anchors} and before is not None and before.present:
            expected.append(frame)
    assert set(expected) <= set(computed(sweep(anchors, start, reverse=False)))


@given(anchor_sets(), frames)
def test_a_sweep_attends_to_all_frames_that_the_object_is_on(anchors: tuple[Anchor, ...], start: int) -> None:
    for planned in sweep(anchors, start, reverse=False):
        assert planned.anchors == tuple(anchor for anchor in anchors if anchor.present)


@given(anchor_sets(), frames, st.none() | windows())
def test_a_backward_sweep_mirrors_the_forward_one(
    anchors: tuple[Anchor, ...], start: int, limits: range | None
) -> None:
    last = LENGTH - 1
    mirrored = tuple(sorted(replace(anchor, frame=last - anchor.frame) for anchor in anchors))
    window = None if limits is None else range(last - limits[-1], last - limits[0] + 1)
    forward = sweep(mirrored, last - start, reverse=False, limits=window)
    backward = sweep(anchors, start, reverse=True, limits=limits)
    assert [p.frames for p in backward] == [tuple(last - f for f in p.frames) for p in forward]
    assert all(planned.reverse for planned in backward)
    present = tuple(anchor for anchor in anchors if anchor.present)
    assert all(planned.anchors == present for planned in backward)


@example((Anchor(8, 0),), 3, range(4, LENGTH), False)
@example((Anchor(8, 0),), 12, range(12), True)
@given(anchor_sets(), frames, windows(), st.booleans())
def test_a_sweep_computes_no_frame_beyond_its_limits_or_a_life(
    anchors: tuple[Anchor, ...], start: int, window: range, reverse: bool
) -> None:
    within = sweep(anchors, start, reverse=reverse, limits=window)
    cut = tuple(limited(planned, window) for planned in sweep(anchors, start, reverse=reverse))
    for passes in (within, cut):
        assert set(computed(passes)) <= set(window)
    whole = set(computed(sweep(anchors, start, reverse=reverse)))
    assert set(computed(within)) == set(computed(cut)) == whole & set(window)


def test_a_sweep_begins_at_the_earliest_prompt_of_all_objects() -> None:
    (planned,) = sweep((Anchor(8, 0),), 3, reverse=False)
    assert planned.frames == (3, 4, 5, 6, 7, *range(9, LENGTH))


def test_a_sweep_stops_where_the_object_leaves_and_goes_on_where_it_is_back() -> None:
    anchors = (Anchor(2, 0), Anchor(6, 0, present=False), Anchor(12, 0), Anchor(20, 0, present=False))
    assert computed(sweep(anchors, 2, reverse=False)) == [3, 4, 5, *range(13, 20)]


def test_a_sweep_does_not_begin_before_the_object_comes() -> None:
    """Between the start and a frame without the object there is nothing to track it from."""
    anchors = (Anchor(6, 0, present=False), Anchor(12, 0))
    assert computed(sweep(anchors, 2, reverse=False)) == list(range(13, LENGTH))
