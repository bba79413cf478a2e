"""Labels entries as flat arrays and back, bit for bit."""

from __future__ import annotations

from typing import get_args

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2._session.entry_table import JoinedParts, StoredEntry, pack_entries, unpack_entries
from napari_sam2.labels import Entry, PackedMask, PlacedLogits, Provenance
from napari_sam2.passes import Anchor, PassKey, Seed
from napari_sam2.prompts import MAX_OBJECT_ID, PromptKey

FRAME = (7, 9)
GRID = (8, 8)
ORIGINS = (
    PassKey(3, reverse=False, anchors=(Anchor(3, 1),)),
    PassKey(3, reverse=True, anchors=(Anchor(3, 1), Anchor(9, 2)), seed=Seed(3, 8)),
)
PROVENANCES: tuple[Provenance, ...] = get_args(Provenance)

numbers = st.floats(-100, 100, width=32)
shares = st.floats(0, 1)


@st.composite
def crops(draw: st.DrawFn) -> PlacedLogits:
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 8)))
    logits = draw(hnp.arrays(np.float32, shape, elements=numbers))
    offset = draw(st.tuples(st.integers(0, 8 - shape[0]), st.integers(0, 8 - shape[1])))
    window = (draw(st.floats(-5, 0)), 0.0, draw(st.floats(1, 9)), 9.0)
    return PlacedLogits(logits, window, FRAME, offset, GRID)


painted_masks = hnp.arrays(np.bool_, FRAME).map(PackedMask.pack)
entries = st.builds(
    Entry,
    logits=st.none() | crops(),
    painted=st.none() | painted_masks,
    locked=st.booleans(),
    provenance=st.sampled_from(PROVENANCES),
    score=shares,
    presence=shares,
    origin=st.none() | st.sampled_from(ORIGINS),
)
stored = st.builds(
    StoredEntry, st.builds(PromptKey, st.integers(1, MAX_OBJECT_ID), st.integers(0, 10**6)), entries
)


def assert_same_logits(old: PlacedLogits | None, new: PlacedLogits | None) -> None:
    if old is None or new is None:
        assert old is new
        return
    np.testing.assert_array_equal(old.logits, new.logits)
    assert (old.window, old.frame_shape, old.offset) == (new.window, new.frame_shape, new.offset)
    assert old.grid == new.grid


def assert_same_mask(old: PackedMask | None, new: PackedMask | None) -> None:
    if old is None or new is None:
        assert old is new
        return
    np.testing.assert_array_equal(old.unpack(), new.unpack())
    assert old.box == new.box


def round_trip(rows: list[StoredEntry]) -> list[StoredEntry]:
    return list(unpack_entries(pack_entries(rows, ORIGINS), ORIGINS, FRAME))


@settings(max_examples=60)
@given(st.lists(stored, max_size=5))
def test_entries_come_back_as_they_were(rows: list[StoredEntry]) -> None:
    back = round_trip(rows)
    assert [row.key for row in back] == [row.key for row in rows]
    for old, new in zip((row.entry for row in rows), (row.entry for row in back), strict=True):
        assert (old.locked, old.provenance, old.origin) == (new.locked, new.provenance, new.origin)
        assert (old.score, old.presence) == (new.score, new.presence)
        assert_same_logits(old.logits, new.logits)
        assert_same_mask(old.painted, new.painted)


def test_no_entries_are_no_entries() -> None:
    assert round_trip([]) == []


def test_painting_nothing_is_told_from_not_painting() -> None:
    empty = Entry(painted=PackedMask.pack(np.zeros(FRAME, bool)), provenance="painted")
    first, second = round_trip([StoredEntry(PromptKey(1, 0), empty), StoredEntry(PromptKey(1, 1), Entry())])
    assert first.entry.painted is not None
    assert not first.entry.painted.unpack().any()
    assert second.entry.painted is None


def test_an_origin_that_is_no_pass_is_left_out() -> None:
    """It stands for something of this session alone, such as what was tracked before a correction."""
    (back,) = round_trip([StoredEntry(PromptKey(1, 0), Entry(origin="elsewhere"))])
    assert back.entry.origin is None


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(-3, 22), st.integers(-3, 22))
def test_joined_parts_are_read_like_one_array(lengths: list[int], start: int, stop: int) -> None:
    parts = tuple(np.arange(3 * length).reshape(length, 3) + 100 * i for i, length in enumerate(lengths))
    joined, whole = JoinedParts(parts), np.concatenate(parts)
    assert (joined.shape, joined.dtype) == (whole.shape, whole.dtype)
    np.testing.assert_array_equal(joined[start:stop], whole[start:stop])
    np.testing.assert_array_equal(joined[:], whole)
