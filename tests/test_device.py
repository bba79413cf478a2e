"""Names of devices and precisions: what is there, what is not, what is none."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

from napari_sam2.device import Runtime, choose_device, choose_runtime, present_devices

CPU = torch.device("cpu")


def without_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


def with_cuda(monkeypatch: pytest.MonkeyPatch, *, bfloat16: bool = True) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)


def test_the_cpu_is_chosen_where_there_is_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    without_accelerator(monkeypatch)
    assert choose_device("auto") == choose_device("cpu") == CPU


def test_cuda_comes_first_then_mps(monkeypatch: pytest.MonkeyPatch) -> None:
    without_accelerator(monkeypatch)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "mps"
    with_cuda(monkeypatch)
    assert choose_device("auto").type == "cuda"


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps"])
def test_a_device_that_is_not_present_is_an_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    without_accelerator(monkeypatch)
    with pytest.raises(ValueError, match=f"'{name}' is not present"):
        choose_device(name)


def test_a_card_beyond_the_last_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with_cuda(monkeypatch)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match="'cuda:2' is not present"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "", "cpu:x"])
def test_a_name_that_is_no_device_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no device"):
        choose_device(name)


def test_precision_follows_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    without_accelerator(monkeypatch)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False}, raising=False)
    assert choose_runtime("auto") == Runtime(CPU, torch.float32)
    for instructions in ("avx512_bf16", "amx_bf16"):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda name=instructions: {name: True})
        assert choose_runtime("auto") == Runtime(CPU, torch.bfloat16)
        assert choose_runtime("auto", "float32") == Runtime(CPU, torch.float32)
    assert choose_runtime("cpu", "bfloat16").dtype == torch.bfloat16
    with_cuda(monkeypatch)
    assert choose_runtime("auto").dtype == torch.bfloat16
    assert choose_runtime("auto", "float32").dtype == torch.float32
    with_cuda(monkeypatch, bfloat16=False)
    assert choose_runtime("auto").dtype == torch.float32


def test_an_unknown_precision_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"auto, float32, bfloat16; got 'half'"):
        choose_runtime("cpu", "half")


@pytest.mark.parametrize(("kind", "group"), [("cpu", 1), ("cuda", 16), ("mps", 4), ("xpu", 1)])
def test_groups_are_as_large_as_suits_the_device(kind: str, group: int) -> None:
    assert Runtime(torch.device(kind), torch.float32).group_size(side=1024, width=256) == group


@pytest.mark.parametrize(
    ("side", "width", "group"),
    [(64, 128, 8), (128, 128, 8), (192, 128, 7), (256, 128, 4), (512, 128, 1), (256, 256, 1)],
)
def test_a_processor_takes_more_of_small_maps_at_once(side: int, width: int, group: int) -> None:
    assert Runtime(CPU, torch.float32).group_size(side, width) == group


def test_autocast_lowers_matrix_work_only_where_it_is_asked_for() -> None:
    matrix = torch.ones(2, 2)
    with Runtime(CPU, torch.float32).autocast():
        assert (matrix @ matrix).dtype == torch.float32
    with Runtime(CPU, torch.bfloat16).autocast():
        assert (matrix @ matrix).dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("kind", "dtype", "rounded"),
    [("cuda", torch.float32, False), ("cuda", torch.bfloat16, True), ("cpu", torch.float32, True)],
)
def test_float32_on_a_card_is_not_rounded_to_tf32(kind: str, dtype: torch.dtype, rounded: bool) -> None:
    cudnn: Any = torch.backends.cudnn
    before = cudnn.conv.fp32_precision
    with warnings.catch_warnings():
        # Autocast warns where there is no card.
        warnings.simplefilter("ignore")
        context = Runtime(torch.device(kind), dtype).autocast()
    with context:
        assert cudnn.conv.fp32_precision == ("tf32" if rounded else "ieee")
    assert cudnn.conv.fp32_precision == before == "tf32"


@pytest.mark.parametrize("cards", [0, 1, 2])
def test_what_is_here_is_listed_and_can_be_chosen(cards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    without_accelerator(monkeypatch)
    if cards:
        with_cuda(monkeypatch)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    assert present_devices() == ("auto", "cpu", "cuda", "cuda:1")[: 2 + cards]
    for name in present_devices():
        choose_device(name)


def test_apples_card_is_listed_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    without_accelerator(monkeypatch)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert present_devices() == ("auto", "cpu", "mps")
