from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage as ndi

from napari_sam2 import labels as labels_module
from napari_sam2.labels import Box, CleanUp, Entry, LabelVolume, PackedMask, PlacedLogits
from napari_sam2.placement import BoolArray

SHAPE = (3, 24, 20)


def disc(centre: tuple[float, float], radius: float, height: float = 1.0) -> PlacedLogits:
    """Make logits of a disc on SHAPE's frame: positive inside, `height` at most."""
    y, x = np.indices((12, 10)) * 2 + 0.5
    logits = np.clip(radius - np.hypot(y - centre[0], x - centre[1]), -height, height)
    return PlacedLogits(logits.astype(np.float32), (0, 0, *SHAPE[1:]), SHAPE[1:])


def square(y0: int, x0: int, y1: int, x1: int) -> PackedMask:
    mask = np.zeros(SHAPE[1:], dtype=bool)
    mask[y0:y1, x0:x1] = True
    return PackedMask.pack(mask)


def filled(mask: BoolArray) -> BoolArray:
    return np.asarray(ndi.binary_fill_holes(mask), dtype=np.bool_)


class Write(NamedTuple):
    obj: int
    frame: int
    entry: Entry | None


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Draw large masks of few heights: overlaps and ties are common."""
    centre = draw(st.tuples(st.integers(4, 20), st.integers(4, 16)))
    logits = disc(centre, draw(st.integers(4, 12)), draw(st.sampled_from([0.5, 2.0])))
    kind = draw(st.sampled_from(["logits", "logits", "logits", "painted", "both", "nothing"]))
    y, x = draw(st.integers(0, 12)), draw(st.integers(0, 10))
    painted = square(y, x, y + draw(st.integers(0, 12)), x + draw(st.integers(0, 10)))
    return Entry(
        logits if kind in ("logits", "both") else None,
        painted if kind in ("painted", "both") else None,
        locked=draw(st.integers(0, 2)) == 0,
    )


WRITE = st.builds(Write, st.integers(1, 4), st.integers(0, 1), st.one_of(entries(), entries(), st.none()))
WRITES = st.lists(WRITE, min_size=4, max_size=10)


def truth(kept: dict[tuple[int, int], Entry], clean: CleanUp | None = None) -> np.ndarray[Any, Any]:
    """Decide pixel by pixel, by the rule as it is written."""
    labels = np.zeros(SHAPE, dtype=np.uint16)
    claims: dict[int, list[tuple[int, Entry, BoolArray, Any]]] = {}
    for (obj, frame), entry in kept.items():
        values = np.full(SHAPE[1:], -np.inf) if entry.logits is None else entry.logits.render()
        mask = values > 0 if clean is None else clean(values > 0)
        if entry.painted is not None:
            mask, values = entry.painted.unpack(), np.zeros(SHAPE[1:])
        claims.setdefault(frame, []).append((obj, entry, mask, values))
    for frame, y, x in np.ndindex(*SHAPE):
        rivals = [
            (entry.locked, entry.painted is not None, values[y, x], -obj)
            for obj, entry, mask, values in claims.get(frame, ())
            if mask[y, x]
        ]
        labels[frame, y, x] = -max(rivals)[3] if rivals else 0
    return labels


def last(writes: Sequence[Write]) -> dict[tuple[int, int], Entry]:
    kept = {(write.obj, write.frame): write.entry for write in writes}
    return {key: entry for key, entry in kept.items() if entry is not None}


@settings(max_examples=40)
@given(WRITES, st.sampled_from([None, filled]))
def test_labels_are_what_the_rule_says(writes: list[Write], clean: CleanUp | None) -> None:
    volume = LabelVolume(SHAPE, cleanup=clean, budget=300)
    for write in writes:
        before = volume.array.copy()
        box = volume.replace(*write)
        changed = volume.array != before
        if box is not None:
            changed[(write.frame, *box.slices)] = False
        assert not changed.any(), "only the box that is told may change"
    kept = last(writes)
    np.testing.assert_array_equal(volume.array, truth(kept, clean))
    assert {(o, f) for f in range(SHAPE[0]) for o in volume.objects(f)} == set(kept)
    assert {(o, f) for o in volume.all_objects for f in volume.frames(o)} == set(kept)


@settings(max_examples=60)
@given(WRITES, st.randoms(use_true_random=False))
def test_the_order_of_writing_does_not_matter(writes: list[Write], random: Random) -> None:
    shuffled = [Write(obj, frame, entry) for (obj, frame), entry in last(writes).items()]
    random.shuffle(shuffled)
    one, other = LabelVolume(SHAPE), LabelVolume(SHAPE, budget=0)
    for write in writes:
        one.replace(*write)
    for write in shuffled:
        other.replace(*write)
    np.testing.assert_array_equal(one.array, other.array)


@settings(max_examples=40)
@given(WRITES)
def test_what_is_got_can_be_put_back(writes: list[Write]) -> None:
    volume = LabelVolume(SHAPE)
    for write in writes:
        volume.replace(*write)
    before = volume.array.copy()
    known = {(o, f): volume.get(o, f) for o in volume.all_objects for f in volume.frames(o)}
    for obj in volume.all_objects:
        volume.remove(obj)
    assert not volume.array.any()
    for (obj, frame), entry in known.items():
        volume.replace(obj, frame, entry)
    np.testing.assert_array_equal(volume.array, before)


@given(entries())
def test_the_own_mask_has_the_bits_of_the_result(entry: Entry) -> None:
    volume = LabelVolume(SHAPE)
    volume.replace(3, 1, entry)
    volume.replace(2, 1, Entry(painted=square(0, 0, *SHAPE[1:])))
    expected = np.zeros(SHAPE[1:], dtype=bool)
    if entry.painted is not None:
        expected = entry.painted.unpack()
    elif entry.logits is not None:
        expected = entry.logits.render() > 0
    np.testing.assert_array_equal(volume.mask(3, 1), expected)
    box = volume.box(3, 1)
    assert box is not None or not expected.any()


PIXEL = (0, 10, 8)


@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [
        (Entry(disc((10, 8), 6, height=1)), Entry(disc((10, 8), 6, height=2)), 2),
        (Entry(disc((10, 8), 6, height=2)), Entry(disc((10, 8), 6, height=1)), 1),
        (Entry(disc((10, 8), 6)), Entry(disc((10, 8), 6)), 1),
        (Entry(disc((10, 8), 6, height=2)), Entry(disc((10, 8), 6, height=1), locked=True), 2),
        (Entry(disc((10, 8), 6), locked=True), Entry(disc((10, 8), 6, height=2), locked=True), 2),
        (Entry(disc((10, 8), 6), locked=True), Entry(painted=square(8, 6, 12, 12)), 1),
        (Entry(painted=square(8, 6, 12, 12)), Entry(painted=square(8, 6, 12, 12)), 1),
        (Entry(painted=square(8, 6, 12, 12)), Entry(painted=square(8, 6, 12, 12), locked=True), 2),
        (Entry(painted=square(0, 0, 2, 2)), Entry(disc((10, 8), 6)), 2),
        (Entry(disc((10, 8), 6), painted=square(0, 0, 2, 2)), Entry(disc((10, 8), 6)), 2),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_who_gets_a_pixel(first: Entry, second: Entry, winner: int, backwards: bool) -> None:
    volume = LabelVolume(SHAPE)
    writes = [(1, first), (2, second)]
    for obj, entry in reversed(writes) if backwards else writes:
        volume.replace(obj, 0, entry)
    assert volume.array[PIXEL] == winner


def test_an_object_that_is_removed_gives_its_pixels_back() -> None:
    volume = LabelVolume(SHAPE)
    volume.replace(1, 0, Entry(disc((10, 8), 6, height=1)))
    alone = volume.array.copy()
    volume.replace(2, 0, Entry(disc((10, 12), 6, height=3)))
    assert (volume.array[alone == 1] == 2).any()
    boxes = volume.remove(2)
    assert set(boxes) == {0}
    np.testing.assert_array_equal(volume.array, alone)
    assert volume.all_objects == (1,)


def test_what_else_is_known_is_kept() -> None:
    volume = LabelVolume(SHAPE)
    entry = Entry(disc((10, 8), 6), locked=True, provenance="prompted", score=0.5, presence=0.25, origin="p")
    volume.replace(1, 2, entry)
    got = volume.get(1, 2)
    assert got is not None
    assert (got.locked, got.provenance, got.score, got.presence, got.origin) == (
        True,
        "prompted",
        0.5,
        0.25,
        "p",
    )
    assert volume.get(1, 0) is None
    assert volume.box(1, 0) is None
    assert not volume.mask(1, 0).any()


def test_an_entry_without_a_mask_is_an_entry() -> None:
    volume = LabelVolume(SHAPE)
    assert volume.replace(4, 1, Entry(disc((-90, -90), 3), presence=0.01)) is None
    assert volume.objects(1) == (4,)
    got = volume.get(4, 1)
    assert got is not None
    assert got.logits is None
    assert volume.replace(4, 1, None) is None
    assert volume.objects(1) == ()


def test_clean_up_touches_what_is_written_and_not_what_is_remembered() -> None:
    ring = disc((10, 8), 7).logits.copy()
    ring[4:6, 4:5] = -1
    logits = PlacedLogits(ring, (0, 0, *SHAPE[1:]), SHAPE[1:])
    plain, mended = LabelVolume(SHAPE), LabelVolume(SHAPE, cleanup=filled)
    for volume in (plain, mended):
        volume.replace(1, 0, Entry(logits))
    holed = plain.array.copy()
    np.testing.assert_array_equal(mended.array[0] > 0, ndi.binary_fill_holes(holed[0]))
    assert mended.array.sum() > holed.sum()
    plain.replace(1, 0, mended.get(1, 0))
    np.testing.assert_array_equal(plain.array, holed)


def test_the_masks_of_a_locked_object_win_those_to_come_too() -> None:
    volume = LabelVolume(SHAPE)
    volume.replace(1, 0, Entry(disc((10, 8), 6)))
    volume.replace(2, 0, Entry(painted=square(8, 6, 12, 12)))
    assert volume.array[PIXEL] == 2
    told: list[tuple[int, Box | None]] = []
    volume.watch(lambda frame, box: told.append((frame, box)))
    volume.set_locked(1, locked=True)
    volume.set_locked(1, locked=True)
    assert volume.array[PIXEL] == 1
    assert told == [(0, volume.box(1, 0))]
    volume.replace(3, 0, Entry(painted=square(0, 0, 24, 20)))
    assert volume.array[PIXEL] == 1
    volume.set_locked(1, locked=False)
    assert volume.array[PIXEL] == 2


def test_a_painted_mask_is_not_cleaned_up() -> None:
    volume = LabelVolume(SHAPE, cleanup=np.zeros_like)
    volume.replace(1, 0, Entry(disc((10, 8), 6)))
    assert not volume.array.any()
    volume.replace(1, 0, Entry(painted=square(2, 3, 5, 6)))
    assert volume.array.sum() == 9


def test_a_large_id_widens_the_labels_once() -> None:
    volume = LabelVolume(SHAPE)
    volume.replace(65535, 0, Entry(painted=square(0, 0, 2, 2)))
    assert volume.array.dtype == np.uint16
    volume.replace(65536, 0, Entry(painted=square(4, 4, 6, 6)))
    assert volume.array.dtype == np.uint32
    assert set(np.unique(volume.array)) == {0, 65535, 65536}
    with pytest.raises(ValueError, match="does not fit"):
        volume.replace(2**32, 0, Entry())
    with pytest.raises(ValueError, match="at least 1"):
        volume.replace(0, 0, Entry())


def test_a_given_array_is_written_into_and_never_replaced() -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    volume = LabelVolume(SHAPE, labels)
    volume.replace(255, 0, Entry(painted=square(0, 0, 2, 2)))
    assert volume.array is labels
    assert labels.sum() == 4 * 255
    with pytest.raises(ValueError, match="wider"):
        volume.replace(256, 0, Entry())


def test_values_of_others_in_a_given_array_stay() -> None:
    labels = np.zeros(SHAPE, dtype=np.int32)
    labels[0, 3, 3] = 9
    volume = LabelVolume(SHAPE, labels)
    volume.replace(1, 0, Entry(painted=square(2, 2, 6, 6)))
    assert labels[0, 3, 3] == 9
    assert (labels == 1).sum() == 15
    volume.remove(1)
    assert labels.sum() == 9


def test_a_zarr_array_is_written_by_box(tmp_path: Path) -> None:
    target = zarr.create_array(tmp_path / "labels.zarr", shape=SHAPE, chunks=(1, 8, 8), dtype="uint16")
    stored, plain = LabelVolume(SHAPE, target), LabelVolume(SHAPE)
    for volume in (stored, plain):
        volume.replace(1, 0, Entry(disc((10, 8), 6)))
        volume.replace(2, 0, Entry(disc((10, 12), 6, height=3)))
        volume.replace(7, 2, Entry(disc((4, 4), 3)))
        volume.replace(1, 0, Entry(disc((8, 8), 3)))
    reread = zarr.open_array(tmp_path / "labels.zarr", mode="r")
    np.testing.assert_array_equal(np.asarray(reread[...]), plain.array)


@pytest.mark.parametrize(
    ("labels", "error"),
    [
        (np.zeros((3, 24, 21), np.uint16), ValueError),
        (np.zeros((24, 20), np.uint16), ValueError),
        (np.zeros(SHAPE, np.float32), TypeError),
        (np.zeros(SHAPE, bool), TypeError),
    ],
)
def test_a_bad_target_is_told(labels: np.ndarray[Any, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="labels must"):
        LabelVolume(SHAPE, labels)


def test_bad_calls_are_told() -> None:
    volume = LabelVolume(SHAPE)
    for frame in (-1, 3):
        with pytest.raises(IndexError, match="frames 0 to 2"):
            volume.replace(1, frame, Entry())
        with pytest.raises(IndexError, match="frames 0 to 2"):
            volume.mask(1, frame)
    other = PlacedLogits(np.ones((2, 2), np.float32), (0, 0, 5, 5), (5, 5))
    with pytest.raises(ValueError, match="frame of shape"):
        volume.replace(1, 0, Entry(other))
    with pytest.raises(ValueError, match="frame of shape"):
        volume.replace(1, 0, Entry(painted=PackedMask.pack(np.ones((5, 5), dtype=bool))))
    with pytest.raises(ValueError, match="at least 1"):
        LabelVolume((0, 5, 5))
    assert volume.all_objects == ()


def test_the_box_told_is_the_union_of_before_and_after() -> None:
    volume = LabelVolume(SHAPE)
    assert volume.replace(1, 0, Entry(painted=square(2, 3, 4, 5))) == Box(2, 3, 4, 5)
    assert volume.replace(1, 0, Entry(painted=square(6, 1, 8, 2))) == Box(2, 1, 8, 5)
    assert volume.replace(1, 0, None) == Box(6, 1, 8, 2)
    assert volume.replace(1, 0, None) is None


def test_a_failed_write_leaves_no_entry_behind() -> None:
    volume = LabelVolume(SHAPE)
    volume.replace(1, 0, Entry(disc((10, 8), 6)))
    before = volume.array.copy()
    with pytest.raises(ValueError, match="frame of shape"):
        volume.replace(1, 0, Entry(painted=PackedMask.pack(np.ones((5, 5), dtype=bool))))
    np.testing.assert_array_equal(volume.array, before)
    assert volume.objects(0) == (1,)


@given(WRITES, st.lists(st.integers(0, 1), max_size=2))
def test_what_is_written_later_is_what_would_have_been_written_at_once(
    writes: list[Write], settled: list[int]
) -> None:
    now, later = LabelVolume(SHAPE), LabelVolume(SHAPE)
    told: list[int] = []
    later.watch(lambda frame, _box: told.append(frame))
    with later.gathered():
        for obj, frame, entry in writes:
            now.replace(obj, frame, entry)
            later.replace(obj, frame, entry)
    assert told == []
    assert set(later.behind) == {frame for _, frame, _ in writes}
    for frame in settled:
        np.testing.assert_array_equal(later.pixels(frame), now.array[frame])
        assert frame not in later.behind
    np.testing.assert_array_equal(later.array, now.array)
    assert later.behind == ()
    assert sorted(told) == sorted({frame for _, frame, _ in writes})


def test_each_frame_is_told_once_with_all_that_was_written() -> None:
    volume = LabelVolume(SHAPE)
    told: list[tuple[int, Box | None]] = []
    early: list[int] = []
    volume.watch(lambda frame, box: told.append((frame, box)))
    volume.watch_entries(early.append)
    with volume.gathered():
        volume.replace(1, 1, Entry(painted=square(0, 0, 2, 2)))
        volume.replace(2, 1, Entry(painted=square(20, 15, 24, 20)))
        volume.replace(3, 0, Entry())
        assert early == [1, 1, 0]
        assert not told
        assert volume.pixels(1, Box(0, 0, 3, 3)).sum() == 4
    volume.settle()
    assert told == [(1, Box(0, 0, 24, 20)), (0, None)]


def corners(volume: LabelVolume) -> None:
    """Write four masks that do not meet, later."""
    with volume.gathered():
        for obj, (y, x) in enumerate([(0, 0), (0, 15), (20, 0), (20, 15)], start=1):
            volume.replace(obj, 1, Entry(painted=square(y, x, y + 4, x + 5)))


def test_a_frame_with_much_to_be_written_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_module, "_STRIP", 30)
    volume, told = LabelVolume(SHAPE), list[Box | None]()
    volume.watch(lambda _frame, box: told.append(box))
    corners(volume)
    written = []
    while volume.behind:
        volume.settle(until=0)
        written.append(np.unique(volume._array[1]).tolist())
    assert told == [Box(y, x, y + 4, x + 5) for y in (0, 20) for x in (0, 15)]
    assert written == [list(range(count + 1)) for count in (1, 2, 3, 4)]


def test_a_large_mask_is_written_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_module, "_STRIP", 30)
    volume, told = LabelVolume(SHAPE), list[Box | None]()
    volume.watch(lambda _frame, box: told.append(box))
    with volume.gathered():
        volume.replace(1, 1, Entry(painted=square(2, 3, 9, 13)))
    while volume.behind:
        volume.settle(until=0)
    assert told == [Box(2, 3, 5, 13), Box(5, 3, 8, 13), Box(8, 3, 9, 13)]
    np.testing.assert_array_equal(volume.pixels(1) == 1, volume.mask(1, 1))


def test_who_reads_a_frame_that_was_written_in_part_reads_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_module, "_STRIP", 1)
    volume, whole = LabelVolume(SHAPE), LabelVolume(SHAPE)
    corners(volume)
    corners(whole)
    volume.settle(until=0)
    with volume.gathered():
        volume.replace(1, 1, Entry(painted=square(0, 0, 4, 9)))
        whole.replace(1, 1, Entry(painted=square(0, 0, 4, 9)))
    assert volume.behind == (1,)
    np.testing.assert_array_equal(volume.pixels(1), whole.pixels(1))


def test_a_snapshot_has_what_was_still_to_be_written() -> None:
    volume = LabelVolume(SHAPE)
    with volume.gathered():
        volume.replace(5, 2, Entry(painted=square(0, 0, 2, 2)))
        taken = volume.snapshot()
    volume.replace(5, 2, None)
    assert (taken[2] == 5).sum() == 4
    taken.close()


def test_what_could_not_be_written_is_written_next_time() -> None:
    class Full(np.ndarray[Any, Any]):
        is_full = True

        def __setitem__(self, key: Any, value: Any) -> None:
            if self.is_full and np.asarray(value).max(initial=0) == 6:
                raise OSError("no space left")
            super().__setitem__(key, value)

    target = np.zeros(SHAPE, np.uint16).view(Full)
    volume = LabelVolume(SHAPE, target)
    told: list[Box | None] = []
    volume.watch(lambda _frame, box: told.append(box))
    with volume.gathered():
        volume.replace(5, 2, Entry(painted=square(0, 0, 2, 2)))
        volume.replace(6, 2, Entry(painted=square(20, 15, 22, 17)))
    with pytest.raises(OSError, match="no space"):
        volume.settle()
    assert (volume.behind, told) == ((2,), [])
    target.is_full = False
    volume.settle()
    assert (np.asarray(target)[2] == 5).sum() == 4
    assert told == [Box(0, 0, 22, 17)]


def test_what_is_known_can_be_put_back_without_its_logits_being_read() -> None:
    volume = LabelVolume(SHAPE, budget=0)
    volume.replace(1, 0, Entry(disc((10, 8), 6), score=0.5))
    volume.replace(1, 1, Entry(disc((12, 8), 6)))  # so that the first one is in the file
    before, known = volume.array.copy(), volume.known(1, 0)
    volume.replace(1, 0, None)
    assert not (volume.array[0] == 1).any()
    volume.restore(1, 0, known)
    np.testing.assert_array_equal(volume.array, before)
    volume.restore(7, 2, known)  # of another object it says the same
    assert ((volume.array[2] == 7) == (before[0] == 1)).all()
    volume.replace(1, 0, None)
    got = volume.get(7, 2)
    assert got is not None
    assert got.logits is not None
    assert got.score == 0.5


@settings(max_examples=40)
@given(WRITES, WRITES)
def test_many_put_back_at_once_are_put_back_one_by_one(first: list[Write], then: list[Write]) -> None:
    volume = LabelVolume(SHAPE)
    for write in first:
        volume.replace(*write)
    before, objects = volume.array.copy(), volume.all_objects
    known = [volume.known_of(frame, {write.obj for write in then}) for frame in range(SHAPE[0])]
    for write in then:
        volume.replace(*write)
    with volume.gathered() if len(then) % 2 else nullcontext():
        for frame, records in enumerate(known):
            volume.restore_all(frame, records)
    np.testing.assert_array_equal(volume.array, before)
    assert volume.all_objects == objects
    with pytest.raises(IndexError, match="no frame"):
        volume.restore_all(SHAPE[0], known[0])


def test_a_union_has_the_own_masks_of_all() -> None:
    volume = LabelVolume(SHAPE)
    volume.replace(1, 0, Entry(painted=square(0, 0, 4, 4)))
    volume.replace(2, 0, Entry(disc((10, 8), 6)))
    volume.replace(3, 0, Entry(painted=square(2, 2, 6, 6)))
    one, two, three = (volume.mask(obj, 0) for obj in (1, 2, 3))
    np.testing.assert_array_equal(volume.union((1, 2, 3), 0), one | two | three)
    assert not volume.union((4,), 0).any()
    assert not volume.union((), 0).any()
