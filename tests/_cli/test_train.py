"""``napari-sam2 train`` with a folder of labelled stacks."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_sam2 import cli
from napari_sam2._model.config import NANO_CONFIG
from napari_sam2._model.sam2 import Sam2
from napari_sam2._model.weights import load_model, save_model
from napari_sam2.training.losses import FrameLoss
from napari_sam2.training.steps import train_step

OPTIONS = ("--steps", "2", "--threads", "1", "--no-bfloat16", "--log-steps", "1", "--synthetic", "0")
STAGES = ("--stages", "1", "32", "1", "1", "1", "--stages", "1", "32", "2", "1", "1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a network of random weights and a stack of one square."""
    torch.manual_seed(0)
    save_model(Sam2(replace(NANO_CONFIG, image_size=64)), tmp_path / "mine.safetensors")
    labels = np.zeros((3, 40, 40), np.uint8)
    labels[:, 10:30, 10:30] = 1
    (tmp_path / "stacks").mkdir()
    np.savez(tmp_path / "stacks" / "squares.npz", images=labels * 200, labels=labels)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("napari_sam2.training.train.synthetic_j", lambda *_, **__: 0.5)
    monkeypatch.setattr("napari_sam2.training.train.stacks_j", lambda *_, **__: 0.25)
    return tmp_path


def run(*arguments: str) -> int:
    return cli.run(["train", "--out", "run", *OPTIONS, *STAGES, *arguments])


def test_a_network_is_tuned_to_stacks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", "stacks", "--from", "mine.safetensors") == 0
    assert "data_j: 0.250" in capsys.readouterr().out
    before, after = (
        load_model(path, device="cpu").state_dict() for path in ("mine.safetensors", "run/model.safetensors")
    )
    assert any(not torch.equal(before[name], after[name]) for name in before)
    assert {path.name for path in (folder / "run").iterdir()} == {
        "curve.png",
        "last.pt",
        "log.jsonl",
        "model.safetensors",
    }


def test_the_same_command_goes_on_and_another_network_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--data", "stacks", "--from", "mine.safetensors") == 0
    assert run("--data", "stacks", "--from", "mine.safetensors") == 0
    assert run("--data", "stacks") == 2
    assert "other settings" in capsys.readouterr().err


def test_corrections_alone_are_learned_from_a_network(folder: Path) -> None:
    assert cli.run(["train", "--out", "run", *OPTIONS, "--from", "mine.safetensors", "--corrections"]) == 0
    before, after = (
        load_model(path, device="cpu").state_dict() for path in ("mine.safetensors", "run/model.safetensors")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert all("mask_downscaling" in name or "hypernetworks_mlps.0" in name for name in changed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "nowhere", "--from", "mine.safetensors"), "nowhere is no folder"),
        (("--data", "stacks", "--from", "nano9"), "nano9"),
        (("--data", "stacks", "--warmup", "x"), "warmup"),
        (("--from", "mine.safetensors", "--corrections"), "rounds of corrections"),
    ],
)
def test_what_cannot_be_done_is_said(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(*arguments) == 2
    assert message in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (("--device", "gpu"), "'gpu' is no device"),
        (("--device", "cuda:99"), "not present"),
        (("--validate", "nothing.npz"), "nothing.npz"),
        (("--validate", "plain.npz"), "labels"),
        (("--validate", "many.npz"), "(frames, height, width)"),
        (("--validate", "plain.npz", "plain.npz"), "'plain.npz' belongs to no option"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_trained(
    folder: Path, capsys: pytest.CaptureFixture[str], option: tuple[str, ...], said: str
) -> None:
    np.savez(folder / "many.npz", images=np.zeros((2, 3, 9, 9)), labels=np.zeros((2, 3, 9, 9), np.uint8))
    np.savez(folder / "plain.npz", images=np.zeros((3, 40, 40), np.uint8))
    assert run("--from", "mine.safetensors", "--data", "stacks", *option) == 2
    assert said in capsys.readouterr().err
    assert not (folder / "run").exists()


def test_a_device_is_chosen_as_for_other_commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("napari_sam2.device._best_device_type", lambda: "cpu")
    assert run("--data", "stacks", "--from", "mine.safetensors", "--device", "auto") == 0


def test_ctrl_c_keeps_the_step_at_hand_and_the_same_command_goes_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(*arguments: Any) -> FrameLoss:
        signal.raise_signal(signal.SIGINT)
        return train_step(*arguments)

    monkeypatch.setattr("napari_sam2.training.train.train_step", pressed)
    assert run("--data", "stacks", "--from", "mine.safetensors") == 130
    assert "the same command goes on" in capsys.readouterr().out
    assert torch.load(folder / "run" / "last.pt", weights_only=True)["step"] == 1


def test_a_file_for_the_folder_of_the_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").touch()
    assert run("--data", "stacks", "--from", "mine.safetensors") == 2
    assert "run is a file, not a folder" in capsys.readouterr().err


def test_a_network_is_named_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--data", "stacks", "--from", "mine.safetensors", "--pretrained", "nano") == 2
    assert "--from" in capsys.readouterr().err


def test_a_state_that_is_damaged_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "run").mkdir()
    (folder / "run" / "last.pt").write_bytes(b"PK\x03\x04" * 99)
    assert run("--data", "stacks", "--from", "mine.safetensors") == 2
    said = capsys.readouterr().err
    assert "last.pt is damaged" in said
    assert "delete it" in said
