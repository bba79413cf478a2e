"""What is said of objects as a whole, as plain values."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2.lineage import Life, ObjectFacts, ancestors

ends = st.one_of(st.none(), st.integers(0, 12))


@st.composite
def lives(draw: st.DrawFn) -> Life:
    first, last = draw(ends), draw(ends)
    return Life(first, last) if first is None or last is None or first <= last else Life(last, first)


frames = st.builds(range, st.integers(0, 6), st.integers(6, 13))


@given(lives(), frames)
def test_a_life_within_frames_is_what_it_contains(life: Life, within: range) -> None:
    assert list(life.within(within)) == [frame for frame in within if frame in life]


@given(lives(), lives(), st.integers(0, 12))
def test_a_joined_life_holds_both(one: Life, two: Life, frame: int) -> None:
    joined = one.joined(two)
    assert joined == two.joined(one)
    assert frame in joined or (frame not in one and frame not in two)


def test_a_joined_life_reaches_no_further_than_both() -> None:
    assert Life(3, 5).joined(Life(4, 9)) == Life(3, 9)
    assert Life(None, 5).joined(Life(6, None)) == Life()


def test_nothing_ends_before_it_begins() -> None:
    with pytest.raises(ValueError, match="would begin on frame 5 and end on frame 4: change its other end"):
        Life(5, 4)
    assert list(Life(5, 5).within(range(9))) == [5]


facts = st.builds(
    ObjectFacts, st.text(max_size=5), lives(), st.one_of(st.none(), st.integers(1, 99)), st.booleans()
)


@given(facts)
def test_facts_come_back_from_json(said: ObjectFacts) -> None:
    assert ObjectFacts.from_json(json.loads(json.dumps(said.to_json()))) == said
    assert said.is_blank == (said.to_json() == {})


def test_ancestors_are_listed_upward_and_a_circle_ends() -> None:
    assert list(ancestors({5: 3, 4: 3, 3: 1}, 5)) == [3, 1]
    assert list(ancestors({}, 5)) == []
    assert list(ancestors({1: 2, 2: 1}, 1)) == [2]
