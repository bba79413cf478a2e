"""A journal holds one whole state at any moment, and writes only what changed."""

from __future__ import annotations

import itertools
import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_sam2.io import Journal, journal, read_journal, read_journal_document


def part(*values: int) -> dict[str, np.ndarray[Any, Any]]:
    return {"entries/values": np.array(values), "mask": np.array([True, False])}


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


Changes = dict[str, int | None]
changes = st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.integers(0, 9)), max_size=3)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, min_size=1, max_size=5))
def test_the_last_state_is_read(tmp_path: Path, steps: list[Changes]) -> None:
    written = Journal(tmp_path / "one")
    kept: dict[str, int] = {}
    for count, step in enumerate(steps):
        written.write(
            {"count": count}, {name: None if value is None else part(value) for name, value in step.items()}
        )
        kept = {name: value for name, value in {**kept, **step}.items() if value is not None}
        content = read_journal(tmp_path / "one")
        assert content.document == {"count": count}
        assert {name: arrays["entries/values"].tolist() for name, arrays in content.parts.items()} == {
            name: [value] for name, value in kept.items()
        }
        assert len(files(tmp_path / "one")) == 1 + len(kept)


def test_what_did_not_change_is_not_written_again(tmp_path: Path) -> None:
    written = Journal(tmp_path)
    written.write({}, {"a": part(1), "b": part(2)})
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("a.*")}
    written.write({}, {"b": part(3)})
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("a.*")} == before
    assert read_journal(tmp_path).parts["b"]["mask"].dtype == np.bool_


@pytest.mark.parametrize("steps", range(7))
def test_a_step_writes_or_deletes_one_file_and_may_be_the_last(tmp_path: Path, steps: int) -> None:
    written = Journal(tmp_path)
    written.write({"at": 0}, {name: part(0) for name in "abc"})
    parts = {name: partial(part, 1) for name in "abc"}
    writing = itertools.chain(written.write_steps({"at": 1}, parts), written.sweep_steps())
    before = len(files(tmp_path))
    for _ in zip(range(steps), writing, strict=False):
        assert abs(len(files(tmp_path)) - before) <= 1
        before = len(files(tmp_path))
    del writing
    at = int(steps > 3)  # the document follows the third part
    content = read_journal(tmp_path)
    assert content.document == {"at": at}
    assert {each["entries/values"].item() for each in content.parts.values()} == {at}
    written.write({"at": 2}, {"c": part(2)})
    assert len(files(tmp_path)) == 4
    assert read_journal(tmp_path).parts["a"]["entries/values"].item() == at


@pytest.mark.parametrize("where", ["part", "document"])
def test_a_full_disk_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    written = Journal(tmp_path)
    written.write({"count": 1}, {"a": part(1)})
    before = files(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*((np, "savez", full) if where == "part" else (Path, "write_text", full)))
        with pytest.raises(OSError, match="No space"):
            written.write({"count": 2}, {"a": part(2), "b": part(3)})
    assert files(tmp_path) == before
    assert read_journal(tmp_path).document == {"count": 1}
    written.write({"count": 2}, {"a": part(2), "b": part(3)})
    assert sorted(read_journal(tmp_path).parts) == ["a", "b"]


def test_a_new_journal_replaces_what_an_earlier_one_left(tmp_path: Path) -> None:
    Journal(tmp_path).write({"count": 1}, {"a": part(1)})
    (tmp_path / "notes.txt").write_text("mine")
    Journal(tmp_path).write({"count": 2}, {"b": part(1)})
    assert list(read_journal(tmp_path).parts) == ["b"]
    assert "notes.txt" in files(tmp_path)
    assert len(files(tmp_path)) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a journal"),
        ("[]", "is not a journal of this program"),
        (json.dumps({"format": journal.FORMAT, "version": 9}), "not a whole journal of a version up to 2"),
        (json.dumps({"format": journal.FORMAT, "version": 1}), "not a whole journal"),
    ],
)
def test_other_files_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(FileNotFoundError):
        read_journal_document(tmp_path)
    (tmp_path / "journal.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_journal(tmp_path)


def test_a_missing_or_cut_part_is_told(tmp_path: Path) -> None:
    Journal(tmp_path).write({}, {"a": part(*range(99))})
    (stored,) = tmp_path.glob("a.*")
    stored.write_bytes(stored.read_bytes()[:-200])
    with pytest.raises(ValueError, match="is damaged"):
        read_journal(tmp_path)
    stored.unlink()
    with pytest.raises(ValueError, match="is damaged"):
        read_journal(tmp_path)
