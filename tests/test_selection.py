"""Which tracked frames are worth remembering: the rules, what a frame then looks at, and the bank's bound."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_sam2._tracking.memory_bank import MemoryBank
from napari_sam2.memory import MemoryRules, MemorySelection, SpatialMemory, select_memories
from napari_sam2.selection import Merit, SelectionRules, Worth, last_anchors, last_worthy

COUNT = 41
frames = st.integers(0, COUNT - 1)
few_frames = st.frozensets(frames, min_size=1, max_size=4)
merits = st.one_of(
    st.builds(Merit, st.booleans(), st.booleans()),
    st.booleans().map(lambda blink: Merit().unseen(blink=blink)),
)
all_merits = st.lists(merits, min_size=COUNT, max_size=COUNT)

GOOD = Worth(iou=0.9, presence=0.95, motion=0.8)
CHOOSY = SelectionRules(quality=True)
ANCHORED = SelectionRules(anchors=2)
POOR, ANCHOR = Merit(worthy=False), Merit(anchor=True)


@st.composite
def selection_rules(draw: st.DrawFn) -> SelectionRules:
    return SelectionRules(
        quality=draw(st.booleans()),
        motion=draw(st.sampled_from([0.0, 0.2])),
        anchors=draw(st.integers(0, 4)),
        blinks=draw(st.booleans()),
        reach=draw(st.integers(1, 20)),
    )


@st.composite
def memory_rules(draw: st.DrawFn) -> MemoryRules:
    return MemoryRules(
        frames=draw(st.integers(0, 7)),
        stride=draw(st.integers(1, 3)),
        max_conditioning=draw(st.sampled_from([-1, 2])),
        selection=draw(selection_rules()),
    )


# ---------------------------------------------------------------------- rules


def test_plain_rules_find_everything_worthy_and_no_anchors() -> None:
    rules = SelectionRules()
    assert rules.is_plain
    assert not rules.is_choosy
    assert rules.judge(Worth(0, 0, 0, 0)) == Merit()


@pytest.mark.parametrize(
    ("rules", "worth", "worthy"),
    [
        (CHOOSY, GOOD, True),
        (CHOOSY, replace(GOOD, iou=0.4), False),
        (CHOOSY, replace(GOOD, presence=0.4), False),
        (CHOOSY, replace(GOOD, motion=0.0), True),
        (SelectionRules(motion=0.2), replace(GOOD, motion=0.0), False),
        (SelectionRules(motion=0.2), replace(GOOD, motion=None), True),
        (SelectionRules(motion=0.2), replace(GOOD, iou=0.1, presence=0.1), True),
        (ANCHORED, replace(GOOD, iou=0.1, presence=0.1, motion=0.0), True),
    ],
)
def test_a_frame_is_worthy_by_the_rules_that_are_on(
    rules: SelectionRules, worth: Worth, worthy: bool
) -> None:
    assert rules.judge(worth).worthy is worthy


@pytest.mark.parametrize(
    ("worth", "anchors", "expected"),
    [
        (replace(GOOD, alone=0.5), [], True),
        (replace(GOOD, alone=0.9), [], False),
        (replace(GOOD, alone=0.5, iou=0.7), [], False),
        (replace(GOOD, alone=0.5, presence=0.3), [], False),
        (replace(GOOD, alone=0.5), [12, 4], False),
        (replace(GOOD, alone=0.5), [12, 5], True),
    ],
)
def test_anchors_are_good_frames_on_which_alternatives_disagree(
    worth: Worth, anchors: list[int], expected: bool
) -> None:
    assert ANCHORED.judge(worth, anchors).anchor is expected
    assert not CHOOSY.judge(worth, anchors).anchor


def test_an_anchor_lies_where_it_was_expected() -> None:
    rules = SelectionRules(motion=0.2, anchors=2)
    assert rules.judge(replace(GOOD, alone=0.5)).anchor
    assert rules.judge(replace(GOOD, alone=0.5, motion=0.0)) == POOR


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"anchors": -1}, "anchors is -1"),
        ({"motion": 1.5}, "motion is 1.5"),
        ({"least_iou": -0.1}, "least_iou is -0.1"),
        ({"spacing": 0}, "spacing and reach"),
        ({"reach": 0}, "spacing and reach"),
    ],
)
def test_rules_out_of_range(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelectionRules(**values)  # type: ignore[arg-type]


def test_rules_are_read_from_words() -> None:
    assert SelectionRules.parse("plain") == SelectionRules()
    everything = SelectionRules.parse("quality, motion,anchors,blinks")
    assert everything.blinks
    assert everything.quality
    assert everything.motion > 0
    assert everything.anchors > 0
    alone = SelectionRules.parse("motion")
    assert (alone.quality, alone.anchors, alone.motion > 0) == (False, 0, True)


@pytest.mark.parametrize("text", ["", "speed", "quality,", "plain,motion", "quality motion"])
def test_other_words_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no rule of memory: give plain, or some of quality,motion,anchors"):
        SelectionRules.parse(text)


# ------------------------------------------------------------------ selection


def select(
    frame: int, rules: MemoryRules, known: dict[int, Merit], *, given: tuple[int, ...] = (0,)
) -> MemorySelection:
    return select_memories(
        frame,
        conditioning=given,
        tracked=known.keys(),
        pointers=known.keys(),
        num_frames=COUNT,
        rules=rules,
        merits=known,
    )


def rows_of(found: MemorySelection) -> list[tuple[int, int]]:
    return [(memory.frame, memory.row) for memory in found.spatial if not memory.conditioning]


def test_the_last_worthy_frames_take_the_place_of_those_that_are_not() -> None:
    known = {t: Merit(worthy=t not in {13, 15, 17, 18}) for t in range(1, 19)}
    found = rows_of(select(19, MemoryRules(frames=5, selection=CHOOSY), known))
    # the frame just before is looked at whatever it is worth
    assert found == [(12, 3), (14, 2), (16, 1), (18, 0)]


def test_worthy_frames_are_looked_for_within_the_reach() -> None:
    known = {t: Merit(worthy=t < 6) for t in range(1, 19)}
    near = MemoryRules(frames=5, selection=replace(CHOOSY, reach=14))
    assert rows_of(select(19, near, known)) == [(5, 1), (18, 0)]
    assert near.reach(COUNT) == 15  # that of pointers
    assert MemoryRules(selection=replace(CHOOSY, reach=30)).reach(COUNT) == 30


def test_anchors_are_looked_at_as_conditioning_frames_are_and_take_the_oldest_slots() -> None:
    known = {t: Merit(anchor=t in {2, 5, 9}) for t in range(1, 19)}
    found = select(19, MemoryRules(frames=7, selection=ANCHORED), known)
    assert found.spatial[:3] == (
        SpatialMemory(0, 6, conditioning=True),
        SpatialMemory(5, 6, conditioning=False),
        SpatialMemory(9, 6, conditioning=False),
    )
    assert rows_of(found)[2:] == [(15, 3), (16, 2), (17, 1), (18, 0)]


def test_the_frame_just_before_is_no_anchor_yet_and_always_there() -> None:
    known = {17: ANCHOR, 18: ANCHOR}
    found = rows_of(select(19, MemoryRules(frames=3, selection=SelectionRules(anchors=9)), known))
    assert found == [(17, 6), (18, 0)]


@pytest.mark.parametrize("rules", [SelectionRules(blinks=True), replace(CHOOSY, blinks=True), ANCHORED])
def test_a_blink_is_looked_at_by_no_frame(rules: SelectionRules) -> None:
    blink = Merit().unseen(blink=True)
    known = {t: blink if t in {10, 17, 18} else Merit() for t in range(1, 19)}
    found = select(19, MemoryRules(frames=7, selection=rules), known)
    looked_at = {memory.frame for memory in found.spatial} | {memory.frame for memory in found.pointers}
    assert looked_at.isdisjoint({10, 17, 18})
    assert {0, 9, 16} <= looked_at


def test_a_frame_without_the_object_is_looked_at_unless_it_is_a_blink() -> None:
    unseen, blink = (ANCHOR.unseen(blink=each) for each in (False, True))
    assert (unseen.worthy, unseen.anchor, unseen.seen, unseen.blink) == (True, False, False, False)
    assert (blink.worthy, blink.anchor, blink.seen, blink.blink) == (False, False, False, True)
    assert [f for f, _ in rows_of(select(3, MemoryRules(), {1: unseen, 2: blink}))] == [1]


@pytest.mark.parametrize("reverse", [False, True])
def test_anchors_and_worthy_frames_lie_behind(reverse: bool) -> None:
    assert last_anchors(10, [2, 6, 9, 11, 14, 20], 2, reverse=reverse) == ((14, 20) if reverse else (2, 6))
    found = last_worthy(10, {4, 8, 9, 12, 15}, {11}, 3, 5, reverse=reverse)
    assert found == ({2: 12, 3: 15} if reverse else {1: 9, 2: 8})


@given(frames, few_frames, memory_rules(), st.booleans())
def test_where_all_frames_are_worthy_they_are_the_last_ones(
    frame: int, given_frames: frozenset[int], rules: MemoryRules, reverse: bool
) -> None:
    choosy = replace(rules, stride=1, selection=replace(CHOOSY, reach=COUNT))
    plain = replace(choosy, selection=SelectionRules())
    found = [
        select_memories(
            frame,
            conditioning=given_frames,
            tracked=range(COUNT),
            pointers=range(COUNT),
            num_frames=COUNT,
            rules=each,
            reverse=reverse,
        )
        for each in (choosy, plain)
    ]
    assert found[0] == found[1]


# ----------------------------------------------------------------------- bank


def make_bank(rules: MemoryRules, conditioning: frozenset[int]) -> MemoryBank[str, int]:
    bank: MemoryBank[str, int] = MemoryBank(rules, COUNT)
    for frame in conditioning:
        bank.add_conditioning(frame, f"features {frame}", frame)
    return bank


@settings(max_examples=300)
@given(few_frames, frames, frames, memory_rules(), all_merits, st.booleans())
def test_trimming_changes_no_selection(
    conditioning: frozenset[int],
    start: int,
    skipped: int,
    rules: MemoryRules,
    merit: list[Merit],
    reverse: bool,
) -> None:
    full = make_bank(rules, conditioning)
    lean = full.copy()
    for t in range(start, -1, -1) if reverse else range(start, COUNT):
        assert lean.select(t, reverse) == full.select(t, reverse)
        if t not in conditioning and t != skipped:
            full.add_tracked(t, f"new {t}", t, merit[t])
            lean.add_tracked(t, f"new {t}", t, merit[t])
        before = full.select(t, reverse)
        lean.trim(t + 1 if reverse else t - 1, reverse)  # as tracks do: a correction of t may come
        assert lean.select(t, reverse) == before


@settings(max_examples=300)
@given(few_frames, memory_rules(), all_merits, st.booleans())
def test_trimming_keeps_what_passes_back_look_at(
    conditioning: frozenset[int], rules: MemoryRules, merit: list[Merit], reverse: bool
) -> None:
    start = max(conditioning) if reverse else min(conditioning)
    full = make_bank(rules, conditioning)
    lean = full.copy()
    ahead, back = range(start + 1, COUNT), range(start - 1, -1, -1)
    for t in back if reverse else ahead:
        if t not in conditioning:
            full.add_tracked(t, f"new {t}", t, merit[t])
            lean.add_tracked(t, f"new {t}", t, merit[t])
        lean.trim(t, reverse, returns=[start])
    for t in ahead if reverse else back:
        assert lean.select(t, not reverse) == full.select(t, not reverse)
        full.add_tracked(t, f"back {t}", t, merit[-t])
        lean.add_tracked(t, f"back {t}", t, merit[-t])
        lean.trim(t, not reverse)


@given(memory_rules(), all_merits, st.booleans())
def test_the_bank_stays_small(rules: MemoryRules, merit: list[Merit], reverse: bool) -> None:
    start = COUNT - 1 if reverse else 0
    bank = make_bank(rules, frozenset({start}))
    bound = rules.frames + rules.anchors + rules.selection.reach + 3 * rules.stride
    for t in reversed(range(COUNT - 1)) if reverse else range(1, COUNT):
        looked_at = bank.select(t, reverse).spatial
        assert len(looked_at) <= max(rules.frames, 0)
        bank.add_tracked(t, f"new {t}", t, merit[t])
        bank.trim(t, reverse)
        assert len(bank.tracked) <= bound
        assert set(bank.anchors) <= set(bank.tracked)


def test_a_long_pass_keeps_its_last_anchors_only() -> None:
    rules = MemoryRules(selection=SelectionRules(anchors=2))
    bank: MemoryBank[int, int] = MemoryBank(rules, 1000)
    bank.add_conditioning(0, 0, 0)
    for t in range(1, 1000):
        bank.add_tracked(t, t, t, ANCHOR if t in {10, 100, 200} else Merit())
        bank.trim(t)
    assert [m.frame for m in bank.select(999).spatial] == [0, 100, 200, 995, 996, 997, 998]
    assert len(bank.tracked) <= 9


def test_what_was_decided_on_a_frame_goes_with_it() -> None:
    bank = make_bank(MemoryRules(selection=ANCHORED), frozenset({0}))
    bank.add_tracked(3, "three", 3, ANCHOR)
    other = bank.copy()
    bank.add_tracked(3, "again", 3)
    assert (bank.merit(3), other.merit(3)) == (Merit(), ANCHOR)
    other.discard(3)
    other.add_tracked(3, "afresh", 3)
    assert other.anchors == ()
    bank.add_tracked(5, "five", 5, POOR)
    bank.discard(5)
    bank.add_conditioning(5, "prompted", 5)
    assert bank.merit(5).worthy
