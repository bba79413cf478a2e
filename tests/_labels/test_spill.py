from __future__ import annotations

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_sam2._labels import spill
from napari_sam2._labels.spill import Bytes, SpillStore
from tests.full_disk import SAID, full_disk


def array(value: int, cells: int = 10) -> Bytes:
    return np.full(40 * cells, value, dtype=np.uint8)


def test_within_the_budget_nothing_is_written() -> None:
    store = SpillStore(budget=1200)
    keys = [store.put(array(i)) for i in range(3)]
    assert store.bytes_in_memory == 1200
    assert store.bytes_on_disk == 0
    assert [store.get(key)[0] for key in keys] == [0, 1, 2]


def test_beyond_the_budget_the_oldest_move_to_the_file() -> None:
    store = SpillStore(budget=1200)
    keys = [store.put(array(i)) for i in range(10)]
    assert store.bytes_in_memory == 1200
    assert store.bytes_on_disk == 2800
    for i, key in enumerate(keys):
        np.testing.assert_array_equal(store.get(key), array(i))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 30), st.integers(1, 20)), max_size=60))
def test_it_behaves_as_a_dictionary(steps: list[tuple[bool, int, int]]) -> None:
    store, truth = SpillStore(budget=2000), dict[int, Bytes]()
    for i, (drop, which, cells) in enumerate(steps):
        if drop and truth:
            key = sorted(truth)[which % len(truth)]
            store.drop(key)
            del truth[key]
        else:
            truth[store.put(array(i, cells))] = array(i, cells)
    assert len(store) == len(truth)
    for key, expected in truth.items():
        np.testing.assert_array_equal(store.get(key), expected)
    kept = sum(each.nbytes for each in truth.values())
    assert store.bytes_on_disk <= max(2 * kept, kept + 2000)
    store.close()


def test_dropped_space_is_given_back() -> None:
    store = SpillStore(budget=400)
    last = store.put(array(0))
    for i in range(1, 200):
        fresh = store.put(array(i))
        store.drop(last)
        last = fresh
    assert store.bytes_on_disk <= 1200


def test_an_unknown_key_is_told() -> None:
    store = SpillStore(budget=0)
    with pytest.raises(KeyError):
        store.get(0)
    key = store.put(array(1))
    store.put(array(2))
    store.drop(key)
    with pytest.raises(KeyError):
        store.get(key)
    with pytest.raises(KeyError):
        store.drop(key)


def test_a_full_disk_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = SpillStore(budget=400)
    key = store.put(array(1))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(spill._SpillFile, "append", full)
    with pytest.raises(OSError, match="No space"):
        store.put(array(2))
    assert len(store) == 1
    np.testing.assert_array_equal(store.get(key), array(1))


def test_a_disk_that_fills_up_keeps_all_that_is_on_it() -> None:
    store = SpillStore(budget=400)
    keys = [store.put(array(value)) for value in range(3)]
    with full_disk(1000), pytest.raises(OSError, match=SAID):
        store.put(array(3))
    with full_disk(1000):
        for value, key in enumerate(keys):
            np.testing.assert_array_equal(store.get(key), array(value))
        store.close()


def test_a_full_disk_has_no_room_for_a_file_written_anew_and_needs_none() -> None:
    store = SpillStore(budget=400)
    keys = [store.put(array(i)) for i in range(60)]
    size = store.bytes_on_disk
    with full_disk(2000):
        for key in keys[:40]:
            store.drop(key)
    assert store.bytes_on_disk == size
    for value, key in enumerate(keys[40:], start=40):
        np.testing.assert_array_equal(store.get(key), array(value))


def test_where_there_was_no_room_it_is_tried_again_later_and_not_at_every_drop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, tries = SpillStore(budget=400), list[int]()
    keys = [store.put(array(1)) for _ in range(400)]

    def full(_: object, data: Bytes) -> None:
        tries.append(data.nbytes)
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(spill._SpillFile, "append", full)
        for key in keys[1:]:
            store.drop(key)
    assert len(tries) == 1
    size = store.bytes_on_disk
    for _ in range(800):
        fresh = [store.put(array(2)) for _ in range(2)]
        store.drop(fresh[0])
        store.drop(fresh[1])
    assert store.bytes_on_disk < size
    np.testing.assert_array_equal(store.get(keys[0]), array(1))


def test_a_store_that_is_forgotten_closes_its_file() -> None:
    store = SpillStore(budget=0)
    for i in range(3):
        store.put(array(i))
    assert store._file is not None
    file = store._file._file
    del store
    gc.collect()
    assert file.closed


def test_close_forgets_everything() -> None:
    store = SpillStore(budget=0)
    for i in range(3):
        store.put(array(i))
    store.close()
    assert len(store) == store.bytes_on_disk == store.bytes_in_memory == 0


def test_what_is_kept_is_dropped_when_nobody_holds_it_any_more() -> None:
    store = SpillStore(budget=800)
    kept = [store.keep(array(i)) for i in range(4)]
    again = kept[1]
    assert [each.read()[0] for each in kept] == [0, 1, 2, 3]
    del kept[:]
    assert len(store) == 1
    assert again.read()[0] == 1
    del again
    gc.collect()
    assert len(store) == store.bytes_in_memory == 0


def test_what_goes_after_all_was_forgotten_is_no_error() -> None:
    store = SpillStore(budget=400)
    kept = [store.keep(array(i)) for i in range(3)]
    store.close()
    del kept[:]
    assert store.put(array(7)) == 3
    assert len(store) == 1
