from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from napari_sam2.io import atomic
from napari_sam2.io.atomic import replacing, replacing_all


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def make_folder(path: Path, word: str) -> None:
    path.mkdir()
    (path / "inside").write_text(word)


def replace_both(where: Path, error: BaseException | None = None) -> None:
    with replacing_all(where / "b", where / "a") as (folder, file):
        make_folder(folder, "new")
        file.write_text("new")
        if error is not None:
            raise error


def test_a_file_appears_whole_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with replacing(target) as temporary:
        temporary.write_text("new")
        assert not target.exists()
        assert temporary.parent == tmp_path
    assert target.read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_and_a_folder_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("old")
    make_folder(tmp_path / "b", "old")
    with replacing_all(tmp_path / "b", tmp_path / "a") as (folder, file):
        make_folder(folder, "new")
        file.write_text("new")
        assert (tmp_path / "a").read_text() == (tmp_path / "b" / "inside").read_text() == "old"
    assert (tmp_path / "a").read_text() == (tmp_path / "b" / "inside").read_text() == "new"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("is_there", [True, False])
def test_what_a_link_leads_to_is_replaced_and_the_link_stays(tmp_path: Path, is_there: bool) -> None:
    large, small = tmp_path / "large disk", tmp_path / "small disk"
    large.mkdir()
    small.mkdir()
    (small / "a").symlink_to(large / "a")
    (small / "b").symlink_to(large / "b")
    if is_there:
        (large / "a").write_text("old")
        make_folder(large / "b", "old")
    replace_both(small)
    assert (large / "a").read_text() == (large / "b" / "inside").read_text() == "new"
    assert (names(small), names(large)) == (["a", "b"], ["a", "b"])
    assert all(each.is_symlink() for each in small.iterdir())


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    (tmp_path / "a").write_text("old")
    make_folder(tmp_path / "b", "old")
    with pytest.raises(type(error)):
        replace_both(tmp_path, error)
    assert (tmp_path / "a").read_text() == (tmp_path / "b" / "inside").read_text() == "old"
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.parametrize("nth", [0, 1, 2])
def test_a_renaming_that_fails_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    """Folder aside, folder in place, file in place: any of the three may fail."""
    (tmp_path / "a").write_text("old")
    make_folder(tmp_path / "b", "old")
    steps: list[str] = []
    rename, replace = Path.rename, Path.replace

    def failing_rename(self: Path, target: Path) -> Path:
        steps.append("rename")
        if len(steps) == nth + 1:
            raise OSError("refused")
        return rename(self, target)

    def failing_replace(self: Path, target: Path) -> Path:
        steps.append("replace")
        if len(steps) == nth + 1:
            raise OSError("refused")
        return replace(self, target)

    monkeypatch.setattr(Path, "rename", failing_rename)
    monkeypatch.setattr(Path, "replace", failing_replace)
    with pytest.raises(OSError, match="refused"):
        replace_both(tmp_path)
    assert (tmp_path / "a").read_text() == (tmp_path / "b" / "inside").read_text() == "old"
    assert names(tmp_path) == ["a", "b"]


def test_what_other_threads_still_write_is_deleted_as_well(tmp_path: Path) -> None:
    """Zarr tells of the first chunk that fails while its threads make folders and write the others."""

    def go_on(folder: Path) -> None:
        time.sleep(0.02)
        (folder / "chunks").mkdir(parents=True)
        (folder / "chunks" / "0").write_text("late")

    def fail(target: Path) -> None:
        with replacing(target) as temporary:
            temporary.mkdir()
            late.submit(go_on, temporary)
            raise OSError("disk full")

    with ThreadPoolExecutor(1) as late, pytest.raises(OSError, match="disk full"):
        fail(tmp_path / "a")
    assert names(tmp_path) == []


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no folder"), replacing(tmp_path / "no" / "a"):
        pass


def test_a_name_without_a_folder_is_written_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with replacing(Path("a")) as temporary:
        temporary.write_text("new")
    assert names(tmp_path) == ["a"]


def test_what_cannot_be_deleted_hides_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PermissionError("no")

    monkeypatch.setattr(Path, "unlink", refused)
    atomic.remove(tmp_path / "a")
