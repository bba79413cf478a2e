from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_sam2.io import read_session, remove_session, session_file, write_session

LABELS = np.arange(60, dtype=np.uint16).reshape(3, 4, 5)


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_a_session_is_read_as_it_was_written(tmp_path: Path) -> None:
    arrays = {
        "labels": LABELS,
        "painted/3": LABELS[0] > 4,
        "painted/5": LABELS[1] > 4,
        "none": np.zeros((0, 3)),
    }
    document = {"model": {"name": "nano"}, "prompts": [{"points": [[1.5, 2]]}], "unit": "µm"}
    write_session(tmp_path / "cells.sam2.json", document, arrays)
    assert names(tmp_path) == ["cells.sam2.json", "cells.sam2.zarr"]
    session = read_session(tmp_path / "cells.sam2.json")
    assert session.document == document
    assert session.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(session.arrays[name], array)
        assert session.arrays[name].dtype == array.dtype


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    document=st.dictionaries(st.from_regex(r"[a-d]{1,3}", fullmatch=True), JSON, max_size=4),
    array=hnp.arrays(
        st.sampled_from(["u1", "u2", "u4", "i8", "f4", "f8", "?"]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=4),
    ),
)
def test_any_document_and_array(
    tmp_path: Path, document: dict[str, Any], array: np.ndarray[Any, Any]
) -> None:
    write_session(tmp_path / "a.sam2.json", document, {"it": array})
    session = read_session(tmp_path / "a.sam2.json")
    assert session.document == document
    np.testing.assert_array_equal(session.arrays["it"], array)


def test_a_zarr_array_is_copied(tmp_path: Path) -> None:
    labels = zarr.create_array(tmp_path / "labels.zarr", data=LABELS)
    write_session(tmp_path / "a.sam2.json", {}, {"labels": labels})
    np.testing.assert_array_equal(read_session(tmp_path / "a.sam2.json").arrays["labels"], LABELS)


def test_large_arrays_are_written_and_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_file, "_AT_ONCE", 10)
    arrays = {
        "row": np.arange(25),
        "table": np.arange(24.0).reshape(8, 3),
        "wide": np.ones((2, 30)),
        "planes": np.arange(60).reshape(5, 4, 3),
        "large planes": np.arange(84).reshape(2, 6, 7),
        "stacks": np.arange(48).reshape(2, 3, 4, 2),
        "one": np.array(7),
        "none": np.zeros((0, 3)),
    }
    path = tmp_path / "cells.sam2.json"
    assert len(list(session_file.session_steps(path, {}, arrays))) == 3 + 3 + 2 + 5 * 2 + 2 * 6 + 2 * 3 + 1
    assert len(list(session_file.reading_steps(path))) == 3 + 3 + 2 + 5 * 2 + 2 * 6 + 2 * 3 + 1
    found = read_session(path).arrays
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_saving_again_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a.sam2.json"
    write_session(path, {"n": 1}, {"old": LABELS})
    write_session(path, {"n": 2}, {"new": LABELS})
    session = read_session(path)
    assert session.document == {"n": 2}
    assert list(session.arrays) == ["new"]
    assert names(tmp_path) == ["a.sam2.json", "a.sam2.zarr"]


@pytest.mark.parametrize("where", ["arrays", "text", "rename"])
def test_a_failed_saving_keeps_the_old_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    path = tmp_path / "a.sam2.json"
    write_session(path, {"n": 1}, {"labels": LABELS})

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    replace = Path.replace
    if where == "arrays":
        monkeypatch.setattr(zarr.Array, "__setitem__", full)
    elif where == "text":
        monkeypatch.setattr(Path, "write_text", full)
    else:
        monkeypatch.setattr(Path, "replace", lambda a, b: full() if b == path else replace(a, b))
    with pytest.raises(OSError, match="No space"):
        write_session(path, {"n": 2}, {"labels": LABELS + 1})
    monkeypatch.undo()
    assert names(tmp_path) == ["a.sam2.json", "a.sam2.zarr"]
    session = read_session(path)
    assert session.document == {"n": 1}
    np.testing.assert_array_equal(session.arrays["labels"], LABELS)


def test_a_document_that_json_cannot_hold_is_told_before_anything_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.sam2.json"
    with pytest.raises(TypeError):
        write_session(path, {"a": object()}, {})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_session(path, {"a": float("nan")}, {})
    with pytest.raises(ValueError, match="cannot be set"):
        write_session(path, {"version": 3}, {})
    with pytest.raises(ValueError, match=r"something\.sam2\.json"):
        write_session(tmp_path / "a.sam2", {}, {})
    assert names(tmp_path) == []


def changed(path: Path, **changes: object) -> None:
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | changes))


def test_another_version_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.sam2.json"
    write_session(path, {}, {})
    changed(path, version=session_file.VERSION + 1)
    with pytest.raises(ValueError, match="of version 4, this program reads versions up to 3"):
        read_session(path)
    changed(path, version=[1])
    with pytest.raises(ValueError, match="of version"):
        read_session(path)
    changed(path, version=None)
    with pytest.raises(ValueError, match="of version None"):
        read_session(path)


def test_what_an_older_version_lacks_is_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "a.sam2.json"
    write_session(path, {"revision": 3}, {})
    changed(path, version=1)
    assert read_session(path).document == {"revision": 3, "objects": [], "view": {"view": "frame"}}
    changed(path, version=2)
    assert read_session(path).document == {"revision": 3}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": "other", "version": 2}', "\x00\xff"])
def test_another_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.sam2.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"a\.sam2\.json is not a session file"):
        read_session(path)


def test_a_file_without_its_arrays_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.sam2.json"
    with pytest.raises(FileNotFoundError):
        read_session(path)
    write_session(path, {}, {"labels": LABELS})
    shutil.rmtree(tmp_path / "a.sam2.zarr")
    with pytest.raises(FileNotFoundError, match="move both together"):
        read_session(path)
    path.write_text(json.dumps({"format": session_file.FORMAT, "version": 2}))
    with pytest.raises(ValueError, match="does not name its arrays"):
        read_session(path)


def test_arrays_of_another_session_are_told(tmp_path: Path) -> None:
    write_session(tmp_path / "a.sam2.json", {}, {"labels": LABELS})
    write_session(tmp_path / "b.sam2.json", {}, {"labels": LABELS})
    shutil.rmtree(tmp_path / "a.sam2.zarr")
    (tmp_path / "b.sam2.zarr").rename(tmp_path / "a.sam2.zarr")
    with pytest.raises(ValueError, match="do not belong together"):
        read_session(tmp_path / "a.sam2.json")


def test_damaged_arrays_are_told(tmp_path: Path) -> None:
    write_session(tmp_path / "a.sam2.json", {}, {"labels": LABELS})
    chunk = next(each for each in (tmp_path / "a.sam2.zarr" / "labels" / "c").rglob("*") if each.is_file())
    chunk.write_bytes(chunk.read_bytes()[:5])
    with pytest.raises(ValueError, match="is damaged"):
        read_session(tmp_path / "a.sam2.json")
    (tmp_path / "a.sam2.zarr" / "zarr.json").unlink()
    with pytest.raises(ValueError, match="is damaged"):
        read_session(tmp_path / "a.sam2.json")


def test_a_session_that_is_moved_is_read(tmp_path: Path) -> None:
    write_session(tmp_path / "a.sam2.json", {}, {"labels": LABELS})
    (tmp_path / "there").mkdir()
    for name in names(tmp_path):
        if name.startswith("a."):
            (tmp_path / name).rename(tmp_path / "there" / name)
    np.testing.assert_array_equal(read_session(tmp_path / "there" / "a.sam2.json").arrays["labels"], LABELS)


@pytest.mark.parametrize("name", ["cells.sam2.json", "cells.sam2.zarr"])
def test_a_folder_with_something_else_is_not_replaced(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "mine").touch()
    with pytest.raises(FileExistsError, match=name):
        write_session(tmp_path / "cells.sam2.json", {}, {})
    assert [path.name for path in tmp_path.rglob("*")] == [name, "mine"]


def test_a_session_is_removed_with_its_arrays_and_nothing_else_is(tmp_path: Path) -> None:
    path, other = tmp_path / "cells.sam2.json", tmp_path / "other.json"
    write_session(path, {}, {})
    other.write_text("{}")
    for each in (path, other, tmp_path / "missing.json"):
        remove_session(each)
    assert list(tmp_path.iterdir()) == [other]


def copied(folder: Path, *kinds: str) -> tuple[Path, Path]:
    """Write a session, copy files of it under another name, and return both documents."""
    write_session(folder / "a.sam2.json", {"says": "first"}, {"labels": LABELS})
    for kind in kinds:
        source, target = folder / f"a.sam2.{kind}", folder / f"b.sam2.{kind}"
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    return folder / "a.sam2.json", folder / "b.sam2.json"


def holds(path: Path, said: str, labels: np.ndarray) -> None:
    content = read_session(path)
    assert content.document == {"says": said}
    np.testing.assert_array_equal(content.arrays["labels"], labels)


@pytest.mark.parametrize("kinds", [("json",), ("json", "zarr")])
def test_a_copy_is_saved_into_arrays_of_its_own(tmp_path: Path, kinds: tuple[str, ...]) -> None:
    original, copy = copied(tmp_path, *kinds)
    holds(copy, "first", LABELS)
    write_session(copy, {"says": "second"}, {"labels": LABELS + 1})
    holds(original, "first", LABELS)
    holds(copy, "second", LABELS + 1)


@pytest.mark.parametrize("kinds", [("json",), ("json", "zarr")])
def test_a_copy_stays_as_it_is_when_the_original_is_saved_again(
    tmp_path: Path, kinds: tuple[str, ...]
) -> None:
    original, copy = copied(tmp_path, *kinds)
    write_session(original, {"says": "second"}, {"labels": LABELS + 1})
    holds(copy, "first", LABELS)
    holds(original, "second", LABELS + 1)
    assert names(tmp_path) == ["a.sam2.json", "a.sam2.zarr", "b.sam2.json", "b.sam2.zarr"]


@pytest.mark.parametrize("kinds", [("json",), ("json", "zarr")])
@pytest.mark.parametrize("gone", [0, 1])
def test_of_a_session_and_its_copy_one_can_be_removed(
    tmp_path: Path, kinds: tuple[str, ...], gone: int
) -> None:
    both = copied(tmp_path, *kinds)
    remove_session(both[gone])
    assert not both[gone].exists()
    holds(both[1 - gone], "first", LABELS)
    assert len(names(tmp_path)) == 2


def test_a_failed_saving_leaves_the_arrays_to_the_original_and_its_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, copy = copied(tmp_path, "json")
    replace = Path.replace

    def full(path: Path, target: Path) -> Path:
        if Path(target).suffix == ".json":
            raise OSError("no space left")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_session(original, {"says": "second"}, {"labels": LABELS + 1})
    monkeypatch.undo()
    holds(original, "first", LABELS)
    holds(copy, "first", LABELS)
    assert names(tmp_path) == ["a.sam2.json", "a.sam2.zarr", "b.sam2.json"]


def test_a_file_that_is_no_session_is_replaced_though_there_is_a_copy_of_it(tmp_path: Path) -> None:
    original, copy = copied(tmp_path, "zarr")
    for each in (original, copy):
        each.write_text("{}")
    shutil.rmtree(copy.with_suffix(".zarr"))
    write_session(original, {"says": "second"}, {"labels": LABELS + 1})
    holds(original, "second", LABELS + 1)
    assert names(tmp_path) == ["a.sam2.json", "a.sam2.zarr", "b.sam2.json"]


def test_arrays_that_were_saved_since_are_not_removed_with_an_old_document(tmp_path: Path) -> None:
    original, copy = copied(tmp_path, "json")
    old = original.read_text()
    write_session(original, {"says": "second"}, {"labels": LABELS + 1})
    new = original.read_text()
    original.write_text(old)
    remove_session(original)
    original.write_text(new)
    holds(original, "second", LABELS + 1)
    holds(copy, "first", LABELS)


def test_all_copies_find_the_arrays_that_one_of_them_got(tmp_path: Path) -> None:
    first = np.arange(3)
    write_session(tmp_path / "a.sam2.json", {"revision": 1}, {"values": first})
    for name in ("b", "c"):
        shutil.copy(tmp_path / "a.sam2.json", tmp_path / f"{name}.sam2.json")
    write_session(tmp_path / "a.sam2.json", {"revision": 2}, {"values": np.arange(4)})
    for name in ("b", "c"):
        copied = read_session(tmp_path / f"{name}.sam2.json")
        assert copied.document == {"revision": 1}
        np.testing.assert_array_equal(copied.arrays["values"], first)
    assert read_session(tmp_path / "a.sam2.json").arrays["values"].size == 4
