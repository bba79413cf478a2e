"""Memories: the selection against a literal reading of the rules, and trimming that changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2.memory import MemoryRules, MemorySelection, PointerMemory, SpatialMemory, select_memories

frames = st.integers(0, 40)
frame_sets = st.frozensets(frames, max_size=25)
near = st.integers(0, 14)  # few frames, so that sets meet one another and the limits
near_sets = st.frozensets(near, max_size=12)


@st.composite
def memory_rules(draw: st.DrawFn) -> MemoryRules:
    slots = draw(st.integers(0, 7))
    return MemoryRules(
        frames=slots,
        stride=draw(st.integers(1, 5)),
        max_conditioning=draw(st.sampled_from([-1, 2, 3, 4])),
        max_pointers=draw(st.integers(1, 17)),
        past_pointers_only=draw(st.booleans()),
        use_pointers=draw(st.booleans()),
        rows=draw(st.integers(slots, 8)),
    )


def brute_force_conditioning(frame: int, conditioning: frozenset[int], limit: int) -> list[int]:
    if limit == -1 or len(conditioning) <= limit:
        return sorted(conditioning)
    chosen: list[int] = []
    for side in ([t for t in conditioning if t < frame], [t for t in conditioning if t >= frame]):
        chosen += sorted(side, key=lambda t: abs(t - frame))[:1]
    for distance in range(50):
        for t in (frame - distance, frame + distance):
            if t in conditioning and t not in chosen and len(chosen) < limit:
                chosen.append(t)
    return sorted(chosen)


def brute_force_spatial(frame: int, t_rel: int, stride: int, reverse: bool) -> int:
    if t_rel == 1:
        return frame + 1 if reverse else frame - 1
    if reverse:
        return -(-(frame + 2) // stride) * stride + (t_rel - 2) * stride
    return ((frame - 2) // stride) * stride - (t_rel - 2) * stride


def brute_force(
    frame: int,
    conditioning: frozenset[int],
    tracked: frozenset[int],
    pointers: frozenset[int],
    num_frames: int,
    rules: MemoryRules,
    reverse: bool,
) -> MemorySelection:
    """The rules word by word: slots by t_pos, separate formulas for both directions."""
    if rules.frames == 0:
        return MemorySelection()
    chosen = brute_force_conditioning(frame, conditioning, rules.max_conditioning)
    left_out = set(conditioning) - set(chosen)
    spatial = [SpatialMemory(t, rules.rows - 1, conditioning=True) for t in chosen]
    for t_rel in [rules.frames - t_pos for t_pos in range(1, rules.frames)]:
        t = brute_force_spatial(frame, t_rel, rules.stride, reverse)
        if (t in tracked and t not in conditioning) or t in left_out:
            spatial.append(SpatialMemory(t, t_rel - 1, conditioning=False))
    if not rules.use_pointers:
        return MemorySelection(tuple(spatial))
    found = [
        PointerMemory(t, (frame - t) * (-1 if reverse else 1), conditioning=True)
        for t in chosen
        if not rules.past_pointers_only or (t >= frame if reverse else t <= frame)
    ]
    for t_diff in range(1, min(num_frames, rules.max_pointers)):
        t = frame + t_diff if reverse else frame - t_diff
        if 0 <= t < num_frames and ((t in pointers and t not in conditioning) or t in left_out):
            found.append(PointerMemory(t, t_diff, conditioning=False))
    return MemorySelection(tuple(spatial), tuple(found))


@settings(max_examples=300)
@given(near, near_sets, near_sets, near_sets, memory_rules(), st.booleans())
def test_selection_follows_the_rules(
    frame: int,
    conditioning: frozenset[int],
    tracked: frozenset[int],
    pointers: frozenset[int],
    rules: MemoryRules,
    reverse: bool,
) -> None:
    num_frames = 15
    found = select_memories(
        frame,
        conditioning=conditioning,
        tracked=tracked,
        pointers=pointers,
        num_frames=num_frames,
        rules=rules,
        reverse=reverse,
    )
    assert found == brute_force(frame, conditioning, tracked, pointers, num_frames, rules, reverse)


@given(frames, frame_sets, frame_sets, memory_rules())
def test_both_directions_mirror_each_other(
    frame: int, conditioning: frozenset[int], tracked: frozenset[int], rules: MemoryRules
) -> None:
    # frame t becomes 40 - t: the stride's grid would not fall on itself, and ties would go the other way
    rules = replace(rules, stride=1, max_conditioning=-1)

    def select(flip: bool) -> MemorySelection:
        def place(values: frozenset[int]) -> frozenset[int]:
            return frozenset(40 - t if flip else t for t in values)

        found = select_memories(
            40 - frame if flip else frame,
            conditioning=place(conditioning),
            tracked=place(tracked),
            pointers=place(tracked),
            num_frames=41,
            rules=rules,
            reverse=flip,
        )
        return MemorySelection(
            tuple(replace(m, frame=40 - m.frame) if flip else m for m in found.spatial),
            tuple(replace(m, frame=40 - m.frame) if flip else m for m in found.pointers),
        )

    forward, backward = select(flip=False), select(flip=True)
    assert set(forward.spatial) == set(backward.spatial)
    assert set(forward.pointers) == set(backward.pointers)


def test_a_full_bank_forward() -> None:
    found = select_memories(
        20,
        conditioning={3},
        tracked=range(4, 20),
        pointers=range(4, 20),
        num_frames=30,
        rules=MemoryRules(),
    )
    assert [m.frame for m in found.spatial] == [3, 14, 15, 16, 17, 18, 19]
    assert [m.row for m in found.spatial] == [6, 5, 4, 3, 2, 1, 0]
    assert [m.conditioning for m in found.spatial] == [True] + [False] * 6
    assert [m.frame for m in found.pointers] == [3, *range(19, 4, -1)]
    assert [m.distance for m in found.pointers] == [17, *range(1, 16)]


def test_few_memory_frames_take_the_first_rows_and_the_last() -> None:
    found = select_memories(
        9,
        conditioning={0},
        tracked=range(1, 9),
        pointers=(),
        num_frames=10,
        rules=MemoryRules(frames=3, rows=7),
    )
    assert [(m.frame, m.row) for m in found.spatial] == [(0, 6), (7, 1), (8, 0)]


def test_a_stride_keeps_the_frame_before() -> None:
    found = select_memories(
        21,
        conditioning={0},
        tracked=range(1, 40),
        pointers=(),
        num_frames=40,
        rules=MemoryRules(stride=5),
    )
    assert [m.frame for m in found.spatial[1:-1]] == [5, 10, 15]  # -1 and below do not exist, 0 conditions
    assert found.spatial[-1].frame == 20


def test_pointers_from_the_future_only_if_allowed() -> None:
    def distances(past_only: bool) -> list[int]:
        found = select_memories(
            5,
            conditioning={2, 5, 9},
            tracked=(),
            pointers=(),
            num_frames=10,
            rules=MemoryRules(past_pointers_only=past_only),
        )
        return [m.distance for m in found.pointers]

    assert distances(past_only=True) == [3, 0]
    assert distances(past_only=False) == [3, 0, -4]


def test_left_out_conditioning_frames_serve_as_tracked_ones() -> None:
    found = select_memories(
        10,
        conditioning={7, 8, 9, 12},
        tracked=(),
        pointers=(),
        num_frames=20,
        rules=MemoryRules(max_conditioning=2),
    )
    assert [(m.frame, m.conditioning) for m in found.spatial] == [
        (9, True),
        (12, True),
        (7, False),
        (8, False),
    ]
    assert [(m.frame, m.distance) for m in found.pointers] == [(9, 1), (8, 2), (7, 3)]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_equally_near_conditioning_frames_the_earlier_is_taken(reverse: bool) -> None:
    found = select_memories(
        10,
        conditioning={0, 4, 7, 12, 16, 30},
        tracked=(),
        pointers=(),
        num_frames=40,
        rules=MemoryRules(max_conditioning=3, stride=5),
        reverse=reverse,
    )
    assert [m.frame for m in found.spatial if m.conditioning] == [4, 7, 12]


def test_image_mode_selects_nothing() -> None:
    found = select_memories(
        3, conditioning={2}, tracked={1}, pointers={1}, num_frames=5, rules=MemoryRules(frames=0)
    )
    assert found == MemorySelection()


def test_span_is_that_of_the_whole_sequence_and_never_zero() -> None:
    rules = MemoryRules(max_pointers=16)
    assert [rules.pointer_span(n) for n in (1, 2, 5, 16, 400)] == [1, 1, 4, 15, 15]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"frames": -1}, "frames is -1"),
        ({"stride": 0}, "stride is 0"),
        ({"max_conditioning": 1}, "2 or more, or -1"),
        ({"max_conditioning": 0}, "2 or more, or -1"),
        ({"max_pointers": 0}, "use_pointers=False"),
        ({"rows": 6}, "7 memory frames"),
    ],
)
def test_rules_out_of_range(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryRules(**values)  # type: ignore[arg-type]


def make_bank(
    rules: MemoryRules, conditioning: frozenset[int], tracked: frozenset[int] = frozenset()
) -> MemoryBank[str, int]:
    bank: MemoryBank[str, int] = MemoryBank(rules, num_frames=41)
    for t in tracked - conditioning:
        bank.add_tracked(t, f"features {t}", t)
    for t in conditioning:
        bank.add_conditioning(t, f"features {t}", t)
    return bank


@settings(max_examples=200)
@given(
    st.frozensets(frames, min_size=1, max_size=5),
    frame_sets,
    frame_sets,
    frames,
    memory_rules(),
    st.booleans(),
)
def test_trimming_changes_no_selection(
    conditioning: frozenset[int],
    left_by_others: frozenset[int],
    skipped: frozenset[int],
    start: int,
    rules: MemoryRules,
    reverse: bool,
) -> None:
    full = make_bank(rules, conditioning, left_by_others)
    lean = full.copy()
    for t in range(start, -1, -1) if reverse else range(start, 41):
        assert lean.select(t, reverse) == full.select(t, reverse)
        if t not in conditioning and t not in skipped:
            full.add_tracked(t, f"new {t}", t)
            lean.add_tracked(t, f"new {t}", t)
        lean.trim(t, reverse)
    for memory in lean.select(start, reverse).spatial:
        assert lean.features(memory.frame) == full.features(memory.frame)


@settings(max_examples=200)
@given(st.frozensets(frames, min_size=1, max_size=3), frame_sets, memory_rules(), st.booleans())
def test_trimming_keeps_what_passes_back_look_at(
    conditioning: frozenset[int], skipped: frozenset[int], rules: MemoryRules, reverse: bool
) -> None:
    start = max(conditioning) if reverse else min(conditioning)
    full = make_bank(rules, conditioning)
    lean = full.copy()
    ahead, back = range(start + 1, 41), range(start - 1, -1, -1)
    for t in back if reverse else ahead:
        if t not in conditioning and t not in skipped:
            full.add_tracked(t, f"new {t}", t)
            lean.add_tracked(t, f"new {t}", t)
        lean.trim(t, reverse, returns=[start])
    for t in ahead if reverse else back:
        assert lean.select(t, not reverse) == full.select(t, not reverse)
        full.add_tracked(t, f"back {t}", t)
        lean.add_tracked(t, f"back {t}", t)
        lean.trim(t, not reverse)


@given(memory_rules(), frames, st.booleans())
def test_trimming_drops_all_that_is_out_of_reach(rules: MemoryRules, frame: int, reverse: bool) -> None:
    everything = frozenset(range(41))
    bank = make_bank(rules, frozenset(), everything)
    later = range(frame - 1, -200, -1) if reverse else range(frame + 1, 240)
    seen = [
        select_memories(
            t,
            conditioning=(),
            tracked=everything,
            pointers=everything,
            num_frames=41,
            rules=rules,
            reverse=reverse,
        )
        for t in later
    ]
    bank.trim(frame, reverse)
    assert set(bank.tracked) == {m.frame for selection in seen for m in selection.spatial}
    assert set(bank.tracked_pointers) == {m.frame for selection in seen for m in selection.pointers}


@pytest.mark.parametrize("reverse", [False, True])
def test_size_is_bounded_on_a_long_pass(reverse: bool) -> None:
    bank: MemoryBank[int, int] = MemoryBank(MemoryRules(), num_frames=1000)
    start = 999 if reverse else 0
    bank.add_conditioning(start, start, start)
    for t in range(998, -1, -1) if reverse else range(1, 1000):
        bank.add_tracked(t, t, t)
        bank.trim(t, reverse, returns=[start, 500])
        assert len(bank.tracked) <= 3 * 6 + 1
        assert len(bank.tracked_pointers) <= 3 * 15 + 1


def test_kept_frames_and_conditioning_frames_stay() -> None:
    bank = make_bank(MemoryRules(), frozenset({0}), frozenset(range(1, 40)))
    bank.trim(39, keep={2})
    assert list(bank.conditioning) == [0]
    assert list(bank.tracked) == [2, 34, 35, 36, 37, 38, 39]
    assert list(bank.tracked_pointers) == [2, *range(25, 40)]


def test_adding_replacing_and_discarding() -> None:
    bank = make_bank(MemoryRules(), frozenset({4}), frozenset({5, 6}))
    with pytest.raises(ValueError, match="frame 4 is a conditioning frame"):
        bank.add_tracked(4, "tracked", 0)
    bank.add_conditioning(5, "given", 50)
    assert list(bank.conditioning) == [4, 5]
    assert list(bank.tracked) == [6]
    assert bank.features(5) == "given"
    assert bank.pointer(5) == 50
    bank.discard(5)
    bank.discard(5)
    assert list(bank.conditioning) == [4]
    with pytest.raises(KeyError):
        bank.features(5)
    with pytest.raises(KeyError):
        bank.pointer(5)


def test_a_copy_goes_its_own_way() -> None:
    bank = make_bank(MemoryRules(), frozenset({4}), frozenset({5}))
    other = bank.copy()
    other.discard(4)
    other.add_tracked(6, "six", 6)
    assert list(bank.conditioning) == [4]
    assert list(bank.tracked) == [5]
    assert other.features(5) is bank.features(5)


def test_frames_outside_the_sequence() -> None:
    bank = make_bank(MemoryRules(), frozenset())
    with pytest.raises(ValueError, match="not in a sequence of 41 frames"):
        bank.add_tracked(41, "", 0)
    with pytest.raises(ValueError, match="frame -1"):
        bank.add_conditioning(-1, "", 0)
    with pytest.raises(ValueError, match="at least one frame"):
        MemoryBank(MemoryRules(), num_frames=0)
