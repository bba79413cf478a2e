"""The table of records against plain dictionaries, and what a record takes."""

from __future__ import annotations

import tracemalloc
from typing import TypeAlias, get_args

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2._labels.composition import listed
from napari_sam2._labels.entries import Entry, FrameRecords, Provenance, Record, RecordTable
from napari_sam2._labels.packed_mask import PackedMask
from napari_sam2._labels.spill import Kept, SpillStore
from napari_sam2.placement import Box
from napari_sam2.prompts import MAX_OBJECT_ID

SIDE = 12
STORE = SpillStore(2**20)
PROVENANCES: tuple[Provenance, ...] = get_args(Provenance)
Known: TypeAlias = dict[int, dict[int, Record]]

corners = st.tuples(st.integers(0, SIDE - 1), st.integers(0, SIDE - 1))
boxes = st.builds(lambda a, b: Box(a[0], a[1], a[0] + 1 + b[0], a[1] + 1 + b[1]), corners, corners)
masks = hnp.arrays(np.bool_, (3, 3)).map(PackedMask.pack)
shares = st.floats(0, 1)
entries = st.builds(
    Entry,
    painted=st.none() | masks,
    locked=st.booleans(),
    provenance=st.sampled_from(PROVENANCES),
    score=shares,
    presence=shares,
    origin=st.none() | st.sampled_from(["a pass", ("a", "tuple"), 3]),
)
records = st.builds(
    Record,
    entry=entries,
    kept=st.none() | st.builds(STORE.keep, st.just(np.zeros(1, np.uint8))),
    own=st.none() | masks,
    box=st.none() | boxes,
)
objects = st.sampled_from([1, 2, 7, 300, MAX_OBJECT_ID])
changes = st.lists(st.tuples(objects, st.integers(0, 2), st.none() | records), max_size=20)


def values(record: Record | None) -> tuple[object, ...] | None:
    if record is None:
        return None
    entry = record.entry
    told = (entry.locked, entry.provenance, entry.score, entry.presence, entry.origin)
    return id(record.kept), record.box, id(record.own), id(entry.painted), *told


def on_frame(known: dict[int, Record]) -> list[tuple[int, tuple[object, ...] | None]]:
    return [(obj, values(record)) for obj, record in sorted(known.items())]


@given(changes)
def test_a_table_knows_what_dictionaries_know(steps: list[tuple[int, int, Record | None]]) -> None:
    table, known = RecordTable(), Known()
    for obj, frame, record in steps:
        here = known.setdefault(frame, {})
        assert values(table.exchange(obj, frame, record)) == values(here.pop(obj, None))
        if record is not None:
            here[obj] = record
        assert values(table.get(obj, frame)) == values(record)
    assert table.frames == tuple(frame for frame in sorted(known) if known[frame])
    for frame, here in known.items():
        assert table.objects(frame) == tuple(sorted(here))
        assert [(obj, values(record)) for obj, record in table.on(frame)] == on_frame(here)
    for obj in (1, 300):
        assert table.frames_of(obj) == tuple(f for f in sorted(known) if obj in known[f])
        also = (obj, obj + 1)
        assert table.frames_of(*also) == tuple(f for f in sorted(known) if {*also} & known[f].keys())


def told_of(known: dict[int, Record | None]) -> FrameRecords:
    table = RecordTable()
    for obj, record in known.items():
        table.exchange(obj, 0, record)
    return table.of(0, known)


@given(st.dictionaries(objects, records), st.dictionaries(objects, st.none() | records))
def test_many_are_exchanged_as_each_would_be(
    before: dict[int, Record], after: dict[int, Record | None]
) -> None:
    together, one_by_one = RecordTable(), RecordTable()
    for obj, record in before.items():
        together.exchange(obj, 0, record)
        one_by_one.exchange(obj, 0, record)
    told = told_of(after)
    same = together.of(0, after)
    old = together.exchange_all(0, told)
    for obj, new in after.items():
        assert values(one_by_one.exchange(obj, 0, new)) == values(old.records.get(obj))
    assert [*map(values, same.records.values())] == [*map(values, old.records.values())]
    assert told.known == sorted(obj for obj, record in after.items() if record)
    assert told.masked == sorted(obj for obj, record in after.items() if record and record.box)
    assert sorted(listed([told.boxes])) == sorted(each.box for each in after.values() if each and each.box)
    assert on_frame(dict(together.on(0))) == on_frame(dict(one_by_one.on(0)))
    together.exchange_all(0, old)  # takes it back
    assert on_frame(dict(together.on(0))) == on_frame(before)
    assert together.frames == ((0,) if before else ())


def all_told(known: FrameRecords) -> tuple[object, ...]:
    return known.objects.tolist(), on_frame(known.records), known.known


@given(st.dictionaries(objects, st.none() | records), st.sets(objects))
def test_what_is_told_can_be_made_taken_apart_and_joined(
    known: dict[int, Record | None], some: set[int]
) -> None:
    whole, here = told_of(known), {obj: record for obj, record in known.items() if record}
    assert all_told(FrameRecords.of(known, here)) == all_told(whole)
    chosen = [obj for obj in known if obj in some]
    one, other = whole.part(chosen), whole.part([obj for obj in known if obj not in some])
    assert all_told(one) == all_told(told_of({obj: known[obj] for obj in chosen}))
    assert all_told(FrameRecords.joined([other, one])) == all_told(whole)
    assert all_told(whole.about(*chosen)) == all_told(whole.part({*here, *chosen}))


@given(st.dictionaries(objects, records, min_size=2), records)
def test_what_was_taken_out_stays_as_it_was(before: dict[int, Record], later: Record) -> None:
    table = RecordTable()
    for obj, record in before.items():
        table.exchange(obj, 0, record)
    first, *_ = sorted(before)
    old = table.exchange_all(0, FrameRecords.of(before, {first: later}))
    new = table.exchange_all(0, old)
    table.exchange(first, 0, later)
    assert on_frame(old.records) == on_frame(before)
    table.exchange_all(0, new)
    table.exchange(first, 0, before[first])
    assert on_frame(new.records) == on_frame({first: later})


@given(st.lists(records, max_size=6), boxes)
def test_a_box_picks_the_records_whose_masks_may_meet_it(several: list[Record], box: Box) -> None:
    table = RecordTable()
    for obj, record in enumerate(several, start=1):
        table.exchange(obj, 0, record)
    met = [i for i, each in enumerate(several, start=1) if each.box and each.box.intersection(box)]
    assert [obj for obj, _ in table.on(0, box)] == met


def test_a_record_takes_little_and_nothing_once_it_is_gone() -> None:
    frames, many = 200, 16
    origin, table, store = object(), RecordTable(), SpillStore(2**20)
    tracemalloc.start()
    for frame in range(frames):
        for obj in range(1, many + 1):
            entry = Entry(score=obj / 17, presence=frame / 201, origin=origin)
            kept = Kept(store, 10**6 + frame)
            table.exchange(obj, frame, Record(entry, kept, None, Box(1000, 1000, 1001 + frame, 1001 + obj)))
    size, _ = tracemalloc.get_traced_memory()
    assert size / (frames * many) < 170  # with what tells where its logits are
    for frame in range(frames):
        for obj in range(1, many + 1):
            table.exchange(obj, frame, None)
    assert len(store) == 0  # nothing waits to be dropped there any more
    assert tracemalloc.get_traced_memory()[0] < size / 5
    tracemalloc.stop()
