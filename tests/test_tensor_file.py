from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_sam2.tensor_file import save_tensors
from tests.full_disk import SAID, full_disk

TENSORS = [torch.arange(3000.0), torch.ones(2, 2)]
CONTENT = {"tensors": TENSORS, "step": 3}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    save_tensors(CONTENT, tmp_path / "a.pt")
    read = torch.load(tmp_path / "a.pt", weights_only=True)
    assert read["step"] == 3
    assert all(torch.equal(*pair) for pair in zip(read["tensors"], TENSORS, strict=True))


def test_a_full_disk_is_named_wherever_it_ends(tmp_path: Path) -> None:
    save_tensors(CONTENT, tmp_path / "whole.pt")
    size = (tmp_path / "whole.pt").stat().st_size
    assert size > 12_000
    for room in range(0, size, 350):
        with full_disk(room), pytest.raises(OSError, match=SAID):
            save_tensors(CONTENT, tmp_path / "a.pt")


def test_what_cannot_be_written_at_all_is_told_as_before(tmp_path: Path) -> None:
    with pytest.raises((TypeError, AttributeError), match="pickle"):
        save_tensors(lambda: None, tmp_path / "a.pt")


def test_other_faults_stay_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("something else")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RuntimeError, match="something else"):
        save_tensors(CONTENT, tmp_path / "a.pt")
